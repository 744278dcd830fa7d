"""What ComfyUI 0.33.0's Depth Anything 3 nodes give with the small models of engine/family/depthanything/testdata.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
family = os.path.join(here, "..", "..", "..", "engine", "family")
sys.path[:0] = [os.path.join(family, "familytest"), os.path.join(family, "depthanything", "testdata")]
import recording
import record as networks  # reads the arguments
import torch
from types import SimpleNamespace
from comfy_extras import nodes_depth_anything_3 as nodes

r = recording.Recorder("depthanything", here)
EVERY = 53
nodes.mm.load_model_gpu = lambda model: None


def image(name, *shape):
    return r.normal(name, *shape).div(6).add(0.5).clamp(0, 1)


def calls(net, scenes):
    m, o = SimpleNamespace(model=SimpleNamespace(diffusion_model=net)), {}
    x = image("image", 3, 45, 70, 3)
    runs = [("upper", x[:2], 70, "upper_bound_resize", {"mode": "mono"}), ("lower", x[:1], 42, "lower_bound_resize", {"mode": "mono"})]
    if scenes:
        runs += [("scene", x, 56, "upper_bound_resize", {"mode": "multiview", "ref_view_strategy": "saddle_balanced", "pose_method": "cam_dec"}),
                 ("single", x[:1], 56, "upper_bound_resize", {"mode": "multiview", "ref_view_strategy": "middle", "pose_method": "cam_dec"})]
    for name, images, side, method, mode in runs:
        g = nodes.DA3Inference.execute(m, images, side, method, mode).args[0]
        for part, v in g.items():
            if part not in ("image", "mode"):
                o[f"{name} {part}"] = v.float()
        if name == "lower":
            continue
        for normalization in ["v2_style", "min_max", "raw"]:
            for kind in ["depth", "depth_colored"]:
                for clip in [False, True][:1 + ("sky" in g)]:
                    o[f"{name} show {kind} {normalization} {clip}"] = nodes.DA3Render.execute(g, {"output": kind, "normalization": normalization, "apply_sky_clip": clip}).args[0]
        for colored in [False, True]:
            for kind, key in [("sky_mask", "sky"), ("confidence", "confidence")]:
                if key in g:
                    o[f"{name} show {kind} {colored}"] = nodes.DA3Render.execute(g, {"output": kind, "colored": colored}).args[0]
        mesh = nodes.DA3GeometryToMesh.execute(g, len(images) - 1, 2, 0.5, 0.05, name != "scene", True).args[0]
        o[f"{name} vertices"], o[f"{name} faces"], o[f"{name} uvs"] = mesh.vertices[0], mesh.faces[0].float(), mesh.uvs[0]
    return o


for name, net in [("views", networks.views()), ("sky", networks.sky())]:
    r.fill(net.eval())
    with torch.no_grad():
        done = calls(net, name == "views")
    from safetensors.numpy import save_file
    import numpy as np
    save_file({k: np.ascontiguousarray((v if v.numel() < 200 else v.reshape(-1)[::EVERY]).numpy()) for k, v in done.items()}, os.path.join(here, name + ".safetensors"))
    print(name, {k: (tuple(v.shape), float(v.min()), float(v.max())) for k, v in done.items() if "show" not in k})
