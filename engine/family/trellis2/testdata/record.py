"""What ComfyUI 0.33.0's modules of TRELLIS.2 and Pixal3D compute with small weights.

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
from comfy.ldm.trellis2 import model as flow, vae

ops = comfy.ops.disable_weight_init
EVERY = 29
WIDTH, CONTEXT = 56, 128
# Two volumes of cells: the second has fewer, so that its row of the latent has empty places.
COUNTS = [19, 11]


def network(seen=0, txt_only=False):
    proj = {}
    if seen:
        for name, n in [("structure", CONTEXT), ("shape", seen), ("texture", seen)]:
            proj[f"image_attn_mode_{name}"], proj[f"proj_in_channels_{name}"] = "proj", n
    return flow.Trellis2(resolution=64, model_channels=WIDTH, cond_channels=CONTEXT, num_blocks=2, num_heads=2, mlp_ratio=2, init_txt_model=True, txt_only=txt_only,
                         dtype=torch.float32, device="cpu", operations=ops, **proj)


LEVELS = [32, 16, 16, 8, 8]


def sparse(cls, **o):
    return cls(model_channels=LEVELS, latent_channels=32, num_blocks=[1, 2, 1, 1, 0], block_type=["SparseConvNeXtBlock3d"] * 5,
               up_block_type=["SparseResBlockC2S3d"] * 4, block_args=[{}] * 5, **o)


class Shape(vae.ShapeVae):
    def __init__(self):
        torch.nn.Module.__init__(self)
        self.shape_dec = sparse(vae.FlexiDualGridVaeDecoder, resolution=256)
        self.struct_dec = vae.SparseStructureDecoder(out_channels=1, latent_channels=8, num_res_blocks=1, channels=[16, 8, 8], num_res_blocks_middle=1)
        self.register_buffer("resolution", torch.tensor(1024.0), persistent=False)


class Texture(vae.TextureVae):
    def __init__(self):
        torch.nn.Module.__init__(self)
        self.txt_dec = sparse(vae.SparseUnetVaeDecoder, out_channels=6, pred_subdiv=False)
        self.register_buffer("resolution", torch.tensor(1024.0), persistent=False)


def cells(counts, far=16):
    """Distinct cells near each other, item by item, in order."""
    out = []
    for item, n in enumerate(counts):
        for i in range(n):
            k = i * 5 + item * 3
            out.append([item, k // 25 % 5 + far, k // 5 % 5, (k + i) % 5 + 2 * item])
    coords = torch.tensor(out, dtype=torch.int32).unique(dim=0)
    assert coords.shape[0] == sum(counts), coords.shape
    return coords


def some(v):
    """All of a few values, or one of every EVERY."""
    v = v.float()
    return v if v.numel() < 200 else v.reshape(-1)[::EVERY]


def calls(f, names):
    done = {}

    def get(m, k):
        if not done:
            done.update(f(m))
        return some(done[k])
    return {name: (lambda m, name=name: get(m, name)) for name in names}


if __name__ == "__main__":
    r = recording.Recorder("trellis2", here)
    at, counts = cells(COUNTS), torch.tensor(COUNTS)
    x, dense = r.normal("x", 4, 32, max(COUNTS), 1), r.normal("dense", 4, 32, 16, 16, 16)
    context, embeds, slat = r.normal("context", 4, 7, CONTEXT), r.normal("embeds", 4, 9, CONTEXT), r.normal("slat", sum(COUNTS), 32)
    t = torch.tensor([700.0, 250.0, 700.0, 250.0])
    options = {"cond_or_uncond": [1, 0]}  # the first rows are of the negative side

    def run(m, seen=0):
        def call(x, mode, **more):
            if mode != "structure_generation":
                more.update(trellis2_coords=at, trellis2_coord_counts=counts)
            return m(x, t, context, embeds=embeds, trellis2_generation_mode=mode, transformer_options=options, **more)
        proj = {"trellis2_proj_feats": r.normal("features", sum(COUNTS), seen)} if seen else {}
        out = {}
        if m.__dict__["_modules"].get("structure_model") is not None:
            out["structure"] = call(dense, "structure_generation", **({"trellis2_proj_feats": r.normal("whole features", 2, 4096, CONTEXT)} if seen else {}))[:, :8]
            out["coarse"] = call(x, "shape_generation_512", **proj)
            out["fine"] = call(x, "shape_generation", **proj)
        out["texture"] = call(x, "texture_generation", trellis2_shape_slat=slat, **proj)
        return out
    names = ["structure", "coarse", "fine", "texture"]
    r.record("flow", network(), calls(run, names))
    r.record("seen", network(2 * CONTEXT), calls(lambda m: run(m, 2 * CONTEXT), names))
    r.record("texture_flow", network(txt_only=True), calls(run, ["texture"]))

    from comfy.latent_formats import Trellis2ShapeSLAT, Trellis2TexSLAT
    one = cells([19], 3)

    def decode(m):
        feats = Trellis2ShapeSLAT().process_out(r.normal("shape", 19, 32))
        mesh, subs = m.decode_shape_slat(vae.SparseTensor(feats=feats, coords=one), 128)
        print("mesh", [v.shape for v in mesh[0]], [s.feats.shape for s in subs])
        out = {"vertices": mesh[0][0], "faces": mesh[0][1], "sizes": torch.tensor([len(s.feats) for s in subs] + [len(v) for v in mesh[0]])}
        for i, s in enumerate(subs):
            out[f"parts {i}"], out[f"places {i}"] = s.feats, s.coords[:, 1:]
        out["divided"] = m.upsample_shape(vae.SparseTensor(feats=feats, coords=one), 4)[:, 1:]
        out["structure"] = m.decode_structure(r.normal("z", 1, 8, 4, 6, 5))
        global subs_
        subs_ = subs
        return out
    keys = ["vertices", "faces", "sizes", "divided", "structure"] + [f"{k} {i}" for k in ["parts", "places"] for i in range(4)]
    r.record("shape_vae", Shape(), calls(decode, keys))

    def paint(m):
        guides = [s.replace(s.feats > 0) for s in subs_]
        out = m.decode_tex_slat(vae.SparseTensor(feats=Trellis2TexSLAT().process_out(r.normal("texture", 19, 32)), coords=one), guides)
        return {"colors": out.feats, "places": out.coords[:, 1:]}
    r.record("texture_vae", Texture(), calls(paint, ["colors", "places"]))
