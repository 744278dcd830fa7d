# Records what ComfyUI computes with a small GLIGEN network, whose weights are sines of their index:
#   python record.py COMFYUI > gligen.json
import json, math, sys
sys.argv, root = sys.argv[:1] + ["--cpu"], sys.argv[1]
sys.path.insert(0, root)
import comfy.options
comfy.options.enable_args_parsing()
import torch
import comfy.gligen as g

def fill(module, scale=0.05):
    for n, (name, p) in enumerate(sorted(module.named_parameters())):
        i = torch.arange(p.numel(), dtype=torch.float64)
        v = torch.sin(i * 0.7 + n + 1.0) * scale
        p.data = (v + (1.0 if "norm" in name and name.endswith("weight") else 0.0)).to(torch.float32).reshape(p.shape)
    return module

net = fill(g.PositionNet(6, 8))
block = fill(g.GatedSelfAttentionDense(64, 8, 1, 64), 0.3)
m = g.Gligen([block], net, 6)
m.key_dim = 6
text = [torch.sin(torch.arange(6, dtype=torch.float32) + k).unsqueeze(0) for k in range(2)]
params = [(text[0], 4, 4, 1, 1), (text[1], 5, 3, 0, 4)]
with torch.no_grad():
    func = m.set_position((2, 4, 8, 10), params, torch.device("cpu"))
    objs = func.__closure__[[c for c in func.__code__.co_freevars].index("objs")].cell_contents
    x = torch.sin(torch.arange(2 * 80 * 64, dtype=torch.float64) * 0.3).float().reshape(2, 80, 64)
    y = func(x, {"transformer_index": 0})
json.dump({"tokens": objs[0, :3].flatten().tolist(), "y": y.flatten()[::97].tolist()}, sys.stdout)
