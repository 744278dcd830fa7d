"""What ComfyUI 0.33.0's modules of Z-Image on pixels, and of Z-Image with reference images, compute with small weights.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.ldm.lumina.model import NextDiT, NextDiTPixelSpace

r = recording.Recorder("lumina", here)
m = NextDiTPixelSpace(patch_size=4, in_channels=3, dim=256, n_layers=1, n_refiner_layers=1, n_heads=8, n_kv_heads=8, axes_dims=[8, 12, 12], axes_lens=[64, 64, 64], rope_theta=256.0,
                      ffn_dim_multiplier=0.25, multiple_of=8, qk_norm=True, cap_feat_dim=16, z_image_modulation=True, time_scale=1000.0, pad_tokens_multiple=32,
                      decoder_hidden_size=24, decoder_num_res_blocks=2, decoder_max_freqs=8, decoder_in_channels=48, use_x0=True,
                      operations=comfy.ops.disable_weight_init)
t = torch.tensor([0.3, 0.8])
r.record("pixels", m, {"out": lambda m: m(r.normal("x", 2, 3, 10, 8), t, r.normal("context", 2, 5, 16), 5)})

# Reference images of several sizes, with texts before and behind them, with and without encodings by SigLIP. ComfyUI takes texts behind all images for one row only.
options = dict(patch_size=2, in_channels=16, dim=256, n_layers=2, n_refiner_layers=1, n_heads=8, n_kv_heads=8, axes_dims=[8, 12, 12], axes_lens=[64, 64, 64], rope_theta=256.0,
               ffn_dim_multiplier=0.25, multiple_of=8, qk_norm=True, cap_feat_dim=16, z_image_modulation=True, time_scale=1000.0, pad_tokens_multiple=32, operations=comfy.ops.disable_weight_init)


def call(m, rows, texts, seen=0):
    some = lambda *names: [r.normal(name, 2, *shape)[:rows] for name, *shape in names]
    return m(*some(("latent", 16, 5, 8)), t[:rows], *some(("context", 5, 16)), 5, ref_latents=some(("ref0", 16, 4, 6), ("ref1", 16, 14, 12)),
             ref_contexts=some(*[(f"text{i}", n, 16) for i, n in enumerate([3, 33, 5, 2][:texts])]), siglip_feats=some(*[("seen0", 4, 3, 24), ("seen1", 5, 8, 24)][:seen]))


r.record("refs", NextDiT(**options), {"plain": lambda m: call(m, 2, 0), "texts": lambda m: call(m, 1, 4)})
r.record("omni", NextDiT(siglip_feat_dim=24, **options), {"plain": lambda m: call(m, 2, 1), "seen": lambda m: call(m, 1, 4, 2)})
