"""What ComfyUI 0.33.0's WanVAE computes for images of four channels with small weights (torch 2, CPU, float32), as in vae.py.

usage: python layered.py COMFYUI RECIPE OUT
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

vae = WanVAE(dim=8, z_dim=16, dim_mult=[1, 2, 4, 4], num_res_blocks=1, attn_scales=[], temperal_downsample=[False, True, True], image_channels=4, conv_out_channels=4).eval()
shapes = []
for k, p in vae.state_dict().items():
    v = recipe.normal_array("wan/" + k, list(p.shape))
    v = 1 + v / 8 if k.endswith("gamma") else v / 10 if k.endswith("bias") else v / math.sqrt(math.prod(p.shape[1:]))
    p.copy_(torch.from_numpy(v.astype("float32")))
    shapes.append([k, list(p.shape)])
with torch.no_grad():
    z, x = torch.from_numpy(recipe.normal_array("wan/z1", [1, 16, 1, 3, 2])), torch.from_numpy(recipe.normal_array("wan/x1", [1, 4, 16, 24]))
    tensors = {"decode1": vae.decode(z)[0].movedim(1, 0).contiguous().numpy(), "encode1": vae.encode(x.movedim(0, 1)[None]).contiguous().numpy()}
save_file(tensors, out + ".safetensors")
json.dump({"shapes": shapes}, open(out + ".json", "w"))
