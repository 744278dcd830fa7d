"""Records what upstream's text encoder models keep of an encoding, for joins_test.go.

    python joins.py COMFYUI > joins.json

The networks are left out: the states of token i are the number i, so that the result says which tokens were kept.
"""

import json
import sys

sys.path.insert(0, sys.argv[1])
sys.argv = sys.argv[:1] + ["--cpu"]
import comfy.options

comfy.options.enable_args_parsing()
import torch
from comfy import sd1_clip
from comfy.text_encoders import flux, hunyuan_image, hunyuan_video, kandinsky5, krea2, longcat_image, ovis, qwen_image, z_image

PROMPTS = ["", "a photo of a cat", 'a sign that says "hello" and “bye”', "<|im_start|>user\nhi<|im_end|>\n", "<|im_start|>system\nx<|im_end|>\n<|im_start|>user\nhi", "describe the background: a wall"]


def encode(layers, zero):
    def f(self, tokens):
        row = tokens[next(iter(tokens))][0] if self.clip_name not in tokens else tokens[self.clip_name][0]
        n = len(row)
        out = torch.arange(n, dtype=torch.float32).reshape(1, n, 1)
        if layers > 1:
            out = torch.stack([out[0] + 1000 * k for k in range(layers)]).unsqueeze(0)
        mask, seen = [], False
        for t in row:
            seen = seen or t[0] == 151643
            mask.append(0 if seen else 1)
        r = (out, None)
        return r if zero else r + ({"attention_mask": torch.tensor([mask])},)
    return f


def case(kind, tokenizer, cls, name, layers=1, zero=False):
    out = []
    model = cls.__new__(cls)
    torch.nn.Module.__init__(model)
    model.clip_name = model.clip = name
    model.byt5_small = None
    model.clip_l = type("L", (torch.nn.Module,), {"encode_token_weights": lambda self, t: (None, torch.zeros(1, 1))})()
    sd1_clip.SD1ClipModel.encode_token_weights = encode(layers, zero)
    tok = tokenizer()
    for p in PROMPTS:
        o, _, extra = model.encode_token_weights(tok.tokenize_with_weights(p))
        mask = extra.get("attention_mask")
        out.append({"prompt": p, "shape": list(o.shape), "first": o[0, 0].tolist(), "last": o[0, -1].tolist(), "masked": None if mask is None else int((mask == 0).sum())})
    return {"type": kind, "key": name, "layers": layers, "cases": out}


print(json.dumps([
    case("qwen_image", qwen_image.QwenImageTokenizer, qwen_image.QwenImageTEModel, "qwen25_7b"),
    case("hunyuan_image", hunyuan_image.HunyuanImageTokenizer, hunyuan_image.HunyuanImageTEModel, "qwen25_7b"),
    case("hunyuan_video_15", hunyuan_video.HunyuanVideo15Tokenizer, hunyuan_image.HunyuanImageTEModel, "qwen25_7b"),
    case("kandinsky5", kandinsky5.Kandinsky5Tokenizer, kandinsky5.Kandinsky5TEModel, "qwen25_7b"),
    case("kandinsky5_image", kandinsky5.Kandinsky5TokenizerImage, kandinsky5.Kandinsky5TEModel, "qwen25_7b"),
    case("longcat_image", longcat_image.LongCatImageTokenizer, longcat_image.LongCatImageTEModel, "qwen25_7b"),
    case("ovis", ovis.OvisTokenizer, ovis.OvisTEModel, "qwen3_2b", zero=True),
    case("krea2", krea2.Krea2Tokenizer, krea2.Krea2TEModel, "qwen3vl_4b", layers=12),
    case("flux2", flux.KleinTokenizer, flux.Flux2TEModel, "qwen3_4b", layers=3),
    case("lumina2", z_image.ZImageTokenizer, z_image.ZImageTEModel, "qwen3_4b"),
], ensure_ascii=False, separators=(",", ":")))
