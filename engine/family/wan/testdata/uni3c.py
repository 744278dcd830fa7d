"""What ComfyUI 0.33.0's Wan computes with the ControlNet of Uni3C, with small weights.

usage: python uni3c.py COMFYUI RECIPE
"""
import os, sys, types
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
import comfy.latent_formats
import comfy.model_management
import comfy_extras.nodes_model_patch as patches
from comfy.ldm.wan import model as wan
from comfy.ldm.wan import uni3c

r = recording.Recorder("uni3c", here)
ops = comfy.ops.disable_weight_init


class VAE:
    """Each frame of a latent is one of the video's, by numbers of its own."""
    def temporal_compression_decode(self):
        return 4

    def spacial_compression_encode(self):
        return 8

    def encode(self, frames):
        z = frames[::4, ::8, ::8, :1].movedim(-1, 0)[None]
        return z * torch.arange(1, 17, dtype=torch.float32).reshape(1, 16, 1, 1, 1)


class All(torch.nn.Module):
    def __init__(self):
        super().__init__()
        for name, channels in (("text", 16), ("image", 36)):
            setattr(self, name, wan.WanModel(model_type="t2v", in_dim=channels, out_dim=16, dim=128, ffn_dim=48, text_dim=24, num_heads=1, num_layers=3, operations=ops))
        self.patch = uni3c.WanUni3CControlnet(
            in_channels=36, conv_out_dim=32, dim=192, ffn_dim=40, num_layers=2, time_embed_dim=128, out_proj_dim=128, mid_channels=32, operations=ops)

    def run(self, name, channels, frames, scale, h=6, w=4):
        latent = comfy.latent_formats.Wan21()
        given = r.normal(f"render{frames}", frames, h * 8, w * 8, 3)
        patch = patches.WanUni3CCnetPatch(types.SimpleNamespace(model=self.patch), given, VAE(), latent, scale, 1.0, 0.0)
        x = r.normal(f"x{channels}", 2, channels, 3, h, w)
        options = {"patches": {"double_block": [patch]}, "cond_or_uncond": [0]}
        comfy.model_management.load_models_gpu = lambda *a, **k: None
        return getattr(self, name)(x, torch.tensor([300.0, 700.0]), r.normal("context", 2, 7, 24), transformer_options=options).flatten()[::3].clone()


if __name__ == "__main__":
    r.record("uni3c", All(), {
        "text": lambda m: m.run("text", 16, 9, 0.8),
        "image": lambda m: m.run("image", 36, 9, 1.0),
        "short": lambda m: m.run("text", 16, 5, 1.0),
        "long": lambda m: m.run("text", 16, 12, 1.0),
    })
