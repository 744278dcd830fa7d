#!/usr/bin/env python3
"""Writes calls_axes.json.gz: what ComfyUI's latent nodes make of random latents of 4 and 5 dimensions.

    cd ComfyUI && python …/make_calls.py > …/calls_axes.json.gz

A tensor in a call is {"shape", "seed"}, made by the same formula here and in the test; results hold their values.
"""
import asyncio, gzip, json, random, sys
sys.path.insert(0, ".")
import comfy.options
sys.argv = sys.argv[:1] + ["--cpu"]
comfy.options.enable_args_parsing()
import torch, nodes
from comfy_extras import nodes_post_processing, nodes_latent, nodes_mask

R = random.Random(14)
def tensor(shape, seed, kind="latent"):
    n = 1
    for d in shape: n *= d
    # a few values only, so that the file is small; none of them 0
    v = [(((i * 7919 + seed * 104729) % 61) - 30.5) / 16 for i in range(n)]
    if kind == "mask": v = [abs(x) / 2 for x in v]
    return torch.tensor(v, dtype=torch.float32).reshape(shape)

def latent(like=None):
    if like and R.random() < 0.85:
        shape = [R.choice([1, like[0], like[0] + 1])] + like[1:]
        if R.random() < 0.3: shape[-1] = R.randint(1, 9)
        if R.random() < 0.3: shape[-2] = R.randint(1, 9)
        if R.random() < 0.3: shape[2] = R.randint(1, 6)
    elif R.random() < 0.35:
        shape = [R.randint(1, 3), R.choice([1, 2, 4]), R.randint(2, 9), R.randint(2, 9)]
    else:
        shape = [R.randint(1, 2), R.choice([1, 2]), R.randint(1, 6), R.randint(2, 9), R.randint(2, 9)]
    d = {"samples": {"shape": shape, "seed": R.randint(0, 60)}}
    if R.random() < 0.3:
        d["noise_mask"] = {"shape": [R.choice([1, shape[0]]), 1, R.randint(1, 5), R.randint(1, 5)], "seed": R.randint(0, 60)}
    if R.random() < 0.3: d["batch_index"] = [R.randint(0, 9) for _ in range(shape[0])]
    return d

def real(d):
    out = {"samples": tensor(**d["samples"])}
    if "noise_mask" in d: out["noise_mask"] = tensor(kind="mask", **d["noise_mask"])
    if "batch_index" in d: out["batch_index"] = list(d["batch_index"])
    return out

def shown(l):
    out = {}
    for k, v in l.items():
        out[k] = {"shape": list(v.shape), "values": [float("%.7g" % x) for x in v.flatten().tolist()]} if torch.is_tensor(v) else v
    return out

METHODS = ["nearest-exact", "bilinear", "area", "bicubic", "bislerp"]
px = lambda: R.choice([0, 0, 8, 16, 24, 32, 40, 48, 56, 64, 72])
def two():
    a = latent()
    return a, latent(a["samples"]["shape"])
def pair(c, **more):
    a, b = two()
    return c, {"samples1": a, "samples2": b, **more}
MAKE = {
    "LatentFlip": lambda: {"samples": latent(), "flip_method": R.choice(["x-axis: vertically", "y-axis: horizontally"])},
    "LatentRotate": lambda: {"samples": latent(), "rotation": R.choice(["none", "90 degrees", "180 degrees", "270 degrees"])},
    "LatentCrop": lambda: {"samples": latent(), "width": R.choice([64, 64, 72, 512]), "height": R.choice([64, 64, 72, 512]), "x": px(), "y": px()},
    "LatentComposite": lambda: dict(zip(("samples_to", "samples_from"), two()), x=px(), y=px(), feather=R.choice([0, 0, 8, 16, 32])),
    "LatentCompositeMasked": lambda: dict(zip(("destination", "source"), two()), x=px(), y=px(), resize_source=R.random() < 0.4,
                                          **({"mask": {"shape": [R.randint(1, 2), R.randint(1, 9), R.randint(1, 9)], "seed": R.randint(0, 60)}} if R.random() < 0.5 else {})),
    "LatentBlend": lambda: dict(pair("x")[1], blend_factor=R.choice([0.0, 0.25, 0.5, 1.0])),
    "LatentUpscale": lambda: {"samples": latent(), "upscale_method": R.choice(METHODS), "width": R.choice([0, 64, 72, 80]), "height": R.choice([0, 64, 72, 80]), "crop": R.choice(["disabled", "center"])},
    "LatentUpscaleBy": lambda: {"samples": latent(), "upscale_method": R.choice(METHODS), "scale_by": R.choice([0.4, 1.0, 1.5])},
    "LatentFromBatch": lambda: {"samples": latent(), "batch_index": R.randint(-4, 4), "length": R.randint(1, 3)},
    "RepeatLatentBatch": lambda: {"samples": latent(), "amount": R.randint(1, 3)},
    "LatentAdd": lambda: pair("x")[1], "LatentSubtract": lambda: pair("x")[1], "LatentBatch": lambda: pair("x")[1],
    "LatentMultiply": lambda: {"samples": latent(), "multiplier": R.choice([-1.5, 0.0, 2.0])},
    "LatentInterpolate": lambda: dict(pair("x")[1], ratio=R.choice([0.0, 0.3, 1.0])),
    "LatentConcat": lambda: dict(pair("x")[1], dim=R.choice(["x", "-x", "y", "-y", "t", "-t"])),
    "LatentCut": lambda: {"samples": latent(), "dim": R.choice(["x", "y", "t"]), "index": R.randint(-9, 9), "amount": R.randint(1, 5)},
    "LatentCutToBatch": lambda: {"samples": latent(), "dim": R.choice(["x", "y", "t"]), "slice_size": R.randint(1, 4)},
    "LatentBatchSeedBehavior": lambda: {"samples": latent(), "seed_behavior": R.choice(["random", "fixed"])},
    "SetLatentNoiseMask": lambda: {"samples": latent(), "mask": {"shape": [R.randint(1, 2), R.randint(1, 5), R.randint(1, 5)], "seed": R.randint(0, 60)}},
    "Tonemap": lambda: {"samples": latent(), "multiplier": R.choice([0.5, 1.0])},
    "Sharpen": lambda: {"samples": latent(), "sharpen_radius": R.choice([1, 2]), "sigma": 1.0, "alpha": 0.3},
}
OLD = nodes.NODE_CLASS_MAPPINGS
def call(name, args):
    if name in ("Tonemap", "Sharpen"):
        op = {"Tonemap": nodes_latent.LatentOperationTonemapReinhard, "Sharpen": nodes_latent.LatentOperationSharpen}[name]
        rest = {k: v for k, v in args.items() if k != "samples"}
        return nodes_latent.LatentApplyOperation.execute(args["samples"], op.execute(**rest).args[0]).args[0]
    if name in OLD:
        c = OLD[name]
        return getattr(c(), c.FUNCTION)(**args)[0]
    c = getattr(nodes_latent, name, None) or getattr(nodes_mask, name)
    return c.execute(**args).args[0]

out = []
for name, make in MAKE.items():
    for _ in range(14):
        inputs = make()
        args = {k: real(v) if isinstance(v, dict) and "samples" in v else tensor(kind="mask", **v) if isinstance(v, dict) else v for k, v in inputs.items()}
        entry = {"class": name, "inputs": inputs}
        try:
            entry["result"] = shown(call(name, args))
        except Exception as e:
            entry["error"] = type(e).__name__
        out.append(entry)
sys.stdout.buffer.write(gzip.compress(json.dumps(out, separators=(",", ":")).encode(), 9, mtime=0))
