"""What ComfyUI 0.33.0's modules of Depth Anything 3 compute with small weights.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
torch.set_num_threads(1)
import comfy.ops
from comfy.ldm.depth_anything_3 import model as da3
from comfy.ldm.depth_anything_3 import ray_pose
from comfy.ldm.depth_anything_3.reference_view_selector import select_reference_view

ops = comfy.ops.disable_weight_init
PATCH, GRID, EVERY = 14, 4, 17

# Backbones of the published depths, narrow, with images of 4 x 4 patches in their tables of positions.
da3._BACKBONE_PRESETS["vits"] = dict(hidden_size=128, num_hidden_layers=12, num_attention_heads=2, use_swiglu_ffn=False)
da3._BACKBONE_PRESETS["vitl"] = dict(hidden_size=64, num_hidden_layers=24, num_attention_heads=1, use_swiglu_ffn=False)
plain = da3._build_backbone_config
da3._build_backbone_config = lambda *a, **k: {**plain(*a, **k), "image_size": GRID * PATCH}


def net(**o):
    return da3.DepthAnything3Net(dtype=torch.float32, device="cpu", operations=ops, head_features=16, **o)


def views(**o):
    """Small and Base: cameras, rays, views that look at each other."""
    return net(backbone_name="vits", out_layers=[5, 7, 9, 11], alt_start=4, qknorm_start=4, rope_start=4, cat_token=True, head_type="dualdpt", head_dim_in=256, head_output_dim=2,
               head_out_channels=[8, 8, 16, 16], has_cam_enc=False, has_cam_dec=True, cam_dec_dim_in=256)


def sky():
    """Mono and Metric."""
    return net(backbone_name="vitl", out_layers=[4, 11, 17, 23], head_type="dpt", head_dim_in=64, head_output_dim=1, head_out_channels=[8, 8, 16, 16], head_use_sky_head=True)


def confident():
    """A single head with a confidence, and no sky."""
    return net(backbone_name="vits", out_layers=[5, 7, 9, 11], head_type="dpt", head_dim_in=128, head_output_dim=2, head_out_channels=[4, 8, 8, 8], head_use_sky_head=False)


def pixels(r, name, n, h, w):
    return r.normal(name, n, 3, h, w).div(6).add(0.5).clamp(0, 1)


def normalised(x):
    return (x - torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


class Calls:
    """Results of a call by key, computed once."""

    def __init__(self):
        self.done = {}

    def get(self, key, f):
        if key not in self.done:
            torch.manual_seed(0)
            self.done[key] = f()
        return self.done[key]


def some(v):
    """All of a few values, or one of every EVERY."""
    return v.float() if v.numel() < 200 else v.reshape(-1)[::EVERY].float()


def part(calls, key, name, f):
    return lambda m: some(calls.get(key, lambda: f(m))[name])


def field(r):
    """Rays of a camera that is turned and has a focal length, with noise and some that fit nothing, [1,2,24,32,7]."""
    h, w = 24, 32
    grid = ray_pose._unproject_identity(h, w, 1, 2, "cpu", torch.float32)
    turns = torch.tensor([[[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]], [[1.0, 0.0, 0.0], [0.0, 0.8, -0.6], [0.0, 0.6, 0.8]]])
    inner = torch.tensor([[[0.7, 0.0, 0.1], [0.0, 0.9, -0.05], [0.0, 0.0, 1.0]], [[1.2, 0.0, 0.0], [0.0, 1.1, 0.2], [0.0, 0.0, 1.0]]])
    rays = torch.einsum("sij,bshwj->bshwi", turns @ inner, grid)
    rays = rays + r.normal("noise", 1, 2, h, w, 3) * 1e-3
    rays[:, :, ::5, ::3] = r.normal("wrong", *rays[:, :, ::5, ::3].shape)
    places = r.normal("places", 1, 2, h, w, 3) * 0.1 + torch.tensor([0.3, -0.2, 1.0])
    return torch.cat([rays, places], -1), r.normal("trust", 1, 2, h, w)


if __name__ == "__main__":
    r = recording.Recorder("depthanything", here)
    one, wide = pixels(r, "one", 1, 56, 56), pixels(r, "wide", 1, 42, 84)
    scene = pixels(r, "scene", 4, 42, 56)
    calls = {}
    for key, kind in [("first", "first"), ("middle", "middle"), ("balanced", "saddle_balanced")]:
        c = Calls()
        run = lambda m, kind=kind: m(normalised(scene)[None], ref_view_strategy=kind)
        for name in ["depth", "depth_conf", "extrinsics", "intrinsics"]:
            calls[f"{key} {name}"] = part(c, key, name, run)
    c = Calls()
    for name in ["depth", "depth_conf"]:
        calls[f"one {name}"] = part(c, "one", name, lambda m: m(normalised(one)))
        calls[f"wide {name}"] = part(c, "wide", name, lambda m: m(normalised(wide)))
    for name in ["depth", "extrinsics", "intrinsics"]:
        calls[f"two {name}"] = part(c, "two", name, lambda m: m(normalised(scene[:2])[None]))
    for name in ["ray", "ray_conf"]:
        calls[f"rays {name}"] = part(c, "rays", name, lambda m: m(normalised(scene)[None], use_ray_pose=True))
    for kind in ["saddle_balanced", "saddle_sim_range"]:
        calls[f"chosen {kind}"] = lambda m, kind=kind: torch.cat([select_reference_view(r.normal(f"tokens {i}", 1, 5, 2, 64), kind) for i in range(8)]).float()
    rays, trust = field(r)

    def found(_):
        extrinsics, focal, centre = ray_pose.get_extrinsic_from_camray(rays, trust.exp() + 1, rays.shape[-3], rays.shape[-2])
        return {"extrinsics": da3.affine_inverse(extrinsics)[:, :, :3, :], "focal": focal, "centre": centre}
    for name in ["extrinsics", "focal", "centre"]:
        calls[f"field {name}"] = part(c, "field", name, found)
    r.record("views", views(), calls)
    for name, module, keys in [("sky", sky(), ["depth", "sky"]), ("confident", confident(), ["depth", "depth_conf"])]:
        c = Calls()
        r.record(name, module, {f"{shape} {k}": part(c, shape, k, lambda m, x=x: m(normalised(x))) for k in keys for shape, x in [("one", one), ("wide", wide)]})
