"""Writes siglip.safetensors, siglip2.safetensors, llava.safetensors: small image encoders of ComfyUI 0.33.0's own classes with
random weights, images, what preprocessing makes of them ("pre.*") and what the encoders give ("out.*").

Usage, with ComfyUI's environment: record.py COMFYUI_FOLDER
"""
import os, sys

sys.path.insert(0, sys.argv[1])
sys.argv = ["record.py", "--cpu"]
import comfy.options
comfy.options.enable_args_parsing()
import torch
import comfy.clip_model as cm
import comfy.ops
from safetensors.torch import save_file

BASE = dict(hidden_size=16, intermediate_size=32, num_attention_heads=2, num_hidden_layers=3, num_channels=3)
HALF = [0.5, 0.5, 0.5]
CLIP = ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])
SIZES = {"wide": (20, 33), "tall": (41, 16), "same": (16, 16), "small": (7, 9)}


def run(name, seed, image, **config):
    torch.manual_seed(seed)
    config = {**BASE, **config, "image_size": image}
    # The projector's width is fixed at 4096 there; the class takes it as an argument.
    projector = config.pop("projector", None)
    m = cm.CLIPVisionModelProjection(config, torch.float32, "cpu", comfy.ops.manual_cast)
    if projector:
        m.multi_modal_projector = cm.LlavaProjector(config["hidden_size"], projector, torch.float32, "cpu", comfy.ops.manual_cast)
    with torch.no_grad():
        for k, p in m.named_parameters():
            p.copy_(torch.randn_like(p) * (0.3 if p.dim() > 1 else 0.2) + (1.0 if "norm" in k and k.endswith("weight") else 0.0))
    out = dict(m.state_dict())
    for size, (h, w) in SIZES.items():
        img = torch.rand(1, h, w, 3 if size != "tall" else 4)
        out[f"in.{size}"] = img
        for crop in (True, False):
            if config["model_type"] == "siglip2_vision_model":
                x = cm.siglip2_preprocess(img, size=-1, patch_size=4, num_patches=config["num_patches"], mean=HALF, std=HALF, crop=crop)
            else:
                mean, std = (HALF, HALF) if config["model_type"] == "siglip_vision_model" else CLIP
                x = cm.clip_preprocess(img, size=image, mean=mean, std=std, crop=crop)
            out[f"pre.{size}.{crop}".lower()] = x.contiguous()
        if size == "wide":
            with torch.no_grad():
                o = m(pixel_values=x, intermediate_output="all" if config["model_type"] == "siglip_vision_model" else -2)
            for i, v in enumerate(o):
                if v is not None:
                    out[f"out.{i}"] = v.contiguous()
    save_file({k: v.contiguous().clone() for k, v in out.items()}, os.path.join(os.path.dirname(os.path.abspath(__file__)), name + ".safetensors"))


run("siglip", 1, 16, patch_size=4, hidden_act="gelu_pytorch_tanh", model_type="siglip_vision_model")
run("siglip2", 2, -1, patch_size=4, hidden_act="gelu_pytorch_tanh", model_type="siglip2_vision_model", num_patches=16)
run("llava", 3, 16, patch_size=4, hidden_act="gelu", model_type="clip_vision_model", projection_dim=24, projector=48)
