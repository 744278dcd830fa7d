"""What ComfyUI 0.33.0's module of Jina CLIP 2's text half computes with small weights.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.text_encoders.jina_clip_2 import XLMRobertaModel

r = recording.Recorder("jina", here)
m = XLMRobertaModel(dict(vocab_size=40, hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=96), torch.float32, "cpu", comfy.ops.disable_weight_init)
tokens = torch.tensor([[0, 5, 17, 9, 33, 2, 1, 1]])
mask = torch.tensor([[1, 1, 1, 1, 1, 1, 0, 0]])
r.record("jina", m, {
    "out": lambda m: m(tokens, mask)[0], "pooled": lambda m: m(tokens, mask)[2],
})
