"""What ComfyUI 0.33.0's module of JoyImage computes with small weights.

usage: python record.py COMFYUI RECIPE
"""
import json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.ldm.joyimage.model import JoyImageTransformer3DModel

r = recording.Recorder("joyimage", here)
m = JoyImageTransformer3DModel(hidden_size=64, num_attention_heads=2, text_dim=24, num_layers=2, rope_dim_list=[4, 14, 14], theta=10000, operations=comfy.ops.disable_weight_init)
t = torch.tensor([300.0, 800.0])
x, context = r.normal("x", 2, 16, 1, 6, 8), r.normal("context", 2, 5, 24)
refs = [r.normal("one", 2, 16, 1, 4, 6), r.normal("two", 2, 16, 1, 8, 4)]
r.record("joyimage", m, {
    "text": lambda m: m(x, t, context), "odd": lambda m: m(x[..., :5, :7], t, context), "edit": lambda m: m(x, t, context, ref_latents=refs),
})
