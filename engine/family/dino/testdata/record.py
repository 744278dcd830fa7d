"""What ComfyUI 0.33.0's DINOv2 computes with small weights: plain, gated, and with positions that are interpolated.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.image_encoders.dino2 import Dinov2Model

for name, gated in [("plain", False), ("gated", True)]:
    r = recording.Recorder("dino", here)
    config = {"hidden_size": 64, "num_attention_heads": 1, "num_hidden_layers": 3, "layer_norm_eps": 1e-6, "use_swiglu_ffn": gated, "image_size": 56}
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    # Values of 8 bits, which are what preprocessing makes.
    pixels = ((r.normal("pixels", 2, 3, 56, 56) / 6 + 0.5).clamp(0, 1) * 255).int().float() / 255
    x = (pixels - mean) / std
    m = Dinov2Model(config, torch.float32, "cpu", comfy.ops.disable_weight_init)
    calls = {"last": lambda m: m(x, intermediate_output=-2)[0],
             "penultimate": lambda m: m(x, intermediate_output=-2)[1],
             "class": lambda m: m(x, intermediate_output=-2)[2]}
    if not gated:
        calls["positions"] = lambda m: m.embeddings.interpolate_pos_encoding(torch.zeros(1), 14 * 7, 14 * 3)[0]
    r.record(name, m, calls)
