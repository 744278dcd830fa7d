"""What ComfyUI 0.33.0's networks of CogVideoX compute with small weights.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.ldm.cogvideo.model import CogVideoXTransformer3DModel
from comfy.ldm.cogvideo.vae import AutoencoderKLCogVideoX

r = recording.Recorder("cogvideo", here)
small = dict(num_attention_heads=2, attention_head_dim=64, time_embed_dim=32, text_embed_dim=24, num_layers=2, operations=comfy.ops.disable_weight_init)
t = torch.tensor([30.0, 800.0])
text = r.normal("context", 2, 7, 24)



def some(x):
    return x.flatten()[::7].clone()


if __name__ == "__main__":
    r.record("rotary", CogVideoXTransformer3DModel(in_channels=16, use_rotary_positional_embeddings=True, **small), {
        "out": lambda m: some(m(r.normal("x", 2, 16, 3, 5, 4), t, text)),
    })
    r.record("learned", CogVideoXTransformer3DModel(in_channels=32, use_learned_positional_embeddings=True, sample_width=8, sample_height=6, sample_frames=9, **{**small, "num_attention_heads": 3}), {
        "out": lambda m: some(m(r.normal("x32", 2, 32, 3, 5, 8), t, text)),
    })
    r.record("deep", CogVideoXTransformer3DModel(in_channels=48, patch_size_t=2, ofs_embed_dim=32, use_rotary_positional_embeddings=True, sample_height=96, sample_width=170, sample_frames=81, **small), {
        "out": lambda m: some(m(r.normal("x48", 2, 48, 3, 5, 4), t, text, ofs=torch.full((2,), 2.0))),
    })
    calls = {f"decode{n}": lambda m, n=n: some(m.decode(r.normal(f"z{n}", 1, 16, n, 3, 2))[0].movedim(1, 0)) for n in (1, 2, 3)}
    calls |= {f"encode{n}": lambda m, n=n: some(m.encode(r.normal(f"p{n}", n, 3, 16, 24).movedim(0, 1)[None])) for n in (1, 9, 11)}
    r.record("vae", AutoencoderKLCogVideoX(block_out_channels=(32, 32, 32, 64), layers_per_block=1), calls)
