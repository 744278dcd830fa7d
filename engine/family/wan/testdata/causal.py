"""What ComfyUI 0.33.0's causal Wan computes block by block, with small weights.

usage: python causal.py COMFYUI RECIPE
"""
import os, sys, types
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.latent_formats, comfy.ops
from comfy.k_diffusion.sampling import sample_ar_video
from comfy.ldm.wan import ar_model

r = recording.Recorder("wancausal", here)
text = r.normal("context", 1, 7, 24)
x = r.normal("x", 1, 16, 5, 6, 4)


def blocks(m):
    caches, cross = m.init_kv_caches(1, 3 * 6, "cpu", torch.float32), m.init_crossattn_caches(1, "cpu", torch.float32)
    out = []
    for start, end in ((0, 2), (2, 3)):
        state = {"start_frame": start, "kv_caches": caches, "crossattn_caches": cross}
        out.append(m(x[:, :, start:end], torch.tensor([300.0]), text, transformer_options={"ar_state": state}))
    return torch.cat(out, dim=2)


class Guided:
    def __init__(self, m):
        f = comfy.latent_formats.Wan21()
        self.m, self.f = m, f
        self.inner_model = types.SimpleNamespace(inner_model=types.SimpleNamespace(diffusion_model=m, get_dtype=lambda: torch.float32, process_latent_in=f.process_in))

    def __call__(self, x, sigma, model_options, **_):
        return x - sigma.reshape(-1, 1, 1, 1, 1) * self.m(x, sigma * 1000, text, transformer_options=model_options["transformer_options"])


def sampled(m, frames, beginning=None):
    g = Guided(m)
    options = {} if beginning is None else {"ar_config": {"initial_latent": beginning}}
    y = sample_ar_video(g, x, torch.tensor([1.0, 0.6, 0.25, 0.0]), {"model_options": {"transformer_options": options}, "seed": 5}, disable=True, num_frame_per_block=frames)
    return g.f.process_out(y)


if __name__ == "__main__":
    r.record("causal", ar_model.CausalWanModel(model_type="t2v", in_dim=16, dim=256, ffn_dim=48, text_dim=24, num_heads=2, num_layers=2, operations=comfy.ops.disable_weight_init), {
        "blocks": blocks,
        "plain": lambda m: m(x, torch.tensor([300.0]), text),
        "frames": lambda m: sampled(m, 1),
        "pairs": lambda m: sampled(m, 2),
        "beginning": lambda m: sampled(m, 3, r.normal("beginning", 1, 16, 1, 6, 4)),
    })
