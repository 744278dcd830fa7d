"""What ComfyUI 0.33.0's modules of Hunyuan3D 2, 2mini, 2.1 and of the shape VAE compute with small weights.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.ldm.hunyuan3d.model import Hunyuan3Dv2
from comfy.ldm.hunyuan3d.vae import ShapeVAE
from comfy.ldm.hunyuan3dv2_1.hunyuandit import HunYuanDiTPlain

ops = comfy.ops.disable_weight_init
r = recording.Recorder("hunyuan3d", here)
t = torch.tensor([0.9, 0.3])
x, image = r.normal("x", 2, 64, 5), r.normal("context", 2, 7, 24)
for name, depth, guided in [("two", 2, False), ("mini", 8, False), ("guided", 1, True)]:
    m = Hunyuan3Dv2(in_channels=64, context_in_dim=24, hidden_size=64, num_heads=16, depth=depth, depth_single_blocks=2 if depth == 2 else 1, guidance_embed=guided, operations=ops)
    r.record(name, m, {"out": lambda m: m(x, t, image, guidance=torch.tensor([5.0, 5.0]))})

# The halves of a batch are exchanged and exchanged back, so rows are run alone.
m = HunYuanDiTPlain(in_channels=64, hidden_size=64, context_dim=24, depth=5, num_heads=16, num_moe_layers=2, num_experts=4, guidance_cond_proj_dim=None, operations=ops)
r.record("third", m, {"out": lambda m: torch.cat([m(x[i:i + 1], t[i:i + 1], image[i:i + 1]) for i in range(2)])})


class Decoder(torch.nn.Module):
    """The parts that ComfyUI's files have."""

    def __init__(self):
        super().__init__()
        full = ShapeVAE(embed_dim=8, width=64, heads=2, num_decoder_layers=2, num_encoder_layers=0, num_latents=4, pc_size=8)
        self.post_kl, self.transformer, self.geo_decoder, self.full = full.post_kl, full.transformer, full.geo_decoder, [full]

    def decode(self, z):
        return ((self.full[0].decode(z, num_chunks=50, octree_resolution=6, enable_pbar=False) + 1) / 2).clamp(0, 1).movedim(1, -1)


r.record("vae", Decoder(), {"volume": lambda m: m.decode(r.normal("z", 1, 8, 9))})
