"""What ComfyUI 0.33.0's networks of Mochi compute with small weights. -O leaves out upstream's assertions of published sizes.

usage: python -O record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.ldm.genmo.joint_model.asymm_models_joint import AsymmDiTJoint
from comfy.ldm.genmo.vae.model import Decoder, Encoder

r = recording.Recorder("mochi", here)
t, text = torch.tensor([0.3, 0.9]), r.normal("context", 2, 9, 32)
mask = torch.tensor([[1.0] * 5 + [0.0] * 4, [1.0] * 3 + [0.0] * 6])


def some(x):
    return x.flatten()[::7].clone()


class VAE(torch.nn.Module):
    def __init__(self):
        super().__init__()
        blocks = [3, 1, 4, 1, 1]
        self.encoder = Encoder(
            in_channels=15, base_channels=32, channel_multipliers=[1, 2, 1, 2], num_res_blocks=blocks, latent_dim=12, temporal_reductions=[1, 2, 3], spatial_reductions=[2, 2, 2],
            prune_bottlenecks=[False] * 5, has_attentions=[False, True, True, True, True], input_is_conv_1x1=True, padding_mode="replicate")
        self.decoder = Decoder(
            base_channels=32, channel_multipliers=[1, 2, 1, 2], temporal_expansions=[1, 2, 3], spatial_expansions=[2, 2, 2], num_res_blocks=blocks, latent_dim=12,
            has_attention=[False] * 5, padding_mode="replicate", output_norm=False)


if __name__ == "__main__":
    network = AsymmDiTJoint(
        patch_size=2, in_channels=12, hidden_size_x=64, hidden_size_y=32, depth=2, num_heads=2, mlp_ratio_x=4.0, mlp_ratio_y=4.0, use_t5=True, t5_feat_dim=32, learn_sigma=False,
        timestep_scale=1000.0, qk_norm=True, qkv_bias=False, operations=comfy.ops.disable_weight_init)
    x = r.normal("x", 2, 12, 3, 6, 4)
    r.record("network", network, {
        "out": lambda m: some(m(x, t, text, mask, num_tokens=8)),
        "all": lambda m: some(m(x, t, text, torch.ones(2, 9))),
    })
    calls = {f"decode{n}": lambda m, n=n: some(m.decoder(r.normal(f"z{n}", 1, 12, n, 3, 2))[0].movedim(1, 0)) for n in (1, 3)}
    calls |= {f"encode{n}": lambda m, n=n: some(m.encoder(r.normal(f"p{n}", n, 3, 16, 24).movedim(0, 1)[None]).mode()) for n in (1, 9, 13)}
    r.record("vae", VAE(), calls)
