"""What ComfyUI 0.33.0's MoGe nodes give with the small models of engine/family/moge/testdata.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
family = os.path.join(here, "..", "..", "..", "engine", "family")
sys.path[:0] = [os.path.join(family, "familytest"), os.path.join(family, "moge", "testdata")]
import recording
import record as networks  # reads the arguments
import comfy.cli_args
comfy.cli_args.args.fp32_text_enc = True
import torch
from comfy.ldm.moge.model import MoGeModel
from comfy_extras import nodes_moge as nodes

r = recording.Recorder("moge", here)
EVERY = 53


def model(published):
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    at = "encoder." if any(k.startswith("encoder.") for k in published.tensors) else ""
    return MoGeModel({**published.tensors, at + "image_mean": mean, at + "image_std": std})


def image(name, *shape):
    return r.normal(name, *shape).div(6).add(0.5).clamp(0, 1)


def calls(published):
    m, out, o = model(published), {}, {}
    for name, fov, project, mask in [("found", 0.0, True, True), ("given", 50.0, False, False)]:
        g = nodes.MoGeInference.execute(m, image("image", 2, 20, 33, 4), 0, fov, 1, project, mask).args[0]
        for part, v in g.items():
            if part != "image":
                o[f"{name} {part}"] = v.float()
        for kind in ["depth", "depth_colored", "normal_opengl", "normal_directx", "mask"]:
            o[f"{name} show {kind}"] = nodes.MoGeRender.execute(g, kind).args[0]
        mesh = nodes.MoGePointMapToMesh.execute(g, 1, 2, 0.0, True).args[0]
        o[f"{name} vertices"], o[f"{name} faces"], o[f"{name} uvs"] = mesh.vertices[0], mesh.faces[0].float(), mesh.uvs[0]
        o[f"{name} fov"] = torch.tensor([nodes.MoGeGeometryToFOV.execute(g, axis, unit).args for axis, unit in [("vertical", "degrees"), ("horizontal", "radians"), ("diagonal", "degrees")]])
    p = nodes.MoGePanoramaInference.execute(m, image("panorama", 1, 150, 300, 3), 0, 24, 280, 12).args[0]
    o["panorama points"], o["panorama mask"] = p["points"], p["mask"].float()
    mesh = nodes.MoGePointMapToMesh.execute(p, 0, 3, 0.5, False).args[0]
    o["panorama vertices"], o["panorama faces"] = mesh.vertices[0], mesh.faces[0].float()
    return o


for name, published in [("first", networks.Published(networks.first(dtype=torch.float32, device="cpu"), "backbone.")),
                        ("second", networks.Published(networks.second(True, dtype=torch.float32, device="cpu"), "encoder.backbone."))]:
    r.fill(published)
    with torch.no_grad():
        done = calls(published)
    from safetensors.numpy import save_file
    import numpy as np
    save_file({k: np.ascontiguousarray((v if v.numel() < 200 else v.reshape(-1)[::EVERY]).numpy()) for k, v in done.items()}, os.path.join(here, name + ".safetensors"))
    print(name, {k: tuple(v.shape) for k, v in done.items()})
