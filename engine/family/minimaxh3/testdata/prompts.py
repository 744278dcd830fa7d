"""The tokens of ComfyUI 0.33.0 for prompts of MiniMax H3 and their kinds. An image is [-1, height, width, frames].

usage: python prompts.py COMFYUI
"""
import json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, sys.argv[1])
sys.argv = [sys.argv[0], "--cpu"]
import comfy.options
comfy.options.enable_args_parsing()
import torch
from comfy.text_encoders import minimax, qwen_vl

tokenizer = minimax.MiniMaxH3Tokenizer()


def image(n, h, w):
    return torch.zeros(n, h, w, 3)


def tokens(text, **kw):
    row = tokenizer.tokenize_with_weights(text, **kw)["qwen3vl_32b"][0]
    ids, info, at = [], [], 0
    for t, _ in row:
        if not isinstance(t, dict):
            ids.append(int(t))
            at += 1
            continue
        data, block = t["data"], t.get("minimax_video_block", False)
        grid = (minimax.process_video_block(data) if block else qwen_vl.process_qwen2vl_images(data, patch_size=16))[1]
        size = int(grid.prod()) // 4
        ids.append([-1, data.shape[1], data.shape[2], 2 if block else 1])
        info.append({"type": "image", "index": at, "size": size})
        at += size
    return {"tokens": ids, "tags": minimax.token_tags_from_embeds_info(at, info).tolist()}


out = {
    "text": tokens("A (cat:1.5) runs [fast], 日本."),
    "empty": tokens(""),
    "images": tokens("a video", images=[image(1, 64, 96), image(1, 50, 200)]),
    "references": tokens("<Picture 1> and <Video 1>", minimax_ref_items=[
        {"type": "image", "data": image(1, 32, 32)}, {"type": "audio"}, {"type": "video", "data": image(3, 64, 64), "timestamps": [0.0, 0.5, 1.0]},
        {"type": "audio"}, {"type": "image", "data": image(1, 96, 64)}]),
}
json.dump(out, open(os.path.join(here, "prompts.json"), "w"))
