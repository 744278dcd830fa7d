"""What ComfyUI 0.33.0's HeatmapHead makes of heatmaps, and its nodes of the key points.

usage: python heatmaps.py COMFYUI > heatmaps.json
"""
import json, math, sys
sys.path[:0] = sys.argv[1:2]
sys.argv = [sys.argv[0], "--cpu"]
import comfy.options
comfy.options.enable_args_parsing()
import numpy as np
import torch
from comfy.ldm.modules.sdpose import HeatmapHead
from comfy_extras import nodes_sdpose

K, H, W = 133, 16, 12


def heatmaps():
    """Hills in different places, one at a border, and a map below zero."""
    y, x = torch.meshgrid(torch.arange(H, dtype=torch.float64), torch.arange(W, dtype=torch.float64), indexing="ij")
    maps = []
    for k in range(K):
        cx, cy = (k * 1.7) % (W - 1), (k * 2.3 + 0.4) % (H - 1)
        hill = (0.4 + 0.6 * ((k * 7) % 10) / 10) * torch.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * (1.5 + 0.1 * (k % 5)) ** 2)) + 0.01 * torch.sin(x * 0.9 + k) * torch.cos(y * 0.7)
        maps.append(hill if k != 20 else -hill.abs() - 0.1)
    return torch.stack(maps).float()


head = HeatmapHead(in_channels=1, out_channels=K, input_size=(4 * W, 4 * H), deconv_out_channels=(), conv_out_channels=(), operations=torch.nn)
head.final_layer = torch.nn.Identity()
points, scores = head(heatmaps()[None])
frames = nodes_sdpose._to_openpose_frames([[points[0]]], [[scores[0]]], 64, 48)


def short(v):
    return float("%.9g" % v)


print(json.dumps({
    "points": [short(v) for v in np.concatenate([points[0], scores[0][:, None]], axis=1).flatten().tolist()],
    "person": {k: [short(x) for x in v] for k, v in frames[0]["people"][0].items()},
}))
