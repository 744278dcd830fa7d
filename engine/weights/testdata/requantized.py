"""Writes requantized.json.gz: how ComfyUI stores small weights again after a LoRA changed them, in each quantized format, and which
values old files of scaled 8-bit floats get.

usage: python requantized.py COMFYUI_FOLDER OUT   (ComfyUI 0.33.0, comfy-kitchen 0.2.31)
"""
import gzip
import json
import sys

comfyui, out = sys.argv[1:3]
sys.argv = ["main", "--cpu"]
sys.path.insert(0, comfyui)
import comfy.options

comfy.options.enable_args_parsing()
import torch
import comfy.float
import comfy.utils
from comfy.quant_ops import QuantizedTensor

rng = torch.Generator().manual_seed(5)
KEY = "diffusion_model.layer.weight"
seed = comfy.utils.string_to_seed(KEY)


def rand(*shape):
    return torch.round(torch.randn(*shape, generator=rng) * 512) / 1024


def plain(t):
    return [float(f"{v:.9g}") for v in t.float().flatten()]


def raw(t):
    return [int(v) for v in t.contiguous().flatten().view(torch.uint8)]


cases = []


def case(name, shape, layout, **kwargs):
    w, changed = rand(*shape), rand(*shape)
    q = QuantizedTensor.from_float(w.clone(), layout, **kwargs)
    stored = {k.lstrip("._"): raw(v) for k, v in q.state_dict("").items()}
    shapes = {k.lstrip("._"): list(v.shape) for k, v in q.state_dict("").items()}
    r = q.requantize_from_float(changed.clone(), scale="recalculate", stochastic_rounding=seed, inplace_ops=True)
    cases.append({
        "name": name, "shape": list(shape), "stored": stored, "shapes": shapes, "before": plain(q.dequantize()),
        "changed": plain(changed), "after": plain(r.dequantize()),
    })


case("float8_e4m3fn", (16, 32), "TensorCoreFP8E4M3Layout", scale="recalculate")
case("float8_e5m2", (12, 32), "TensorCoreFP8E5M2Layout", scale="recalculate")
case("nvfp4", (16, 48), "TensorCoreNVFP4Layout", scale="recalculate")
case("mxfp8", (32, 64), "TensorCoreMXFP8Layout")
case("int8_tensorwise", (12, 32), "TensorWiseINT8Layout", scale="recalculate")
case("int8_tensorwise by rows", (12, 32), "TensorWiseINT8Layout", scale="recalculate", per_channel=True)
case("int8_tensorwise rotated", (12, 32), "TensorWiseINT8Layout", scale="recalculate", per_channel=True, convrot=True, convrot_groupsize=16)

rounded = []
for name, dtype in (("F8_E4M3", torch.float8_e4m3fn), ("F8_E5M2", torch.float8_e5m2)):
    w = torch.cat([rand(200), torch.linspace(-2, 2, 150), 2.0 ** torch.linspace(-20, 8, 150), torch.tensor([0.0, 447.0, 500.0])])
    rounded.append({"type": name, "values": plain(w), "after": plain(comfy.float.stochastic_rounding(w, dtype, seed=seed))})

every = torch.arange(256, dtype=torch.uint8)
recast = {"e5m2": plain(every.view(torch.float8_e5m2).to(torch.float8_e4m3fn).float().nan_to_num(-1)), "e4m3": plain(every.view(torch.float8_e4m3fn).to(torch.float8_e5m2).float().nan_to_num(-1))}

with gzip.GzipFile(out, "wb", mtime=0) as f:
    f.write(json.dumps({"key": KEY, "cases": cases, "rounded": rounded, "recast": recast}, separators=(",", ":")).encode())
