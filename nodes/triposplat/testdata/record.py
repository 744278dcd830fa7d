"""What ComfyUI 0.33.0's TripoSplat nodes give with the small models of engine/family/triposplat/testdata and engine/family/dino3/testdata.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
family = os.path.join(here, "..", "..", "..", "engine", "family")
sys.path[:0] = [os.path.join(family, "familytest"), os.path.join(family, "triposplat", "testdata")]
import recording
import record as networks  # reads the arguments
import numpy as np
import torch
from types import SimpleNamespace
import comfy.model_management
from comfy.image_encoders.dino3 import DINOv3ViTModel
from comfy.ldm.triposplat.preview import render_splat, _C0
from comfy_extras import nodes_triposplat as nodes

r = recording.Recorder("triposplat", here)
EVERY = 53
comfy.model_management.load_model_gpu = lambda *a, **k: None
comfy.model_management.load_models_gpu = lambda *a, **k: None


def image(name, *shape):
    return r.normal(name, *shape).div(6).add(0.5).clamp(0, 1)


def ellipse(h, w, x, y, a, b):
    """A mask with soft edges."""
    v, u = torch.meshgrid(torch.arange(h, dtype=torch.float32), torch.arange(w, dtype=torch.float32), indexing="ij")
    return (1.5 - ((u - x) / a) ** 2 - ((v - y) / b) ** 2).clamp(0, 1)


o = {}
x = image("pictured", 2, 40, 56, 4)
o["small mask"] = nodes.TripoSplatPreprocessImage.execute(x, ellipse(20, 28, 15, 9, 7, 5)[None], 1, 256).args[0]
o["at the edge"] = nodes.TripoSplatPreprocessImage.execute(x[..., :3], torch.stack([ellipse(40, 56, 50, 8, 14, 9), ellipse(40, 56, 3, 30, 5, 16)]), 0, 263).args[0]
o["large"] = nodes.TripoSplatPreprocessImage.execute(image("wide", 1, 300, 700, 3), ellipse(300, 700, 350, 150, 90, 60)[None], 3, 256).args[0]
net = DINOv3ViTModel(dict(num_hidden_layers=2, hidden_size=128, num_attention_heads=2, num_register_tokens=4, intermediate_size=96, layer_norm_eps=1e-5, num_channels=3, patch_size=16,
                          rope_theta=100.0, use_gated_mlp=True), torch.float32, "cpu", networks.ops)
recording.Recorder("dino3", here).fill(net.eval())
decoder = networks.Decoder().eval()
r.fill(decoder)
with torch.no_grad():
    seen = image("seen", 2, 48, 64, 3)
    vae = SimpleNamespace(encode=lambda x: x.movedim(-1, 1) * 2 - 1)
    positive, negative, latent = nodes.TripoSplatConditioning.execute(SimpleNamespace(model=net, patcher=None, load_device="cpu"), vae, seen).args
    o["positive"], o["reference"] = positive[0][0], positive[0][1]["reference_latents"][0]
    print(negative[0][0].abs().max(), [v.shape for v in latent["samples"].unbind()])
    vae = SimpleNamespace(first_stage_model=decoder, vae_dtype=torch.float32, patcher=None, device="cpu")
    splat = nodes.VAEDecodeTripoSplat.execute({"samples": r.normal("z", 2, 24, 16)}, vae, 32768, 7).args[0]
    o["positions"], o["scales"], o["rotations"], o["opacities"], o["colors"] = splat.positions, splat.scales, splat.rotations, splat.opacities, splat.sh
at, size, dc, alpha = r.normal("at", 500, 3) * 0.3, r.normal("size", 500, 3).abs() * 0.01, r.normal("dc", 500, 3), r.normal("alpha", 500).sigmoid()
for name, yaw, pitch, largest in [("front", 90.0, 15.0, 3), ("above", -30.0, 70.0, 9)]:
    img = render_splat(at.numpy(), dc.numpy() * _C0 + 0.5, size.numpy().max(axis=1), opacity=alpha.numpy(), yaw=yaw, pitch=pitch, size=320, min_px=1, gain=1.0, max_px=largest, min_opacity=0.01)
    o["shown " + name] = torch.from_numpy(np.asarray(img).astype(np.float32))
from safetensors.numpy import save_file
save_file({k: np.ascontiguousarray((v if v.numel() < 200 else v.reshape(-1)[::EVERY]).float().numpy()) for k, v in o.items()}, os.path.join(here, "nodes.safetensors"))
print({k: tuple(v.shape) for k, v in o.items()})
