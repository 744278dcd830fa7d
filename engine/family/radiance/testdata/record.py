"""What ComfyUI 0.33.0's module of Chroma Radiance computes with small weights.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.ldm.chroma_radiance.model import ChromaRadiance

r = recording.Recorder("radiance", here)
config = dict(in_channels=3, out_channels=3, context_in_dim=16, hidden_size=128, mlp_ratio=0.5, num_heads=1, depth=1, depth_single_blocks=1, axes_dim=[16, 56, 56], theta=10000,
              patch_size=4, qkv_bias=True, in_dim=64, out_dim=128, hidden_dim=16, n_layers=1, nerf_hidden_size=8, nerf_mlp_ratio=2, nerf_depth=2, nerf_max_freqs=8,
              nerf_tile_size=512, nerf_embedder_dtype=torch.float32, txt_ids_dims=[], vec_in_dim=None)
t = torch.tensor([0.3, 0.8])
x, c, g = r.normal("x", 2, 3, 12, 8), r.normal("context", 2, 5, 16), torch.zeros(2)
odd = r.normal("odd", 2, 3, 10, 7)


def call(m, x, **options):
    return m(x, t, c, g, transformer_options={"chroma_radiance_options": options} if options else {})


for name, more, calls in (
    ("conv", dict(nerf_final_head_type="conv", use_x0=True, use_sequential_txt_ids=True), {"out": lambda m: call(m, x)}),
    ("linear", dict(nerf_final_head_type="linear", use_x0=False, use_sequential_txt_ids=False), {
        "out": lambda m: call(m, x), "odd": lambda m: call(m, odd), "options": lambda m: call(m, x, use_sequential_txt_ids=True, nerf_tile_size=4)}),
):
    r.record(name, ChromaRadiance(image_model="chroma_radiance", operations=comfy.ops.disable_weight_init, **config, **more), calls)
