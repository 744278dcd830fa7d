"""What ComfyUI 0.33.0's face classes give with the random networks of engine/family/facemesh/testdata, and what Pillow draws.

usage: python record_faces.py COMFYUI RECIPE
"""
import json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
family = os.path.join(here, "..", "..", "..", "engine", "family")
sys.path[:0] = [os.path.join(family, "familytest"), os.path.join(family, "facemesh", "testdata")]
import record as networks  # reads the arguments
import numpy as np
import torch
from comfy_extras import nodes_mediapipe as nodes
from safetensors.numpy import save_file

r = networks.Recorder("facemesh", here)
net = networks.Networks()
r.fill(net)
sd = {k: v for k, v in net.state_dict().items() if not k.startswith("topology.")}
sd.update({"procrustes_indices": torch.arange(30, dtype=torch.int32) * 15, "procrustes_weights": 1 / (1 + torch.arange(30).float())})
sd.update({"topology." + k: torch.tensor(v, dtype=torch.int32) for k, v in networks.topology().items()})
model = nodes.FaceLandmarkerModel(sd)
boxes, out = {}, {}
images = r.normal("images", 2, 40, 61, 4).div(4).add(0.5)
with torch.no_grad():
    for name, variant, most, least in [("near", "short", 3, 0.0), ("far", "full", 1, 0.0), ("both", "both", 0, 0.7), ("nothing", "short", 1, 1.0)]:
        f, boxes[name] = nodes.MediaPipeFaceLandmarker.execute(model, images[..., :3], variant, most, least, "empty").args
        print(name, [len(b) for b in boxes[name]])
        poses = [v["transformation_matrix"].reshape(-1) for frame in f["frames"] for v in frame]
        if poses and name != "both":
            out["pose " + name] = np.stack(poses).astype(np.float32)


def face(seed, x, y, size):
    """A made-up face, whose landmarks lie around a place."""
    marks = r.normal(f"face {seed}", 478, 2).numpy() * size + np.array([x, y], dtype=np.float32)
    for i in range(100):  # the parts are rings
        a = (i % 10) * 2 * np.pi / 8
        marks[i] = [x + size * (2 - i / 60) * np.cos(a), y + size * (2 - i / 60) * np.sin(a)]
    marks = marks.astype(np.float32)
    return {"bbox_xyxy": np.concatenate([marks.min(0), marks.max(0)]), "landmarks_xy": marks, "landmarks_3d": np.zeros((478, 3), np.float32), "blendshapes": {"a": float(seed)}, "presence": 1.0 * seed, "score": 0.5 / (seed + 1)}


frames = [[face(0, 20.5, 15.25, 9)], [], [face(1, 30, 20, 6), face(2, 70, 50, 30)], []]
marks = {"frames": frames, "image_size": (40, 61), "connection_sets": model.connection_sets}
images = r.normal("drawn", 3, 40, 61, 3).div(4).add(0.5)
for name, how, color, thick, dots, image in [
    ("all", "all", "#12AB34", 1, 2, images), ("wide", "all", "red", 4, 0, images), ("two", "all", "no color", 2, 1, None), ("fill", "fill", "#f08", 3, 5, images), ("mesh", "custom", "#0000ff", 3, 7, None), ("points", "custom", "#ffffff", 0, 16, images), ("eight", "all", "#fff", 8, 3, images),
]:
    chosen = {"connections": how}
    if how == "custom":
        chosen.update(tesselation=True, nose=name == "mesh")
    out["draw " + name] = (nodes.MediaPipeFaceMeshVisualize.execute(marks, chosen, color, thick, dots, image).args[0] * 255).round().to(torch.uint8).numpy()
for name, chosen in [("all", {"regions": "all"}), ("parts", {"regions": "custom", "lips": True, "irises": True})]:
    out["mask " + name] = (nodes.MediaPipeFaceMask.execute(marks, chosen).args[0] * 255).to(torch.uint8).numpy()
for how in ["previous", "interpolate"]:
    f = [list(v) for v in [[], frames[0], [], [], frames[2], []]]
    nodes._fill_missing_frames(f, how)
    out["fill " + how] = np.stack([np.concatenate([v["bbox_xyxy"], v["landmarks_xy"].reshape(-1)[::50], [v["score"], v["presence"]]]) for frame in f for v in frame]).astype(np.float32)
    print(how, [len(v) for v in f])
for k in [k for k in out if k.startswith(("draw", "mask"))]:
    out[k] = np.packbits(out[k].reshape(-1) > 0) if k.startswith("mask") else out[k]
save_file(out, os.path.join(here, "faces.safetensors"))
with open(os.path.join(here, "faces.json"), "w") as f:
    json.dump(boxes, f)
