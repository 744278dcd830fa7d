"""What ComfyUI 0.33.0's CLIP text model computes with small weights where padding is masked (torch 2, CPU, float32).

usage: python record.py COMFYUI RECIPE OUT; RECIPE is the folder of recipe.py, whose normal_array makes weights. The rule of the weights is that of
familytest.Recorded, with the salt "clip".
"""
import json, math, sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
out = sys.argv[3]
sys.argv = ["x", "--cpu"]
import comfy.options
comfy.options.enable_args_parsing()
import torch, recipe
import comfy.ops
from comfy.clip_model import CLIPTextModel
from safetensors.numpy import save_file

config = dict(num_hidden_layers=2, hidden_size=64, num_attention_heads=1, intermediate_size=96, hidden_act="gelu", vocab_size=300, max_position_embeddings=77, eos_token_id=299)
m = CLIPTextModel(config, torch.float32, "cpu", comfy.ops.disable_weight_init).eval()
shapes = []
for k, p in m.state_dict().items():
    v = recipe.normal_array("clip/" + k, list(p.shape))
    if p.dim() > 1:
        v = v / math.sqrt(math.prod(p.shape[1:]))
    elif k.endswith("weight"):
        v = 1 + v / 8
    else:
        v = v / 10
    p.copy_(torch.from_numpy(v.astype("float32")))
    shapes.append([k, list(p.shape)])
tokens = torch.tensor([[298, 5, 17, 40, 299] + [299] * 72])
mask = torch.tensor([[1] * 5 + [0] * 72])
with torch.no_grad():
    last, hidden, projected, pooled = m(tokens, attention_mask=mask, intermediate_output=-1, final_layer_norm_intermediate=False)[:4]
save_file({"hidden": hidden.contiguous().numpy(), "pooled": projected.contiguous().numpy()}, out + ".safetensors")
json.dump({"shapes": shapes}, open(out + ".json", "w"))
