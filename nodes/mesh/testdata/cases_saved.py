# Files of comfy_extras/nodes_save_3d.py and nodes_load_3d.py; see tests/nodecalls/record.py.
exec(compile(open(os.path.join(os.path.dirname(cases_path), "meshes.py")).read(), "meshes.py", "exec"))


def file(data, format):
    """A FILE_3D in memory."""
    return Recipe({"$": "file", "format": format, "data": base64.b64encode(data).decode()}, lambda: Types.File3D(io.BytesIO(data), file_format=format))


def pixel(*rgba):
    out = io.BytesIO()
    PILImage.new("RGBA" if len(rgba) == 4 else "RGB", (20, 18), rgba).save(out, "PNG")
    return out.getvalue()


tiny = run("MeshToFile3D", {"mesh": mesh(cube())})["result"][0].get_bytes()
prompt = {"1": {"class_type": "SaveGLB", "inputs": {}}}
saves("SaveGLB", mesh=mesh(cube()), filename_prefix="3d/m")
saves("SaveGLB", mesh=mesh(cube(0.5), sphere(4, 5)), filename_prefix="m", prompt=prompt, workflow={"nodes": [1]})
saves("SaveGLB", mesh=mesh(painted(cube())), filename_prefix="3d/m", before=[("SaveGLB", dict(mesh=mesh(cube()), filename_prefix="3d/m"))])
saves("SaveGLB", mesh=file(b"solid\n", "stl"), filename_prefix="a/b")
saves("SaveGLB", mesh=file(b"#obj\n", "obj"), filename_prefix="b")

view = {"camera_info": {"position": {"x": 1, "y": 2.5, "z": 3}}, "model_3d_info": [{"name": "a"}]}
for state, more in [(view, {}), ("", {}), (view, {"camera_info": {"zoom": 2}, "model_3d_info": []}), ({}, {"model_3d_info": [1]})]:
    saves("Save3DAdvanced", model_3d=file(b"#obj\n", "obj"), filename_prefix="3d/a", viewport_state=state, width=64, height=32, **more)
    saves("Preview3DAdvanced", model_3d=file(tiny, "glb"), viewport_state=state, width=64, height=32, **more)
saves("Preview3D", model_file=file(tiny, "glb"))
saves("Preview3D", model_file="3d/x.glb", camera_info={"zoom": 1})

shot = {"input/a.png": pixel(200, 100, 50), "input/m.png": pixel(0, 0, 0, 128), "input/n.png": pixel(128, 128, 255), "input/3d/x.glb": tiny}
image = {"image": "a.png", "mask": "m.png", "normal": "n.png", "camera_info": {"zoom": 1}, "recording": ""}
for model in ["none", "3d/x.glb", ""]:
    saves("Load3D", given=shot, model_file=model, image=image, width=20, height=18)
    saves("Load3DAdvanced", given=shot, model_file=model, viewport_state=view, width=20, height=18)
saves("Load3D", given=shot, model_file="none", image={**image, "model_3d_info": [{"a": 1}]}, width=20, height=18)
saves("Load3D", given=shot, model_file="none", image={"image": "a.png"}, width=20, height=18)
