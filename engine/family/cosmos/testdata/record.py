"""What ComfyUI 0.33.0's networks of Cosmos 1 compute with small weights.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.ldm.cosmos.model import GeneralDIT
from comfy.ldm.cosmos.vae import CausalContinuousVideoTokenizer

r = recording.Recorder("cosmos", here)
t, text = torch.tensor([0.3, -1.2]), r.normal("context", 2, 7, 24)


def some(x):
    return x.flatten()[::7].clone()


def normal(m):
    """Sets the mean and the deviation of latents."""
    m.latent_mean.data.copy_(r.normal("mean", 256) / 4)
    m.latent_std.data.copy_(1 + r.normal("std", 256) / 8)
    return m


if __name__ == "__main__":
    network = GeneralDIT(
        max_img_h=16, max_img_w=16, max_frames=4, in_channels=17, out_channels=16, patch_spatial=2, patch_temporal=1, model_channels=128, num_blocks=2, num_heads=2,
        mlp_ratio=1.0, block_x_format="THWBD", crossattn_emb_channels=24, pos_emb_cls="rope3d", affline_emb_norm=True, use_adaln_lora=True, adaln_lora_dim=16,
        rope_h_extrapolation_ratio=2.0, rope_w_extrapolation_ratio=2.0, rope_t_extrapolation_ratio=2.0, extra_per_block_abs_pos_emb=True,
        extra_per_block_abs_pos_emb_type="learnable", operations=comfy.ops.disable_weight_init)
    x = r.normal("x", 2, 17, 3, 6, 4)
    r.record("network", network, {"plain": lambda m: some(m(x, t, text)), "paced": lambda m: some(m(x, t, text, fps=30.0))})
    vae = CausalContinuousVideoTokenizer(
        z_channels=16, latent_channels=16, z_factor=1, resolution=1024, in_channels=3, out_channels=3, channels=16, channels_mult=[1, 2, 2], num_res_blocks=1,
        attn_resolutions=[32], dropout=0.0, patch_size=4, num_groups=1, temporal_compression=8, spacial_compression=8)
    calls = {f"decode{n}": lambda m, n=n: some(normal(m).decode(r.normal(f"z{n}", 1, 16, n, 3, 2))[0].movedim(1, 0)) for n in (1, 3)}
    calls |= {f"encode{n}": lambda m, n=n: some(normal(m).encode(r.normal(f"p{n}", n, 3, 16, 24).movedim(0, 1)[None])) for n in (1, 12, 14, 17)}
    r.record("vae", vae, calls)
