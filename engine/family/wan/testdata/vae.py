"""What ComfyUI 0.33.0's WanVAE computes with small weights (torch 2, CPU, float32).

usage: python vae.py COMFYUI RECIPE OUT; RECIPE is the folder of recipe.py, whose normal_array makes weights and inputs. The
weight KEY is normal_array("wan/KEY") / sqrt(fan in) for convolutions, 1 + normal/8 for gammas, normal/10 for biases.  The tests state the tolerance.
"""
import json, math, sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
out = sys.argv[3]
sys.argv = ["x", "--cpu"]
import comfy.options
comfy.options.enable_args_parsing()
import torch, recipe
from comfy.ldm.wan.vae import WanVAE
from safetensors.numpy import save_file

vae = WanVAE(dim=8, z_dim=16, dim_mult=[1, 2, 4, 4], num_res_blocks=1, attn_scales=[], temperal_downsample=[False, True, True]).eval()
shapes = []
for k, p in vae.state_dict().items():
    v = recipe.normal_array("wan/" + k, list(p.shape))
    if k.endswith("gamma"):
        v = 1 + v / 8
    elif k.endswith("bias"):
        v = v / 10
    else:
        v = v / math.sqrt(math.prod(p.shape[1:]))
    p.copy_(torch.from_numpy(v.astype("float32")))
    shapes.append([k, list(p.shape)])
tensors = {}
with torch.no_grad():
    for t in (1, 2, 3):
        z = torch.from_numpy(recipe.normal_array(f"wan/z{t}", [1, 16, t, 3, 2]))
        tensors[f"decode{t}"] = vae.decode(z)[0].movedim(1, 0).contiguous().numpy()
    for t in (1, 5, 9):
        x = torch.from_numpy(recipe.normal_array(f"wan/x{t}", [t, 3, 16, 24]))
        tensors[f"encode{t}"] = vae.encode(x.movedim(0, 1)[None]).contiguous().numpy()
save_file(tensors, out + ".safetensors")
json.dump({"shapes": shapes}, open(out + ".json", "w"))
