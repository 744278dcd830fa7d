"""What ComfyUI 0.33.0's module of Z-Image on pixels computes with small weights.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.ldm.lumina.model import NextDiTPixelSpace

r = recording.Recorder("lumina", here)
m = NextDiTPixelSpace(patch_size=4, in_channels=3, dim=256, n_layers=1, n_refiner_layers=1, n_heads=8, n_kv_heads=8, axes_dims=[8, 12, 12], axes_lens=[64, 64, 64], rope_theta=256.0,
                      ffn_dim_multiplier=0.25, multiple_of=8, qk_norm=True, cap_feat_dim=16, z_image_modulation=True, time_scale=1000.0, pad_tokens_multiple=32,
                      decoder_hidden_size=24, decoder_num_res_blocks=2, decoder_max_freqs=8, decoder_in_channels=48, use_x0=True,
                      operations=comfy.ops.disable_weight_init)
t = torch.tensor([0.3, 0.8])
r.record("pixels", m, {"out": lambda m: m(r.normal("x", 2, 3, 10, 8), t, r.normal("context", 2, 5, 16), 5)})
