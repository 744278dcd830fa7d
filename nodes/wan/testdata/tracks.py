"""What ComfyUI 0.33.0's functions make of tracks and small latents.

usage: python tracks.py COMFYUI > tracks.json
"""
import json, math, sys
sys.path[:0] = sys.argv[1:2]
sys.argv = [sys.argv[0], "--cpu"]
import comfy.options
comfy.options.enable_args_parsing()
import numpy as np
import torch
from comfy_extras import nodes_wan, nodes_wanmove


def values(*shape):
    n = torch.arange(math.prod(shape), dtype=torch.float64)
    return torch.sin(n * 0.37).float().reshape(shape)


def points(n, k):
    return [{"x": 5 + 3 * k + i * 0.7, "y": 30 - 4 * k + i * (0.2 * k - 0.1)} for i in range(n)]


out = []
for width, height, length, tracks in ((64, 48, 9, [points(121, 0), points(70, 1), points(130, 2)]), (32, 64, 5, [points(3, 0)])):
    arrays = np.stack([nodes_wan.pad_pts(t) for t in tracks], axis=0)
    motion = nodes_wan.process_tracks(arrays, (width, height), length - 1).unsqueeze(0)
    mask, moved = nodes_wan.patch_motion([motion], values(1, 2, (length - 1) // 4 + 1, height // 8, width // 8), temperature=50.0, topk=2, vae_divide=(4, 16))
    out.append({"width": width, "height": height, "length": length, "tracks": tracks, "moved": moved.flatten().tolist(), "mask": (1 - mask[:, :1]).flatten().tolist()})
path = torch.tensor([[[4.0 + 3 * f + 20 * n, 40.0 - 2 * f - 9 * n] for n in range(2)] for f in range(9)])
seen = torch.tensor([[f != 4, f > 2] for f in range(9)])
torch.manual_seed(0)
pos = nodes_wanmove.create_pos_embeddings(path, seen, [4, 8, 8], 48, 64, track_num=2)
z = nodes_wanmove.replace_feature(values(1, 2, 3, 6, 8), pos.unsqueeze(0), 0.75)
out.append({"width": 64, "height": 48, "length": 9, "points": path.flatten().tolist(), "visible": seen.float().flatten().tolist(), "moved": z.flatten().tolist()})
print(json.dumps([{k: [float("%.9g" % f) for f in v] if k in ("moved", "mask") else v for k, v in c.items()} for c in out]))
