# Calls of comfy_extras/nodes_save_3d.py and the voxel classes of nodes_hunyuan3d.py; see tests/nodecalls/record.py.
exec(compile(open(os.path.join(os.path.dirname(cases_path), "meshes.py")).read(), "meshes.py", "exec"))
LIMIT = 1000  # values that are kept of a tensor

plain = mesh(cube())
pair = mesh(cube(0.5), sphere(4, 5))
rich = mesh(painted(textured(sphere(5, 6, noise=0.2)), channels=4), texture=img(1, 3, 5, 3), metallic_roughness=img(1, 4, 4, 3, seed=2),
            normal_map=img(1, 2, 2, 3, seed=3), emissive=img(1, 2, 3, 3, seed=4), occlusion_in_mr=True)
normals = mesh({**cube(), "normals": uniform(24, 3).reshape(8, 3).astype(np.float32), "tangents": uniform(32, 4).reshape(8, 4).astype(np.float32)})

for m in [plain, pair, rich, normals, mesh(painted(cube()), unlit=True), mesh(item(np.zeros((2, 3)), np.zeros((0, 3)))),
          mesh(painted(sphere(4, 6, noise=0.5), channels=3)), mesh(textured(cube()), texture=img(1, 2, 2, 3), material={
              "base_color_factor": [1, 0.5, 0.25, 1], "metallic_factor": 0.5, "roughness_factor": -1.0, "emissive_factor": [0.0, 2.0, 0.5],
              "emissive_strength": 3.0, "double_sided": False})]:
    case("MeshToFile3D", mesh=m)
    case("GetMeshInfo", mesh=m)
    # The product of a vector and a matrix may be summed in another order.
    case("RotateMesh", 1e-6, mesh=m, mode="euler_xyz", **{"mode.angle_x": 30.0, "mode.angle_y": -45.5, "mode.angle_z": 170.0})
    case("RotateMesh", 1e-6, mesh=m, mode="quaternion", **{"mode.qw": 0.5, "mode.qx": -0.25, "mode.qy": 0.75, "mode.qz": 0.1})
case("RotateMesh", mesh=pair, mode="euler_xyz", **{"mode.angle_x": 0.0, "mode.angle_y": 0.0, "mode.angle_z": 0.0})
case("RotateMesh", mesh=pair, mode="quaternion", **{"mode.qw": 0.0, "mode.qx": 0.0, "mode.qy": 0.0, "mode.qz": 0.0})
case("MergeMeshes", **{"meshes.mesh0": plain, "meshes.mesh1": pair})
case("MergeMeshes", **{"meshes.mesh0": mesh(painted(cube())), "meshes.mesh1": rich, "meshes.mesh2": plain, "meshes.mesh3": rich})
case("MergeMeshes", **{"meshes.mesh0": rich, "meshes.mesh1": normals})

# The mean of a cell's crossings may be summed in another order.
for i, shape in enumerate([(1, 9, 9, 9), (2, 8, 10, 12), (1, 20, 6, 7)]):
    for threshold in [0.0, 0.1, -0.3]:
        case("VoxelToMesh", 1e-6, voxel=grid(ball(*shape, seed=i)), algorithm="surface net", threshold=threshold)
        case("VoxelToMesh", voxel=grid(ball(*shape, seed=i)), algorithm="basic", threshold=threshold)
        case("VoxelToMeshBasic", voxel=grid(ball(*shape, seed=i)), threshold=threshold)
case("VoxelToMesh", voxel=grid(const(0.0, 1, 3, 3, 3)), algorithm="surface net", threshold=0.5)
case("VoxelToMesh", voxel=grid(const(0.0, 1, 3, 3, 3)), algorithm="basic", threshold=0.5)
case("VoxelToMesh", 1e-6, voxel=grid(const(1.0, 1, 6, 5, 4)), algorithm="surface net", threshold=0.6)
