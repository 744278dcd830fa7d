"""What ComfyUI 0.33.0's module of Boogu-Image computes with small weights.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.ldm.boogu.model import BooguTransformer2DModel

r = recording.Recorder("boogu", here)
m = BooguTransformer2DModel(hidden_size=48, num_layers=2, num_double_stream_layers=2, num_refiner_layers=1, num_attention_heads=4, num_kv_heads=2, multiple_of=16,
                            axes_dim_rope=(4, 4, 4), axes_lens=(64, 64, 64), instruction_feat_dim=24, operations=comfy.ops.disable_weight_init)
t = torch.tensor([0.3, 0.8])
x, c = r.normal("x", 2, 16, 5, 6), r.normal("context", 2, 7, 24)
r.record("boogu", m, {
    "out": lambda m: m(x, t, c, 7),
    "refs": lambda m: m(x, t, c, 7, ref_latents=[r.normal("ref0", 2, 16, 4, 8), r.normal("ref1", 2, 16, 6, 4)]),
})
