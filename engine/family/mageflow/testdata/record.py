"""What ComfyUI 0.33.0's modules of Mage-Flow compute with small weights.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.ldm.mage_flow.model import MageFlowTransformer2DModel
from comfy.ldm.mage_flow.vae import DConvDenoiser, DConvEncoder, MageVAE

r = recording.Recorder("mageflow", here)
m = MageFlowTransformer2DModel(in_channels=128, num_layers=2, attention_head_dim=32, num_attention_heads=2, axes_dims_rope=(4, 14, 14), operations=comfy.ops.disable_weight_init)
t = torch.tensor([0.3, 0.8]).to(torch.bfloat16)  # model_base.MageFlow.process_timestep
x, c = r.normal("x", 2, 128, 3, 2), r.normal("context", 2, 5, 2560)
r.record("mageflow", m, {
    "out": lambda m: m(x, t, c),
    "refs": lambda m: m(x, t, c, ref_latents=[r.normal("ref0", 2, 128, 2, 3), r.normal("ref1", 2, 128, 3, 2)]),
})


class Halves(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.student = torch.nn.Module()
        self.student.dconv_encoder = DConvEncoder(z_ch=8, hidden_size=16, num_blocks=2, patch_size=4, head_size=24, num_head_blocks=1)
        self.pipeline = DConvDenoiser(patch_size=4, hidden_size=32, hidden_size_x=8, num_blocks=3, num_cond_blocks=2, bottleneck_dim=8)


def vae(m):
    v = MageVAE.__new__(MageVAE)
    torch.nn.Module.__init__(v)
    v.dconv_encoder, v.decoder_model, v.latent_channels, v.downsample_factor = m.student.dconv_encoder, m.pipeline, 8, 4
    return v


r.record("vae", Halves(), {
    "decode": lambda m: vae(m).decode(r.normal("z", 1, 8, 2, 33)),
    "encode": lambda m: vae(m).encode(r.normal("pixels", 1, 3, 12, 20)),
})
