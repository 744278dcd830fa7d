# Records what ComfyUI's style models compute with small weights that are sines of their index:
#   python record.py COMFYUI > style.json
import json, math, sys
sys.argv, root = sys.argv[:1] + ["--cpu"], sys.argv[1]
sys.path.insert(0, root)
import comfy.options
comfy.options.enable_args_parsing()
import torch
import comfy.ldm.flux.redux as redux
import comfy.t2i_adapter.adapter as adapter

def fill(module):
    for n, (name, p) in enumerate(sorted(module.named_parameters())):
        i = torch.arange(p.numel(), dtype=torch.float64)
        v = torch.sin(i * 0.7 + n + 1.0) * 0.2
        p.data = (v + (1.0 if "ln_" in name and name.endswith("weight") else 0.0)).to(torch.float32).reshape(p.shape)
    return module

def x(width):
    return torch.sin(torch.arange(2 * 5 * width, dtype=torch.float64) * 0.3).float().reshape(2, 5, width)

out = {}
with torch.no_grad():
    out["redux"] = fill(redux.ReduxImageEncoder(redux_dim=12, txt_in_features=8, dtype=torch.float32))(x(12)).flatten().tolist()
    out["adapter"] = fill(adapter.StyleAdapter(width=64, context_dim=6, num_head=8, n_layes=2, num_token=3))(x(64)).flatten().tolist()
json.dump(out, sys.stdout)
