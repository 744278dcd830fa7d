# Calls of RenderMesh; see tests/nodecalls/record.py.
exec(compile(open(os.path.join(os.path.dirname(cases_path), "meshes.py")).read(), "meshes.py", "exec"))
LIMIT = 700  # values of a tensor that are kept

bumpy = sphere(7, 9, noise=0.3)
plain, colored = mesh(bumpy), mesh(painted(bumpy, channels=4))
rich = mesh({**textured(painted(bumpy)), "normals": uniform(3 * len(bumpy["vertices"]), 8).reshape(-1, 3).astype(np.float32) - 0.5}, texture=img(1, 6, 5, 3))
box = mesh(cube(0.7, (0.1, -0.2, 0.3)), cube(1.0))
cameras = [
    None, {"position": {"x": 1.0, "y": 0.7, "z": 1.3}, "target": {"x": 0.05, "y": 0.0, "z": 0.1}, "fov": 50, "zoom": 1.2},
    {"position": {"x": 0.0, "y": 2.0, "z": 0.0}}, call("CreateCameraInfo", mode="orbit", target_x=0.0, target_y=0.1, target_z=0.0, roll=0.0, fov=35.0, zoom=1.0, camera_type="perspective", **{"mode.yaw": 20.0, "mode.pitch": -15.0, "mode.distance": 2.0}),
]
moved = [{"position": {"x": 0.1, "y": -0.05, "z": 0.2}, "scale": {"x": 1.2, "y": 0.8, "z": 1.0}, "quaternion": {"x": 0.1, "y": 0.2, "z": -0.3, "w": 0.9}}]
# Where edges meet a pixel's middle either face may be found; colors of faces that are seen from the side differ more.
render = lambda m, mode, camera=None, info=None, width=64, height=72, background="#336699", tolerance=1e-4: case(
    "RenderMesh", tolerance, mesh=m, mode=mode, width=width, height=height, background=background, **({"camera_info": camera} if camera else {}), **({"model_3d_info": info} if info else {}))
for mode in ["auto", "texture", "vertex colors", "solid", "normal", "depth"]:
    render(rich, mode, cameras[1])
    render(plain, mode, info=moved, width=72, height=64)
render(colored, "auto", cameras[3])
render(rich, "normal", cameras[3], moved)
render(rich, "auto")
render(box, "solid", cameras[2], background="112233ff")
render(box, "depth", cameras[1])
render(box, "depth", {"position": {"x": 9, "y": 9, "z": 9}, "target": {"x": 20, "y": 9, "z": 9}})
render(plain, "auto", background="#12")
