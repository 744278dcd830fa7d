"""What ComfyUI 0.33.0's module of RT-DETR v4 computes with small weights.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.ldm.rt_detr import rtdetr_v4 as rtdetr
torch.set_num_threads(1)


class Backbone(rtdetr.HGNetv2):
    _STAGE_CFGS = [[64, 8, 16, 1, False, False, 3, 2], [16, 8, 16, 2, True, False, 3, 2], [16, 8, 32, 2, True, True, 5, 2], [32, 8, 32, 1, True, True, 5, 1]]


def small(encoder=32):
    """A network of the published form with fewer channels: enc_h of the encoder, 32 of the decoder, of two layers."""
    o = {"dtype": torch.float32, "device": "cpu", "operations": comfy.ops.disable_weight_init}
    net = rtdetr.RTv4.__new__(rtdetr.RTv4)
    torch.nn.Module.__init__(net)
    net.backbone = Backbone(**o)
    net.encoder = rtdetr.HybridEncoder(in_channels=(16, 32, 32), hidden_dim=encoder, dim_feedforward=48, depth_mult=1 / 3, **o)
    net.decoder = rtdetr.DFINETransformer(num_classes=80, hidden_dim=32, feat_channels=[encoder] * 3, dim_feedforward=48, num_layers=2, **o)
    net.num_classes, net.num_queries, net.dtype, net.load_device = 80, 300, torch.float32, torch.device("cpu")
    return net


def found(net):
    """The boxes of each image, behind them the logits of every tenth class."""
    out = net._forward(x)
    return torch.cat([out["pred_boxes"], out["pred_logits"][..., ::10]], -1)


if __name__ == "__main__":
    r = recording.Recorder("rtdetr", here)
    x = r.normal("x", 2, 3, 640, 640).div(6).add(0.5).clamp(0, 1)
    plain = rtdetr.DFINETransformer(device="cpu", dtype=torch.float32, operations=comfy.ops.disable_weight_init, num_layers=1)
    for name, width in [("small", 32), ("wide", 64)]:
        r.record(name, small(width), {
            "found": found,
            "anchors": lambda m: plain.anchors.clamp(max=1e9)[:, ::29], "project": lambda m: plain.decoder.project,
        })
