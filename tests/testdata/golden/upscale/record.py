"""What spandrel 0.4.2 (which ComfyUI loads upscalers with) and ComfyUI's tiling make of pictures from the recipe.

python record.py COMFYUI MODELS GOLDEN OUT.safetensors
MODELS is the folder upscale_models that `go run ./tools/checkpoint` fills, GOLDEN the folder with recipe/recipe.py.
"""
import sys
from unittest.mock import MagicMock

sys.path[:0] = [sys.argv[1], sys.argv[3] + "/recipe"]
for absent in ("comfy_aimdo", "comfy_aimdo.host_buffer", "comfy_aimdo.torch", "comfy_aimdo.model_vbar", "comfy.quant_ops", "comfy.memory_management", "comfy.cli_args"):
    sys.modules[absent] = MagicMock()  # tiling needs none of them
import recipe
import torch
from comfy.utils import tiled_scale
from safetensors.torch import load_file, save_file
from spandrel import ModelLoader


def plus(sd):
    """ESRGAN+: further paths, whose weights are the middle taps of the first convolutions."""
    out = dict(sd)
    for k, v in sd.items():
        if k.endswith(".conv1.0.weight"):
            out[k.replace(".conv1.0.", ".conv1x1.")] = v[:, :, 1:2, 1:2].clone()
    return out


def flat(sd):
    """No enlarging: the doublings are left out."""
    out = {k: v for k, v in sd.items() if not k.startswith(("model.3.", "model.6."))}
    return {k.replace("model.8.", "model.2.").replace("model.10.", "model.4."): v for k, v in out.items()}


def main():
    folder, out = sys.argv[2], {}
    load = lambda name: load_file(f"{folder}/{name}.safetensors")
    old = load("esrgan-4x-old")
    models = {n: load(n) for n in ("esrgan-4x-old", "realesrgan-2x", "realesrgan-4x", "compact-2x")}
    models |= {"plus": plus(old), "flat": flat(old)}
    with torch.no_grad():
        for name, sd in models.items():
            m = ModelLoader().load_from_state_dict(sd).eval()
            h, w = (70, 1001) if name == "compact-2x" else (45, 47)
            x = torch.from_numpy(recipe.image_array("up-" + name, [1, h, w, 3])).movedim(-1, 1).float()
            y = tiled_scale(x, m, tile_x=512, tile_y=512, overlap=32, upscale_amount=m.scale)
            y = y.movedim(1, -1).clamp(0, 1)
            out[f"{name}_s97"] = y.flatten()[::97].contiguous()
            print(name, m.scale, tuple(y.shape), float(y.mean()), float(y.std()))
    save_file(out, sys.argv[4])


main()
