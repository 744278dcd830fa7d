"""What ComfyUI 0.33.0's RemoveBackground gives with the small model of engine/family/birefnet/testdata.

usage: python record_background.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
family = os.path.join(here, "..", "..", "..", "engine", "family")
sys.path[:0] = [os.path.join(family, "familytest"), os.path.join(family, "birefnet", "testdata")]
import recording
import record as networks  # reads the arguments
import torch
import comfy.model_patcher, comfy.model_management
import numpy as np
from comfy.bg_removal_model import BackgroundRemovalModel
from comfy_extras.nodes_bg_removal import RemoveBackground
from safetensors.numpy import save_file

EVERY = 1
r = recording.Recorder("birefnet", here)
net = networks.small().eval()
r.fill(networks.Published(net))
m = BackgroundRemovalModel.__new__(BackgroundRemovalModel)
m.image_size, m.image_mean, m.image_std = 1024, [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]  # birefnet.json
m.load_device, m.dtype, m.model = torch.device("cpu"), torch.float32, net
m.patcher = comfy.model_patcher.CoreModelPatcher(net, load_device=m.load_device, offload_device=torch.device("cpu"))
out = {}
with torch.no_grad():
    for name, shape in [("photo", (1, 30, 47, 4)), ("pixel", (2, 1, 1, 3))]:
        image = r.normal(name, *shape).div(4).add(0.5)  # some values are below 0 or above 1
        mask = RemoveBackground.execute(m, image).args[0]
        assert mask.shape == shape[:3], mask.shape
        out[name] = mask.reshape(-1)[::EVERY].contiguous().numpy()
        print(name, mask.mean(), mask.std())
save_file(out, os.path.join(here, "background.safetensors"))
