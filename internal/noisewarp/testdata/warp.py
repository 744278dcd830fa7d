"""What ComfyUI 0.33.0 makes of noise that moves, for warp_test.go. Every 7th value is kept.

usage: python warp.py COMFYUI > warp.json
"""
import json, sys
sys.path[:0] = sys.argv[1:2]
sys.argv = [sys.argv[0], "--cpu"]
import comfy.options
comfy.options.enable_args_parsing()
import torch
from comfy_extras import void_noise_warp as warp


def flow(k, h, w, size):
    n = torch.arange(2 * h * w, dtype=torch.float64)
    return (torch.sin(n * 0.37 + k) * size).float().reshape(2, h, w)


out = {}
for name, h, w, size in (("small", 32, 48, 0.9), ("far", 32, 48, 9.0), ("wide", 64, 32, 2.5)):
    torch.manual_seed(0)
    x = warp.NoiseWarper(3, h, w, "cpu")
    for k in range(3):
        x(*flow(k, h // 8, w // 8, size))
    small = warp._torch_resize_chw(x.noise, 1 / 4, "area", copy=False) * 4
    out[name] = [float("%.9g" % v) for v in torch.cat([x.noise.flatten(), small.flatten()])[::7].tolist()]
print(json.dumps(out))
