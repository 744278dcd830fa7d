"""Results of upstream's tiled passes over videos, of functions that tell where in a tile a value lies. Every 7th value is kept.

usage: python tiled.py COMFYUI > tiled.json
"""
import json, sys
sys.path[:0] = sys.argv[1:2]
sys.argv = [sys.argv[0], "--cpu"]
import comfy.options
comfy.options.enable_args_parsing()
import torch
import comfy.utils
from comfy.ldm.seedvr.vae import tiled_vae


def ramp(*sizes):
    f, y, x = (torch.arange(n, dtype=torch.float32) for n in sizes)
    return f[:, None, None] * 0.01 + y[:, None] * 0.002 + x * 0.0003


def values(*shape):
    n = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    return torch.sin(n * 0.37).float().reshape(shape)


def decode(z):
    t = z.shape[2] * 4 - 3
    y = z[:, :, (torch.arange(t) + 3) // 4].repeat_interleave(2, 3).repeat_interleave(2, 4)
    return y + ramp(*y.shape[2:])


def encode(x):
    z = x[:, :, ::4, ::2, ::2]
    return z + ramp(*z.shape[2:])


def up(n):
    return max(0, n * 4 - 3)


def down(n):
    return max(0, (n + 3) // 4)


out = []
for shape, tile, overlap in (([1, 3, 5, 6, 7], [3, 4, 4], [1, 1, 1]), ([2, 3, 4, 9, 5], [2, 4, 6], [1, 2, 2]), ([1, 3, 1, 5, 9], [9, 4, 4], [1, 2, 2])):
    y = comfy.utils.tiled_scale_multidim(values(*shape), decode, tile=tile, overlap=overlap, upscale_amount=(up, 2, 2), index_formulas=(4, 2, 2))
    out.append({"op": "decode", "shape": shape, "tile": tile, "overlap": overlap, "values": y.movedim(1, -1).flatten()[::7].tolist()})
for shape, tile, overlap in (([1, 3, 17, 12, 14], [9, 8, 8], [5, 4, 4]), ([1, 3, 13, 10, 6], [5, 8, 8], [1, 2, 2])):
    y = comfy.utils.tiled_scale_multidim(values(*shape), encode, tile=tile, overlap=overlap, upscale_amount=(down, 2, 2), out_channels=3, downscale=True, index_formulas=(4, 2, 2))
    out.append({"op": "encode", "shape": shape, "tile": tile, "overlap": overlap, "values": y.flatten()[::7].tolist()})
class Model:
    """The functions as a network with tiles of its own."""
    spatial_downsample_factor, temporal_downsample_factor, device = 2, 4, torch.device("cpu")
    decode_, encode = staticmethod(decode), staticmethod(encode)


for op, shape, tile, overlap in (
    ("decode", [1, 3, 3, 9, 7], [4, 5], 2), ("decode", [1, 3, 1, 6, 13], [4, 4], 0), ("decode", [1, 3, 2, 4, 4], [4, 4], 1),
    ("encode", [1, 3, 5, 22, 30], [8, 12], 4), ("encode", [1, 3, 9, 14, 20], [8, 8], 2),
):
    k = 2 if op == "decode" else 1
    y = tiled_vae(values(*shape), Model(), [k * n for n in tile], [k * overlap] * 2, temporal_size=None, encode=op == "encode")
    out.append({"op": op, "inner": True, "shape": shape, "tile": [0, *tile], "overlap": [0, overlap], "values": (y.movedim(1, -1) if k == 2 else y).flatten()[::7].tolist()})
print(json.dumps([{k: v if k != "values" else [float("%.9g" % f) for f in v] for k, v in c.items()} for c in out]))
