# Records what ComfyUI's PhotoMaker network computes with small weights that are sines of their index, for an image that is
# scaled and cut as its class does it, and for a second one at its side that has no effect:
#   python record.py COMFYUI > photomaker.json
import json, sys
sys.argv, root = sys.argv[:1] + ["--cpu"], sys.argv[1]
sys.path.insert(0, root)
import comfy.options
comfy.options.enable_args_parsing()
import torch
import comfy.clip_vision, comfy.ops
import comfy_extras.nodes_photomaker as pm

pm.VISION_CONFIG_DICT.update(hidden_size=64, image_size=16, intermediate_size=96, num_attention_heads=1, num_hidden_layers=2, patch_size=4, projection_dim=10)
net = pm.PhotoMakerIDEncoder().float()
net.visual_projection_2 = comfy.ops.manual_cast.Linear(64, 14, bias=False)
net.fuse_module = pm.FuseModule(24, comfy.ops.manual_cast)
state = {}
for n, name in enumerate(sorted(net.state_dict())):
    shape = net.state_dict()[name].shape
    i = torch.arange(shape.numel(), dtype=torch.float64)
    v = torch.sin(i * 0.7 + n + 1.0) * 0.2
    state[name] = (v + (1.0 if "norm" in name and name.endswith("weight") else 0.0)).to(torch.float32).reshape(shape)
net.load_state_dict(state)
image = (torch.sin(torch.arange(2 * 20 * 24 * 3, dtype=torch.float64) * 0.05).float().reshape(2, 20, 24, 3) + 1) / 2
text = torch.sin(torch.arange(77 * 24, dtype=torch.float64) * 0.3).float().reshape(1, 77, 24)
mask = torch.tensor([[i == 2 for i in range(77)]])
with torch.no_grad():
    pixels = comfy.clip_vision.clip_preprocess(image, size=16).float()
    out = net(id_pixel_values=pixels.unsqueeze(0), prompt_embeds=text.clone(), class_tokens_mask=mask)
rest = torch.cat([out[0, :2], out[0, 3:]])
assert torch.equal(rest, torch.cat([text[0, :2], text[0, 3:]]))
json.dump({"shapes": [[k, list(v.shape)] for k, v in sorted(state.items())], "token": out[0, 2].tolist()}, sys.stdout)
