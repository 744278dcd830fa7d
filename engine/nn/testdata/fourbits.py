"""Weights that comfy-kitchen 0.2.31 stores in four bits (convrot_w4a4, asym_w4a8_int8), decoded, and what its linear layers make of an input
(torch 2, CPU, float32).

usage: python fourbits.py RECIPE OUT.json; RECIPE is the folder of recipe.py
"""
import json, sys
sys.path.insert(0, sys.argv[1])
import torch, recipe
from comfy_kitchen.backends.eager import convrot_w4a4, w4a8_int8

w = torch.from_numpy(recipe.normal_array("fourbits/w", [6, 64]))
x = torch.from_numpy(recipe.normal_array("fourbits/x", [3, 64]))
flat = lambda t: t.flatten().tolist()
data, scale = convrot_w4a4.quantize_convrot_w4a4_weight(w, 16)
out = {"convrot_w4a4": {
    "description": {"format": "convrot_w4a4", "convrot_groupsize": 16}, "weight": flat(data), "weight_scale": flat(scale),
    "decoded": flat(convrot_w4a4.dequantize_convrot_w4a4_weight(data, scale, 16)), "linear": flat(convrot_w4a4.convrot_w4a4_linear(x, data, scale, None, 16))}}
for name, group, codebook in (("codebook", 16, True), ("plain", 8, False)):
    data, rel, channel, correction, book = w4a8_int8.quantize_w4a8_int8_weight(w, group, 16, codebook=codebook)
    assert correction is None
    options = dict(codebook=book, group_size=group, convrot_groupsize=16)
    out[name] = {
        "description": {"format": "asym_w4a8_int8", "group_size": group, "convrot_groupsize": 16}, "weight": flat(data), "weight_s_rel": flat(rel.view(torch.uint8)),
        "weight_s_channel": flat(channel), "weight_codebook": flat(book) if codebook else None,
        "decoded": flat(w4a8_int8.dequantize_w4a8_int8_weight(data, rel, channel, output_dtype=torch.float32, **options)),
        "linear": flat(w4a8_int8.w4a8_int8_linear(x, data, rel, channel, out_dtype=torch.float32, **options))}
json.dump(out, open(sys.argv[2], "w"))
