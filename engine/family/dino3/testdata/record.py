"""What ComfyUI 0.33.0's DINOv3 computes with small weights.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
torch.set_num_threads(1)
import comfy.ops
from comfy.image_encoders.dino3 import DINOv3ViTModel
from comfy.image_encoders.naf import NAF

ops = comfy.ops.disable_weight_init


def net(gated, layers=2):
    return DINOv3ViTModel(dict(num_hidden_layers=layers, hidden_size=128, num_attention_heads=2, num_register_tokens=4, intermediate_size=96, layer_norm_eps=1e-5, num_channels=3,
                               patch_size=16, rope_theta=100.0, use_gated_mlp=gated), torch.float32, "cpu", ops)


if __name__ == "__main__":
    r = recording.Recorder("dino3", here)
    x = r.normal("x", 2, 3, 50, 64).div(6).add(0.5).clamp(0, 1)
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    for name, gated in [("plain", False), ("gated", True)]:
        r.record(name, net(gated), {"last": lambda m: m((x - mean) / std)[0], "class": lambda m: m((x - mean) / std)[2]})

    class Refined(torch.nn.Module):
        """The upsampler at its place in a file; its periods are those of the published one."""
        def __init__(self):
            super().__init__()
            self.naf = NAF(ops, dim=64)

    def fine(m, side):
        m.naf.image_encoder.rope.periods.copy_(100.0 ** (2 * torch.arange(4) / 8))
        return m.naf(r.normal("image", 1, 3, 64, 64).div(6).add(0.5).clamp(0, 1), r.normal("features", 1, 8, 8, 8), (side, side))
    # Those at every pixel, and at places that are none.
    places = torch.tensor([[-3.0, 5.0], [0.25, 31.75], [17.5, 12.125], [40.0, 40.0]])
    sampled = lambda m: torch.nn.functional.grid_sample(fine(m, 32), ((2 * places + 1) / 32 - 1).view(1, -1, 1, 2), padding_mode="border", align_corners=False)[0, :, :, 0].T
    r.record("naf", Refined(), {"fine": lambda m: fine(m, 32)[:, :, ::3, ::5], "same": lambda m: fine(m, 64)[:, :, ::7, ::9], "sampled": sampled})
