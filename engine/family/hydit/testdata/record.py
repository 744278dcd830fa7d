"""What ComfyUI 0.33.0's ControlNet of Hunyuan-DiT adds, and what the model makes of it, with small weights.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.ldm.hydit.controlnet import HunYuanControlNet
from comfy.ldm.hydit.models import HunYuanDiT

r = recording.Recorder("hydit", here)
options = dict(hidden_size=128, mlp_ratio=2.0, text_states_dim=24, text_states_dim_t5=16, text_len=6, text_len_t5=8, operations=comfy.ops.disable_weight_init)
t = torch.tensor([900.0, 300.0])


def inputs():
    """Of which ComfyUI's modules change the text."""
    masks = [torch.tensor([[1] * n + [0] * (length - n) for n in some]) for length, some in ((6, (6, 3)), (8, (5, 8)))]
    return dict(context=r.normal("context", 2, 6, 24), text_embedding_mask=masks[0], encoder_hidden_states_t5=r.normal("wide", 2, 8, 16), text_embedding_mask_t5=masks[1])


x, hint = r.normal("x", 2, 4, 6, 5), r.normal("hint", 2, 4, 6, 5)
m = HunYuanControlNet(**options)
r.record("control", m, {"first": lambda m: m(x, hint, t, **inputs())["output"][0], "last": lambda m: m(x, hint, t, **inputs())["output"][18]})
added = [r.normal(f"residual{i}", 2, 9, 128) for i in range(2)]
r.record("steered", HunYuanDiT(depth=6, **options), {"out": lambda m: m(x, t, control={"output": list(added)}, **inputs())})
