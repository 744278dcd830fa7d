"""What ComfyUI 0.33.0's VOID_DDIM computes with a model that is a formula.

usage: python void.py COMFYUI > void.json
"""
import json, sys
sys.path[:0] = sys.argv[1:2]
sys.argv = [sys.argv[0], "--cpu"]
import comfy.options
comfy.options.enable_args_parsing()
import torch
from comfy_extras.nodes_void import VOID_DDIM

noise = torch.sin(torch.arange(12, dtype=torch.float64) * 0.7).float().reshape(1, 2, 3, 2)


def model(x, sigma, **options):
    return x / (1 + sigma.reshape(-1, 1, 1, 1)) - 0.25


sigmas = torch.tensor([4518.9, 20.5, 3.25, 0.5, 0.0])
out = {"sigmas": sigmas.tolist()}
for name, levels in {"whole": sigmas, "part": sigmas[:3]}.items():
    out[name] = [float("%.9g" % v) for v in VOID_DDIM().sample(model, levels, {}, None, noise, disable_pbar=True).flatten().tolist()]
json.dump(out, sys.stdout)
