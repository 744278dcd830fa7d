"""What ComfyUI 0.33.0's networks of SeedVR2 compute with small weights.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.ldm.seedvr import model, vae

r = recording.Recorder("seedvr2", here)
t, context = torch.tensor([300.0, 900.0]), r.normal("context", 2, 7, 40)


def network(**kw):
    return model.NaDiT(norm_eps=1e-5, num_layers=4, vid_dim=48, txt_in_dim=40, heads=2, head_dim=32, mm_layers=2, operations=comfy.ops.disable_weight_init, dtype=torch.float32, **kw)


def small(module):
    """The text encodings of the file have a fixed width, which makes the module large."""
    for name in ("positive_conditioning", "negative_conditioning"):
        module.register_buffer(name, torch.zeros(3 if name[0] == "p" else 4, 40))
    return module


def call(m, *shape):
    size = "x".join(map(str, shape))
    x, c = r.normal("x" + size, 2, 16, *shape), r.normal("c" + size, 2, 17, *shape)
    # Row by row: of rows with several windows, upstream takes the queries and keys of the first one's text for all.
    rows = [m(x[i:i + 1], t[i:i + 1], context[i:i + 1], condition=c[i:i + 1], transformer_options={"cond_or_uncond": [0]}) for i in range(2)]
    return torch.cat(rows).flatten()[::5].clone()


def without(module, *names):
    """The module without buffers that a file may lack."""
    keep = module.state_dict
    module.state_dict = lambda: {k: v for k, v in keep().items() if not any(n in k for n in names)}
    return module


class VAE(torch.nn.Module):
    def __init__(self):
        super().__init__()
        vae.BYTEDANCE_BLOCK_OUT_CHANNELS = (32, 64, 64, 64)
        inner = vae.VideoAutoencoderKLWrapper()
        self.encoder, self.decoder, self.inner = inner.encoder, inner.decoder, [inner]

    def encode(self, x):
        return self.inner[0].comfy_format_encoded(self.inner[0].encode(x))

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.inner[0], name)


def video(name, n, h, w):
    return r.normal(name, n, 3, h, w).movedim(0, 1)[None]


if __name__ == "__main__":
    calls = {"image": lambda m: call(m, 1, 6, 8), "video": lambda m: call(m, 7, 12, 6)}
    r.record("joint", small(network(mlp_type="swiglu", vid_out_norm=True, rope_dim=32)), calls)
    # The frequencies of the file are left out: the network keeps its own.
    r.record("plain", without(small(network(mlp_type="swiglu", vid_out_norm=True, rope_dim=32)), "freqs"), {"image": calls["image"]})
    model.SEEDVR2_7B_VID_DIM = 48
    r.record("large", without(small(network(mlp_type="normal", rope_dim=16)), "freqs"), calls)
    decode = {f"decode{n}": lambda m, n=n: m.decode(r.normal(f"z{n}", 1, 16, n, 3, 2))[0].movedim(1, 0).flatten()[::7].clone() for n in (1, 4)}
    encode = {f"encode{n}": lambda m, n=n: m.encode(video(f"p{n}", n, 16, 24)).flatten()[::3].clone() for n in (1, 11)}
    encode["odd"] = lambda m: m.encode(video("odd", 1, 25, 29)).flatten()[::3].clone()
    r.record("vae", VAE(), decode | encode)
