"""What ComfyUI 0.33.0's Trellis 2 and Pixal3D nodes and KSampler give with the small models of engine/family/trellis2/testdata and of dino3's.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
family = os.path.join(here, "..", "..", "..", "engine", "family")
sys.path[:0] = [os.path.join(family, "familytest"), os.path.join(family, "trellis2", "testdata")]
import recording
import record as networks  # reads the arguments
import numpy as np
import torch
from types import SimpleNamespace
import comfy.model_management, comfy.sd, comfy.supported_models
import nodes as core
from comfy.image_encoders.dino3 import DINOv3ViTModel
from comfy.image_encoders.naf import NAF
from comfy.ldm.trellis2.model import compute_stage_proj_feats
from comfy_extras import nodes_trellis2 as nodes
from comfy_api.latest import Types

EVERY, SELDOM = 53, 371


def some(v):
    """All of a few values, one of every EVERY of more, one of every SELDOM of many."""
    v = v.float()
    return v if v.numel() < 200 else v.reshape(-1)[::EVERY if v.numel() < 50000 else SELDOM]


r = recording.Recorder("trellis2", here)
o = {}


def image(name, *shape):
    return r.normal(name, *shape).div(6).add(0.5).clamp(0, 1)


def model(net, **sizes):
    """A network as UNETLoader gives it: detection takes the file for Trellis 2; the sizes that it takes for granted are those of the small one."""
    r.fill(net.eval())
    comfy.supported_models.Trellis2.unet_extra_config = dict(num_heads=2, model_channels=networks.WIDTH, cond_channels=networks.CONTEXT, num_blocks=2, mlp_ratio=2, **sizes)
    return comfy.sd.load_diffusion_model_state_dict(net.state_dict(), model_options={"dtype": torch.float32})


def vae(net):
    r.fill(net.eval())
    return SimpleNamespace(first_stage_model=net, vae_dtype=torch.float32, prepare_decode=lambda shape: 1)


def sample(m, positive, negative, latent):
    return core.common_ksampler(m, 5, 2, 3.0, "euler", "simple", positive, negative, latent)[0]


def grid():
    """Two small objects."""
    v = torch.zeros(2, 32, 32, 32)
    for item, n in enumerate([12, 7]):
        for i in range(n):
            v[item, 14 + i % 3, 15 + i // 3 % 2 + item, 13 + i // 6] = 1
    return v


dino = DINOv3ViTModel(dict(num_hidden_layers=2, hidden_size=128, num_attention_heads=2, num_register_tokens=4, intermediate_size=96, layer_norm_eps=1e-5, num_channels=3, patch_size=16,
                           rope_theta=100.0, use_gated_mlp=False), torch.float32, "cpu", networks.ops)
recording.Recorder("dino3", here).fill(dino.eval())
clip = SimpleNamespace(model=dino, patcher=None, image_mean=None, image_std=None, naf=None)
load = comfy.model_management.load_model_gpu
with torch.no_grad():
    comfy.model_management.load_model_gpu = lambda *a, **k: None
    seen = image("seen", 2, 40, 56, 4) * 1.5
    positive, negative = nodes.Trellis2Conditioning.execute(clip, seen).args
    comfy.model_management.load_model_gpu = load
    o["small"], o["large"] = positive[0][0], positive[0][1]["embeds"]
    net, shape, texture = model(networks.network()), vae(networks.Shape()), vae(networks.Texture())
    latent = nodes.EmptyTrellis2LatentStructure.execute(2).args[0]
    done = sample(net, positive, negative, latent)
    o["structure"] = done["samples"][:, :8]
    for resolution in ["32", "64"]:
        o["voxel " + resolution] = nodes.VaeDecodeStructureTrellis2.execute(done, shape, resolution).args[0].data
    p, n, latent = nodes.Trellis2ShapeStage.execute(positive, negative, Types.VOXEL(grid())).args
    o["cells"] = latent["coords"]
    coarse = sample(net, p, n, latent)
    o["coarse"] = coarse["samples"]
    p, n, latent = nodes.Trellis2UpsampleStage.execute(positive, negative, coarse, shape, 1024).args
    o["fine cells"], o["fine counts"] = latent["coords"], latent["coord_counts"]
    print("fine", latent["samples"].shape, latent["coord_counts"])
    fine = sample(net, p, n, latent)
    o["fine"] = fine["samples"]
    # What follows is of the coarse shape, which has fewer cells.
    mesh, subs = nodes.VaeDecodeShapeTrellis.execute(coarse, shape).args
    counts = mesh.vertex_counts if getattr(mesh, "vertex_counts", None) is not None else None
    print("mesh", mesh.vertices.shape, mesh.faces.shape, counts, getattr(mesh, "face_counts", None))
    o["vertices"], o["faces"] = mesh.vertices, mesh.faces
    o["mesh counts"] = torch.stack([mesh.vertex_counts, mesh.face_counts])
    p, n, latent = nodes.Trellis2TextureStage.execute(positive, negative, coarse).args
    painted = sample(net, p, n, latent)
    o["texture"] = painted["samples"]
    guides = [s.replace(s.feats > 0) for s in subs]
    voxel = nodes.VaeDecodeTextureTrellis.execute(painted, texture, guides).args[0]
    o["color cells"], o["colors"], o["sides"] = voxel.data, voxel.voxel_colors, torch.tensor([voxel.resolution])

    # Pixal3D: image features of cells, and the structure sampled with them.
    naf = NAF(networks.ops, dim=64)
    r.fill(naf.eval())
    naf.image_encoder.rope.periods.copy_(100.0 ** (2 * torch.arange(4) / 8))
    comfy.model_management.load_model_gpu = lambda *a, **k: None
    clip.naf = SimpleNamespace(model=naf)
    positive, negative = nodes.Pixal3DConditioning.execute(clip, image("posed", 2, 33, 33, 3), 49.13).args
    comfy.model_management.load_model_gpu = load
    pack = positive[0][1]["proj_feat_pack"]
    o["global small"], o["global large"], o["whole features"] = positive[0][0], positive[0][1]["embeds"], positive[0][1]["trellis2_proj_feats"]
    at = networks.cells([19, 11], 5)
    for stage in ["shape_512", "shape_1024", "tex_1024"]:
        o["features " + stage] = compute_stage_proj_feats(pack, stage, coords=at, coord_resolution=32)
    net = model(networks.network(256), proj_in_channels_structure=128, proj_in_channels_shape=256, proj_in_channels_texture=256)
    done = sample(net, positive, negative, nodes.EmptyTrellis2LatentStructure.execute(2).args[0])
    o["posed structure"] = done["samples"][:, :8]
    p, n, latent = nodes.Trellis2ShapeStage.execute(positive, negative, Types.VOXEL(grid())).args
    coarse = sample(net, p, n, latent)
    o["posed coarse"] = coarse["samples"]
    p, n, latent = nodes.Trellis2UpsampleStage.execute(positive, negative, coarse, shape, 1024).args
    o["posed cells"] = latent["coords"]
    p, n, latent = nodes.Trellis2TextureStage.execute(positive, negative, coarse).args
    o["posed texture"] = sample(net, p, n, latent)["samples"]
from safetensors.numpy import save_file
out = {k: np.ascontiguousarray(some(v).numpy()) for k, v in o.items()}
save_file(out, os.path.join(here, "nodes.safetensors"))
print({k: tuple(v.shape) for k, v in o.items()})
