"""What ComfyUI 0.33.0's module of Qwen-Image-Layered computes with small weights.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.ldm.qwen_image.model import QwenImageTransformer2DModel

r = recording.Recorder("layered", here)
m = QwenImageTransformer2DModel(
    num_layers=1, attention_head_dim=32, num_attention_heads=2, joint_attention_dim=24, axes_dims_rope=(4, 14, 14), use_additional_t_cond=True, default_ref_method="negative_index",
    dtype=torch.float32, device="cpu", operations=comfy.ops.disable_weight_init)
x, context, ref = r.normal("x", 1, 16, 3, 4, 6), r.normal("context", 1, 5, 24), r.normal("ref", 1, 16, 1, 4, 6)
t = torch.tensor([0.3])
r.record("layered", m, {"layers": lambda m: m(x, t, context), "reference": lambda m: m(x, t, context, ref_latents=[ref])})
