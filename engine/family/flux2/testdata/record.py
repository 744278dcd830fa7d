"""What ComfyUI 0.33.0's module of Flux.2 computes with small weights, call after call, with the patches of FluxKVCache.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.ldm.flux.model import Flux
from comfy_extras.nodes_flux import FluxKVCache

r = recording.Recorder("flux2", here)
m = Flux(image_model="flux2", in_channels=128, out_channels=128, vec_in_dim=None, context_in_dim=16, hidden_size=128, mlp_ratio=0.5, num_heads=1, depth=1, depth_single_blocks=1,
         axes_dim=[32, 32, 32, 32], theta=2000, patch_size=1, qkv_bias=False, guidance_embed=False, txt_ids_dims=[3], global_modulation=True, mlp_silu_act=True, ops_bias=False,
         default_ref_method="index", ref_index_scale=10.0, operations=comfy.ops.disable_weight_init)


class Patcher:
    """The part of a ModelPatcher that the node uses."""

    def __init__(self):
        self.patches = {}
        self.model = type("Model", (), {"diffusion_model": m})

    def clone(self):
        return self

    def set_model_attn1_patch(self, p):
        self.patches["attn1_patch"] = [p]

    def set_model_post_input_patch(self, p):
        self.patches["post_input"] = [p]

    def add_object_patch(self, name, value):
        m.params.default_ref_method = value


patcher = Patcher()
FluxKVCache.execute(patcher)
context, ref = r.normal("context", 2, 5, 16), r.normal("ref", 2, 128, 2, 1)


def call(m, x, t, rows):
    return m(x[:rows], torch.tensor(t), context[:rows], ref_latents=[ref[:rows]], transformer_options={"patches": patcher.patches})


r.record("cache", m, {
    "first": lambda m: call(m, r.normal("x1", 2, 128, 2, 3), [0.9, 0.9], 2),
    "second": lambda m: call(m, r.normal("x2", 2, 128, 2, 3), [0.5], 1),
    "third": lambda m: call(m, r.normal("x3", 2, 128, 2, 3), [0.2, 0.2], 2),
})
