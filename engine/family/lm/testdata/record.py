"""Records a small vision tower of Qwen 2.5 VL, what upstream's module makes of an image, and the positions of tokens.

    python record.py COMFYUI vision.safetensors
"""

import sys

out = sys.argv[2]
sys.path.insert(0, sys.argv[1])
sys.argv = sys.argv[:1] + ["--cpu"]
import comfy.options

comfy.options.enable_args_parsing()
import comfy.ops
import torch
from comfy.text_encoders import llama, qwen_vl
from safetensors.torch import save_file

torch.manual_seed(1)
model = qwen_vl.Qwen2VLVisionTransformer(hidden_size=32, output_hidden_size=24, intermediate_size=48, num_heads=2, num_layers=9, dtype=torch.float32, device="cpu", ops=comfy.ops.disable_weight_init)
weights = {}
for name, p in model.state_dict().items():
    w = torch.randn(p.shape) * (p[0].numel() ** -0.5 if p.dim() > 1 else 0.1)
    if p.dim() == 1 and name.endswith("weight"):
        w = 1 + w
    weights["visual." + name] = w.to(torch.float16)
model.load_state_dict({k.removeprefix("visual."): v.float() for k, v in weights.items()})
n = torch.arange(150 * 190 * 3)
image = (((n * 7919) % 256).float() / 255).reshape(1, 150, 190, 3)
with torch.no_grad():
    pixels, grid = qwen_vl.process_qwen2vl_images(image)
    weights["golden.vectors"] = model(pixels, grid).contiguous()
weights["golden.grid"] = grid.float()

# Positions: 5 tokens, an image of 4x6 patches, 3 tokens, one of 6x2, 4 tokens of which the last two are padding.
seen = {}


class Spy(llama.BaseLlama):
    def forward(self, *args, position_ids=None, **kwargs):
        seen["ids"] = position_ids


class Probe(llama.Qwen25_7BVLI):
    def __init__(self):
        torch.nn.Module.__init__(self)


llama.BaseLlama.forward = Spy.forward
info = [{"type": "image", "index": 5, "size": 6, "extra": torch.tensor([[1, 4, 6]])}, {"type": "image", "index": 14, "size": 3, "extra": torch.tensor([[1, 6, 2]])}]
mask = torch.ones(1, 21, dtype=torch.long)
mask[0, 19:] = 0
Probe().forward(None, attention_mask=mask, embeds=torch.zeros(1, 21, 8), embeds_info=info)
weights["golden.positions"] = seen["ids"].float()
save_file(weights, out)
