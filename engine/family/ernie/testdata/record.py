"""What ComfyUI 0.33.0's module of ERNIE-Image computes with small weights.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.ldm.ernie.model import ErnieImageModel

r = recording.Recorder("ernie", here)
m = ErnieImageModel(hidden_size=64, num_attention_heads=2, num_layers=2, ffn_hidden_size=48, in_channels=128, out_channels=128, text_in_dim=24,
                    rope_axes_dim=(8, 12, 12), operations=comfy.ops.disable_weight_init)
t = torch.tensor([300.0, 800.0])
options = {"rope_options": {"scale_x": 1.5, "scale_y": 0.5, "shift_t": 2.0, "shift_x": 1.0, "shift_y": -1.0}}
r.record("ernie", m, {
    "out": lambda m: m(r.normal("x", 2, 128, 2, 3), t, r.normal("context", 2, 7, 24)),
    "scaled": lambda m: m(r.normal("x", 2, 128, 2, 3), t, r.normal("context", 2, 7, 24), transformer_options=options),
})
