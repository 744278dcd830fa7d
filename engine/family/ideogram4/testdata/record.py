"""What ComfyUI 0.33.0's module of Ideogram 4 computes with small weights.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.ldm.ideogram4.model import Ideogram4Transformer2DModel

r = recording.Recorder("ideogram4", here)
m = Ideogram4Transformer2DModel(in_channels=128, num_layers=2, num_attention_heads=2, attention_head_dim=256, intermediate_size=24, adaln_dim=16, llm_features_dim=24,
                                operations=comfy.ops.disable_weight_init)
t = torch.tensor([0.3, 0.8])
x, c = r.normal("x", 2, 128, 2, 3), r.normal("context", 2, 5, 24)
mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
r.record("ideogram4", m, {"out": lambda m: m(x, t, c), "masked": lambda m: m(x, t, c, mask), "image": lambda m: m(x, t)})
