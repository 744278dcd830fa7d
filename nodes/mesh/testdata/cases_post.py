# Calls of comfy_extras/nodes_mesh_postprocess.py that keep or change a mesh a little; see tests/nodecalls/record.py.
exec(compile(open(os.path.join(os.path.dirname(cases_path), "meshes.py")).read(), "meshes.py", "exec"))
LIMIT = 1000  # values that are kept of a tensor

ball_ = sphere(8, 10, noise=0.1)
ball_["vertices"] += np.float32([0.011, 0.007, -0.013])  # no vertex is equally near to several voxels
bumpy = sphere(9, 14, noise=0.3, seed=8)
holed = {**painted(bumpy), "faces": np.delete(bumpy["faces"], [5, 40, 41, 42, 90, 91, 120, 121, 122, 123, 124, 125], axis=0)}
wide = {**painted(sphere(6, 12)), "faces": sphere(6, 12)["faces"][12:]}

# Sums of float32 values are made in another order.
for m in [mesh(soup(ball_)), mesh(painted(soup(bumpy)), painted(soup(cube()))), mesh(ball_)]:
    case("WeldVertices", 1e-6, mesh=m, epsilon_rel=1e-5, epsilon_abs=0.0)
    case("WeldVertices", 1e-6, mesh=m, epsilon_rel=1e-5, epsilon_abs=0.2)
    case("WeldVertices", 1e-6, mesh=m, epsilon_rel=0.0, epsilon_abs=0.0)
for m in [mesh(holed), mesh(wide), mesh(holed, wide), mesh(soup(holed)), mesh(cube())]:
    for perimeter, chains, most in [(0.5, False, 16), (10.0, False, 16), (10.0, True, 64), (0.0, False, 16)]:
        case("FillHoles", 1e-6, mesh=m, max_perimeter=perimeter, weld_epsilon_rel=1e-5, max_vertices=most, fill_chains=chains)
case("FillHoles", 1e-6, mesh=mesh(holed), max_perimeter=10.0, weld_epsilon_rel=0.0, max_vertices=16, fill_chains=False)
for m in [mesh(ball_), mesh(painted(textured(cube())), texture=img(1, 2, 2, 3)), mesh(soup(cube()), soup(bumpy)), mesh(item(np.zeros((2, 3)), np.zeros((0, 3))))]:
    for angle in [180.0, 60.0, 20.0]:
        case("MeshSmoothNormals", 1e-7, mesh=m, crease_angle=angle)

unwrapped = textured(bumpy)
for m in [mesh(unwrapped), mesh(textured(cube())), mesh({**soup(unwrapped), "uvs": unwrapped["uvs"][unwrapped["faces"].reshape(-1)]})]:
    case("RenderUVAtlas", mesh=m, resolution=64)
    case("RenderUVAtlas", mesh=m, resolution=192)
case("RenderUVAtlas", mesh=mesh(cube()), resolution=64)

voxel_at = np.stack(np.meshgrid(*[np.arange(8)] * 3, indexing="ij"), -1).reshape(-1, 3)
voxel_at = voxel_at[np.abs(np.linalg.norm((voxel_at + 0.5) / 8 - 0.5, axis=1) - 0.4) < 0.12]
colors3 = uniform(len(voxel_at) * 3, 11).reshape(-1, 3)
colors6 = uniform(len(voxel_at) * 6, 12).reshape(-1, 6)
item_of = (np.arange(len(voxel_at)) % 3 == 0).astype(np.int64)[:, None]
batched = np.concatenate([item_of, voxel_at], 1)
# The power function of float32 is another one.
case("PaintMesh", 1e-6, mesh=mesh(bumpy), voxel_colors=cells(voxel_at, colors3, 8))
case("PaintMesh", 1e-6, mesh=mesh(textured(bumpy), texture=img(1, 2, 2, 3)), voxel_colors=cells(voxel_at, colors6, 8))
case("PaintMesh", 1e-6, mesh=mesh(textured(bumpy), textured(ball_)), voxel_colors=cells(batched, colors3, 8))
case("PaintMesh", 1e-6, mesh=mesh(bumpy), voxel_colors=cells(batched, colors3, 8))
case("PaintMesh", 1e-6, mesh=mesh(bumpy), voxel_colors=cells(np.zeros((0, 3)), np.zeros((0, 3)), 8))

flat_uv = textured(bumpy)
for m, v in [(mesh(flat_uv), cells(voxel_at, colors3, 8)), (mesh(flat_uv), cells(voxel_at, colors6, 8)), (mesh(flat_uv, textured(ball_)), cells(batched, colors6, 8)),
             (mesh({**flat_uv, "uvs": flat_uv["uvs"] * 2 - 0.3}), cells(voxel_at, colors3, 8))]:
    # Weights are products in another order.
    case("BakeTextureFromVoxel", 2e-6, mesh=m, voxel_colors=v, texture_size=64)
case("BakeTextureFromVoxel", 2e-5, mesh=mesh(flat_uv), voxel_colors=cells(voxel_at, colors3, 8), texture_size=64, reference_mesh=mesh(sphere(20, 30, radius=0.41)))
case("BakeTextureFromVoxel", mesh=mesh(bumpy), voxel_colors=cells(voxel_at, colors3, 8), texture_size=64)

tex = mesh(flat_uv, texture=rnd(1, 5, 4, 3, lo=-0.2, hi=1.2), metallic_roughness=img(1, 4, 4, 3, seed=2), occlusion_in_mr=True)
case("MeshTextureToImage", mesh=tex)
case("MeshTextureToImage", mesh=mesh(flat_uv, texture=img(1, 5, 4, 3), normal_map=img(1, 2, 2, 3)))
case("MeshTextureToImage", mesh=mesh(flat_uv))
spilled = {**flat_uv, "uvs": flat_uv["uvs"] * 3 - 1}
for m in [mesh(flat_uv), mesh(spilled, spilled), mesh({**spilled, "normals": np.asarray(flat_uv["vertices"]) / 0.4})]:
    # Sums of float32 values are made in another order; tangents are quotients of small differences.
    case("ApplyTextureToMesh", 1e-6, mesh=m, base_color=rnd(1, 3, 4, 3, lo=-0.2, hi=1.2))
    case("ApplyTextureToMesh", 1e-6, mesh=m, base_color=img(1, 3, 4, 3), metallic=img(1, 4, 6, 3, seed=2), roughness=img(1, 8, 3, 3, seed=3))
    case("ApplyTextureToMesh", 2e-5, mesh=m, base_color=img(1, 3, 4, 3), occlusion=img(1, 2, 2, 3, seed=4), normal_map=img(1, 4, 4, 3, seed=5))
case("ApplyTextureToMesh", mesh=mesh(bumpy), base_color=img(1, 3, 4, 3))
