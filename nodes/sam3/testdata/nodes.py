"""What ComfyUI 0.33.0's SAM3_Detect and SAM3_VideoTrack give with the small networks of engine/family/sam3/testdata, on images of 168 instead of 1008 pixels.

usage: python nodes.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
family = os.path.join(here, "..", "..", "..", "engine", "family")
sys.path[:0] = [os.path.join(family, "familytest"), os.path.join(family, "sam3", "testdata")]
comfyui = sys.argv[1]
import recording
import sam3 as networks  # reads the arguments
import types
import numpy as np
import torch
from safetensors.numpy import save_file

torch.set_num_threads(1)
with open(os.path.join(comfyui, "comfy_extras", "nodes_sam3.py")) as f:
    source = f.read()
nodes = types.ModuleType("nodes_sam3")
exec(compile(source.replace("1008", str(networks.SIDE)), "nodes_sam3.py", "exec"), nodes.__dict__)
nodes.comfy.model_management.load_model_gpu = lambda model: None
r = recording.Recorder("sam3", here)
H, W, EVERY = 60, 90, 7


def image(name, n):
    return r.normal(name, n, H, W, 4).mul(0.3).add(0.5).clamp(0, 1)


def text(name, most, count=5):
    return {"cond": r.normal(name, 1, count, networks.WIDTH), "attention_mask": torch.tensor([[1] * (count - 1) + [0]]), "max_detections": most}


def conditioning(*texts):
    if len(texts) == 1:
        return [[texts[0]["cond"], {"attention_mask": texts[0]["attention_mask"]}]]
    return [[texts[0]["cond"], {"sam3_multi_cond": list(texts)}]]


def box(x, y, width, height):
    return {"x": x, "y": y, "width": width, "height": height}


DETECT = {
    "points": dict(positive_coords='[{"x": 30, "y": 20}, {"x": 41.5, "y": 25}]', negative_coords='[{"x": 80, "y": 50}]', individual_masks=True),
    "box": dict(bboxes=box(10, 5, 50, 40), individual_masks=True, refine_iterations=3),
    "boxes": dict(bboxes=[box(10, 5, 50, 40), box(40, 20, 45, 38)], individual_masks=False, refine_iterations=0),
    "boxes of images": dict(bboxes=[[box(10, 5, 50, 40)], [box(40, 20, 45, 38), box(0, 0, 20, 20)]], individual_masks=True, refine_iterations=1),
    "text": dict(conditioning=conditioning(text("text", 1)), individual_masks=True, threshold=0.4),
    "texts": dict(conditioning=conditioning(text("text", 3), text("other", 2, 4)), individual_masks=True, threshold=0.4, refine_iterations=1),
    "examples": dict(conditioning=conditioning(text("text", 2), text("other", 1, 4)), bboxes=box(10, 5, 50, 40), threshold=0.3, refine_iterations=0, individual_masks=True),
    "all": dict(conditioning=conditioning(text("text", 2), text("other", 3, 4)), bboxes=box(10, 5, 50, 40), positive_coords='[{"x": 30, "y": 20}]', threshold=0.4),
    "nothing": dict(conditioning=conditioning(text("text", 1)), threshold=1.0, individual_masks=True),
}
TRACK = {
    "masks": dict(objects=2),
    "one": dict(objects=1, max_objects=1),
    "text": dict(objects=0, conditioning=conditioning(text("text", 1)), detection_threshold=0.3, max_objects=3, detect_interval=2),
    "texts": dict(objects=1, conditioning=conditioning(text("text", 1), text("other", 1, 4)), detection_threshold=0.3, max_objects=4),
    "nothing": dict(objects=0, conditioning=conditioning(text("text", 1)), detection_threshold=1.0),
}


def record(name, multiplex):
    m = networks.network(multiplex).eval()
    r.fill(m)
    model = types.SimpleNamespace(model=types.SimpleNamespace(get_dtype=lambda: torch.float32, diffusion_model=m))
    out = {}
    with torch.no_grad():
        for key, more in DETECT.items():
            masks, boxes = nodes.SAM3_Detect.execute(model, image("node image", 2), **more).args
            out[f"detect {key} masks"] = np.packbits(masks.numpy() > 0)
            out[f"detect {key} shape"] = np.array(masks.shape, dtype="int32")
            out[f"detect {key} boxes"] = np.array([[i, b["x"], b["y"], b["width"], b["height"], b["score"]] for i, l in enumerate(boxes) for b in l], dtype="float32").reshape(-1, 6)
        for key, more in TRACK.items() if multiplex else ():  # the class fails for SAM 3: its tracker gives a tensor, to which it adds orig_size
            more = dict(more)
            n = more.pop("objects")
            got = nodes.SAM3_VideoTrack.execute(image("node video", 4), model, networks.blobs(n)[:, 0] if n else None, **more).args[0]
            assert tuple(got["orig_size"]) == (H, W), got["orig_size"]
            packed = got["packed_masks"]
            if packed is None:
                assert got["n_frames"] == 4 and got["scores"] == [], got
                continue
            out[f"track {key} shape"] = np.array(packed.shape, dtype="int32")
            out[f"track {key} masks"] = packed.numpy().reshape(-1)[::EVERY].copy()
            out[f"track {key} scores"] = np.array(got["scores"], dtype="float32")
    save_file(out, os.path.join(here, name + ".safetensors"))
    print(name, {k: (v.shape if "shape" not in k else tuple(v)) for k, v in out.items()})


record("sam3", False)
record("sam31", True)
