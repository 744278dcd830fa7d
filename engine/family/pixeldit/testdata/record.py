"""What ComfyUI 0.33.0's modules of PixelDiT and PiD compute with small weights, under the names of files.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.ldm.pixeldit.model import PixDiT_T2I
from comfy.ldm.pixeldit.pid import PidNet
from comfy.supported_models import PixelDiTT2I

r = recording.Recorder("pixeldit", here)
m = PixDiT_T2I(num_groups=2, hidden_size=32, pixel_hidden_size=8, pixel_attn_hidden_size=24, pixel_num_groups=2, patch_depth=2, pixel_depth=2, patch_size=4, txt_embed_dim=16,
               txt_max_length=6, operations=comfy.ops.disable_weight_init)


class File(torch.nn.Module):
    """The tensors of a file, whose pixel blocks have one layer for their modulation."""

    def __init__(self):
        super().__init__()
        self.core = torch.nn.Module()
        state = m.state_dict()
        for k, v in state.items():
            if ".adaLN_modulation_mlp." in k:
                continue
            k, v = (k.replace(".adaLN_modulation_msa.", ".adaLN_modulation.0."), torch.cat([v, v])) if ".adaLN_modulation_msa." in k else (k, v)
            at, names = self.core, k.split(".")
            for n in names[:-1]:
                if not hasattr(at, n):
                    at.add_module(n, torch.nn.Module())
                at = getattr(at, n)
            at.register_buffer(names[-1], v.clone())


def call(f, x, t, c):
    m.load_state_dict(PixelDiTT2I.process_unet_state_dict(None, f.state_dict()))
    return m.eval()(x, t, c)


x, t = r.normal("x", 2, 3, 10, 8), torch.tensor([300.0, 800.0])
r.record("pixeldit", File(), {"out": lambda f: call(f, x, t, r.normal("context", 2, 5, 16)), "long": lambda f: call(f, x, t, r.normal("long", 2, 9, 16))})

for name, latent, options in [
    ("pid", (4, 3, 2), dict(lq_latent_channels=4)),  # of Stable Diffusion XL
    ("pid2", (128, 2, 2), dict(lq_latent_channels=128, latent_spatial_down_factor=16, lq_latent_unpatchify_factor=2, lq_conv_padding_mode="replicate", lq_gate_per_token=True,
                               pit_lq_inject=True, rope_ref_h=2048, rope_ref_w=2048)),  # of Flux.2, version 1.5
]:
    m = PidNet(num_groups=2, hidden_size=32, pixel_hidden_size=8, pixel_attn_hidden_size=24, pixel_num_groups=2, patch_depth=3, pixel_depth=1, patch_size=4, txt_embed_dim=16,
               txt_max_length=6, lq_hidden_dim=8, lq_num_res_blocks=1, operations=comfy.ops.disable_weight_init, **options)
    for k, p in m.named_parameters():
        if k.endswith("log_alpha"):
            p.data = torch.zeros(1)
    r.record(name, m, {"out": lambda m: m(x, t, r.normal("context", 2, 5, 16), lq_latent=r.normal(name + "/latent", 2, *latent), degrade_sigma=torch.tensor([0.1, 0.4]))})
