"""Tokens that ComfyUI 0.33.0's sample_token chooses (torch 2, CPU, float32), one after another from logits of its own each.

usage: python sample.py COMFYUI RECIPE OUT.json; RECIPE is the folder of recipe.py. The logits of step I are three times
normal_array("textgen/I").
"""
import json, sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
out = sys.argv[3]
sys.argv = ["x", "--cpu"]
import comfy.options
comfy.options.enable_args_parsing()
import torch, recipe
from comfy.text_encoders.llama import BaseGenerate

VOCAB, STEPS = 400, 24
cases = [
    dict(temperature=0.7, top_k=64, top_p=0.95, min_p=0.05, repetition_penalty=1.05, presence_penalty=0.0, seed=0),
    dict(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, repetition_penalty=1.0, presence_penalty=0.0, seed=1),
    dict(temperature=1.5, top_k=0, top_p=0.9, min_p=0.0, repetition_penalty=1.0, presence_penalty=2.0, seed=2**63 + 5),
    dict(temperature=2.0, top_k=0, top_p=0.5, min_p=0.1, repetition_penalty=5.0, presence_penalty=0.5, seed=123456789012345),
    dict(temperature=0.01, top_k=1000, top_p=0.0, min_p=1.0, repetition_penalty=0.5, presence_penalty=0.0, seed=7),
    dict(temperature=1.3, top_k=5, top_p=1.0, min_p=0.0, repetition_penalty=1.2, presence_penalty=5.0, seed=2**64 - 1),
    dict(temperature=1.0, top_k=1, top_p=0.95, min_p=0.05, repetition_penalty=1.0, presence_penalty=0.0, seed=3),
]
for c in cases:
    g, ids = torch.Generator().manual_seed(c["seed"]), []
    options = {k: v for k, v in c.items() if k != "seed"}
    for step in range(STEPS):
        logits = 3 * torch.from_numpy(recipe.normal_array(f"textgen/{step}", [1, VOCAB]))
        ids.append(BaseGenerate().sample_token(logits.clone(), token_history=list(ids), generator=g, do_sample=True, **options)[0].item())
    c["ids"] = ids
json.dump(cases, open(out, "w"))
