"""Writes forms.json.gz: what ComfyUI makes of small weights with adapters of each method, for a layer "a" whose weight is
"l.weight". output is the layer as a bypass loader changes it: its weight and bias, read off what it gives.

usage: python forms.py COMFYUI_FOLDER OUT   (ComfyUI 0.33.0)
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
import comfy.lora
from comfy.weight_adapter.bypass import BypassForwardHook

rng = torch.Generator().manual_seed(11)


def rand(*shape):
    return torch.round(torch.randn(*shape, generator=rng) * 512) / 1024


def plain(t):
    return {"shape": list(t.shape), "data": [round(float(v), 7) for v in t.flatten()]}


cases = []


def swap(t):
    first, second = t.chunk(2, dim=0)
    return torch.cat([second, first], dim=0)


def case(name, weight, strength, bypass=False, swapped=False, **tensors):
    tensors = {"a." + k.replace("__", "."): v for k, v in tensors.items()}
    w = rand(*weight)
    c = {"name": name, "strength": strength, "swapped": swapped, "weight": plain(w), "file": {k: plain(v) for k, v in tensors.items()}}
    adapter = comfy.lora.load_lora(dict(tensors), {"a": "l.weight"})["l.weight"]
    c["result"] = plain(comfy.lora.calculate_weight([(strength, adapter, 1.0, None, swap if swapped else None)], w.clone(), "l.weight"))
    if bypass:
        b = rand(weight[0])
        layer = torch.nn.Linear(weight[1], weight[0])
        layer.weight.data, layer.bias.data = w.clone(), b.clone()
        BypassForwardHook(layer, adapter, strength).inject()
        with torch.no_grad():
            zero = layer(torch.zeros(weight[1]))
            c["output"] = plain(torch.stack([layer(row) - zero for row in torch.eye(weight[1])]).T)
        c["bias"], c["output_bias"] = plain(b), plain(zero)
    cases.append(c)


T = torch.tensor
case("OFT", (6, 4), 0.7, True, oft_blocks=rand(2, 3, 3))
case("OFT with a bound", (6, 4), 1.3, True, oft_blocks=rand(2, 3, 3), alpha=T(0.2))
case("OFT of a convolution", (6, 2, 3, 3), 0.5, oft_blocks=rand(3, 2, 2))
case("OFT with rescale", (6, 4), 0.7, True, oft_blocks=rand(2, 3, 3), rescale=rand(6, 1))
case("OFT with magnitudes", (6, 4), 0.7, oft_blocks=rand(2, 3, 3), alpha=T(0.5), dora_scale=rand(6, 1))
case("BOFT", (16, 3), 0.7, True, oft_blocks=rand(3, 4, 4, 4), alpha=T(0.0))
case("BOFT with a bound", (8, 3), 1.0, True, oft_blocks=rand(2, 4, 2, 2), alpha=T(0.3))
case("BOFT of a convolution", (8, 2, 3, 3), 0.5, oft_blocks=rand(1, 2, 4, 4), alpha=T(0.0), rescale=rand(8, 1, 1, 1))
case("GLoRA", (6, 4), 0.7, a1__weight=rand(4, 2), a2__weight=rand(2, 4), b1__weight=rand(6, 2), b2__weight=rand(2, 4), alpha=T(3.0))
case("GLoRA of a convolution", (6, 4, 3, 3), 0.7, a1__weight=rand(4, 2), a2__weight=rand(2, 4), b1__weight=rand(6, 2), b2__weight=rand(2, 36))
case("GLoRA of old files", (6, 4), 0.7, a1__weight=rand(2, 4), a2__weight=rand(4, 2), b1__weight=rand(2, 4), b2__weight=rand(6, 2), alpha=T(1.0))
case("GLoRA of old files, a convolution", (6, 2, 3, 3), 0.7, a1__weight=rand(3, 18), a2__weight=rand(18, 3), b1__weight=rand(3, 18), b2__weight=rand(6, 3))
case("GLoRA of a square", (4, 4), 0.7, a1__weight=rand(4, 4), a2__weight=rand(4, 4), b1__weight=rand(4, 4), b2__weight=rand(4, 4), alpha=T(2.0))
case("GLoRA with magnitudes", (6, 4), 0.7, a1__weight=rand(4, 2), a2__weight=rand(2, 4), b1__weight=rand(6, 2), b2__weight=rand(2, 4), dora_scale=rand(6, 1))
case("reshape", (4, 3), 0.7, lora_up__weight=rand(6, 2), lora_down__weight=rand(2, 5), alpha=T(3.0), reshape_weight=T([6, 5]))
case("reshape of a convolution", (4, 2, 3, 3), 0.7, lora_up__weight=rand(4, 2), lora_down__weight=rand(2, 4, 3, 3), reshape_weight=T([4, 4, 3, 3]))
case("LoRA with magnitudes", (6, 4), 0.7, True, lora_up__weight=rand(6, 2), lora_down__weight=rand(2, 4), dora_scale=rand(6, 1))
case("LoKr of two products", (6, 4), 0.7, True, lokr_w1_a=rand(2, 1), lokr_w1_b=rand(1, 2), lokr_w2_a=rand(3, 2), lokr_w2_b=rand(2, 2), alpha=T(3.0))
case("OFT, halves exchanged", (6, 4), 0.7, swapped=True, oft_blocks=rand(2, 3, 3))
case("GLoRA, halves exchanged", (6, 4), 0.7, swapped=True, a1__weight=rand(4, 2), a2__weight=rand(2, 4), b1__weight=rand(6, 2), b2__weight=rand(2, 4))
case("LoHa, halves exchanged", (6, 4), 0.7, swapped=True, hada_w1_a=rand(6, 2), hada_w1_b=rand(2, 4), hada_w2_a=rand(6, 2), hada_w2_b=rand(2, 4))
case("magnitudes of rows, halves exchanged", (6, 4), 0.7, swapped=True, lora_up__weight=rand(6, 2), lora_down__weight=rand(2, 4), dora_scale=rand(6, 1))
case("magnitudes of inputs, halves exchanged", (6, 4), 0.7, swapped=True, lora_up__weight=rand(6, 2), lora_down__weight=rand(2, 4), dora_scale=rand(1, 4))
case("BOFT without alpha", (8, 3), 0.7, True, oft_blocks=rand(2, 4, 2, 2))
case("LoKr in Tucker form", (6, 4, 3, 3), 0.7, lokr_w1=rand(2, 2), lokr_w2_a=rand(2, 3), lokr_w2_b=rand(2, 2), lokr_t2=rand(2, 2, 3, 3))
case("LoKr in Tucker form, first factor of one", (3, 2, 3, 3), 0.7, lokr_w1=rand(1, 1), lokr_w2_a=rand(2, 3), lokr_w2_b=rand(2, 2), lokr_t2=rand(2, 2, 3, 3))
case("LoRA and full difference", (6, 4), 0.7, lora_up__weight=rand(6, 2), lora_down__weight=rand(2, 4), diff=rand(6, 4))
case("LoRA and LoHa", (6, 4), 0.7, lora_up__weight=rand(6, 2), lora_down__weight=rand(2, 4), hada_w1_a=rand(6, 2), hada_w1_b=rand(2, 4), hada_w2_a=rand(6, 2), hada_w2_b=rand(2, 4))
case("OFT and GLoRA", (6, 4), 0.7, oft_blocks=rand(2, 3, 3), a1__weight=rand(4, 2), a2__weight=rand(2, 4), b1__weight=rand(6, 2), b2__weight=rand(2, 4))
case("magnitudes of a square weight", (4, 4), 0.7, lora_up__weight=rand(4, 2), lora_down__weight=rand(2, 4), dora_scale=rand(1, 4))
case("OFT at half", (6, 4), 0.5, True, oft_blocks=rand(2, 3, 3))
case("LoRA without alpha", (6, 4), 0.7, lora_up__weight=rand(6, 2), lora_down__weight=rand(2, 4))

with gzip.GzipFile(out, "wb", mtime=0) as f:
    f.write(json.dumps(cases, separators=(",", ":")).encode())
