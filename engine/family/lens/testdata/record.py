"""What ComfyUI 0.33.0's module of Lens computes with small weights.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.ldm.lens.model import LensTransformer2DModel

r = recording.Recorder("lens", here)
m = LensTransformer2DModel(num_layers=2, num_attention_heads=2, enc_hidden_dim=24, operations=comfy.ops.disable_weight_init)
x, t = r.normal("x", 2, 128, 3, 4), torch.tensor([0.3, 0.8])
r.record("lens", m, {
    "out": lambda m: m(x, t, r.normal("context", 2, 5, 96)),
    "masked": lambda m: m(x, t, r.normal("context", 2, 5, 96), torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])),
    "empty": lambda m: m(x, t, torch.zeros(2, 0, 96), torch.zeros(2, 0)),
}, every=8)
