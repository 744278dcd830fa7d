"""What ComfyUI 0.33.0's networks of HunyuanVideo compute in all forms with small weights.

usage: python record_forms.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.ldm.hunyuan_video.model import HunyuanVideo

r = recording.Recorder("hunyuanforms", here)
t, text, y = torch.tensor([300.0, 800.0]), r.normal("context", 2, 5, 24), r.normal("y", 2, 20)
mask = torch.tensor([[1, 1, 1, 0, 0]])  # of one row: upstream fails on more, and on more reference latents


def network(channels, newer=False, guided=False):
    own = dict(out_channels=32, patch_size=[1, 1, 1], vec_in_dim=None, byt5=True, meanflow=True, meanflow_sum=True, use_cond_type_embedding=True, vision_in_dim=12) if newer else \
        dict(out_channels=16, patch_size=[1, 2, 2], vec_in_dim=20, byt5=False, meanflow=False, meanflow_sum=False, use_cond_type_embedding=False, vision_in_dim=None)
    return HunyuanVideo(in_channels=channels, context_in_dim=24, hidden_size=256, mlp_ratio=4.0, num_heads=2, depth=1, depth_single_blocks=1, axes_dim=[16, 56, 56], theta=256,
                        qkv_bias=True, guidance_embed=guided, operations=comfy.ops.disable_weight_init, **own)


def x(channels):
    return r.normal(f"x{channels}", 2, channels, 3, 4, 6)


if __name__ == "__main__":
    r.record("forms16", network(16, guided=True), {
        "plain": lambda m: m(x(16), t, text, y=y, guidance=torch.tensor([6.0, 3.0])),
        "masked": lambda m: m(x(16)[:1], t[:1], text[:1], y=y[:1], attention_mask=mask),
        "still": lambda m: m(x(16), t, text, y=y, guiding_frame_index=torch.tensor([0.0, 0.0])),
        "ref": lambda m: m(x(16)[:1], t[:1], text[:1], y=y[:1], ref_latent=r.normal("ref", 2, 16, 1, 4, 6)[:1]),
    })
    r.record("forms33", network(33), {"concat": lambda m: m(x(33), t, text, y=y)})
    r.record("forms32", network(32), {"sky": lambda m: m(x(32), t, text, y=y)})
    glyphs, seen = r.normal("glyphs", 2, 3, 1472), r.normal("seen", 2, 4, 12)
    run = {"sigmas": torch.tensor([0.8]), "sample_sigmas": torch.tensor([0.8, 0.5])}
    r.record("forms65", network(65, newer=True), {
        "alone": lambda m: m(x(65), t, text, disable_time_r=True),
        "masked": lambda m: m(x(65)[:1], t[:1], text[:1], attention_mask=mask, disable_time_r=True),
        "all": lambda m: m(x(65), t, text, txt_byt5=glyphs, clip_fea=seen, transformer_options=run),
    })
    r.record("forms98", network(98, newer=True), {"super": lambda m: m(x(98), t, text, txt_byt5=glyphs, clip_fea=seen, transformer_options=run)})
