"""What ComfyUI 0.33.0's RTDETR_detect gives with the small model of engine/family/rtdetr/testdata.

usage: python record_rtdetr.py COMFYUI RECIPE
"""
import json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
family = os.path.join(here, "..", "..", "..", "engine", "family")
sys.path[:0] = [os.path.join(family, "familytest"), os.path.join(family, "rtdetr", "testdata")]
import recording
import record as networks  # reads the arguments
import torch
from types import SimpleNamespace
import comfy.model_management
from comfy_extras.nodes_rtdetr import RTDETR_detect

comfy.model_management.load_model_gpu = lambda model: None  # the network is loaded already
r = recording.Recorder("rtdetr", here)
net = networks.small().eval()
r.fill(net)
model = SimpleNamespace(model=SimpleNamespace(diffusion_model=net))
out = {}
with torch.no_grad():
    for name, shape, threshold, kind, most in [("photo", (2, 30, 47, 3), 0.9, "all", 12), ("one class", (1, 9, 5, 3), 0.9, "hair drier", 9), ("from the end", (1, 9, 5, 3), 0.5, "all", -297), ("pixel", (1, 1, 1, 3), 0.5, "all", 4), ("nothing", (1, 4, 4, 3), 1.5, "all", 9)]:
        image = r.normal(name, *shape).div(4).add(0.5)
        out[name] = RTDETR_detect.execute(model, image, threshold, kind, most).args[0]
        print(name, [len(b) for b in out[name]], {d["label"] for b in out[name] for d in b})
with open(os.path.join(here, "rtdetr.json"), "w") as f:
    json.dump(out, f)
