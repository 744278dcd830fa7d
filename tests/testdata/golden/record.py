"""Makes a golden of calls of a diffusion model with ComfyUI itself, and the manifest of its small checkpoint:

    python record.py manifest CASE models            # models/NAME-small.json.gz, without its sum
    go run ./tools/checkpoint -o DIR models/NAME-small.json.gz
    python record.py sum models/NAME-small.json.gz MODEL.safetensors
    python record.py forward COMFYUI CASE MODEL.safetensors FOLDER

CASE is a Python file that sets NAME, TENSORS (rows "key size size ..."), SHAPE (of the latent), COND (key: value as the
golden states it: [name, shape] of unit normal numbers, for unclip_conditioning [name, width, strength, noise] of each image, a shape, a number, {"integers": [shape, below]}, or a tuple, which
the golden leaves out), SIGMAS, SCHEDULE where the
network reads the next sigma, and, for the manifest, DTYPE ("F16"), DTYPES (part of a key: type) and GAIN (part of a key: factor; 0 makes a hole). Needs numpy, safetensors and, for calls, torch and ComfyUI's own requirements."""
import gzip
import hashlib
import json
import math
import os
import subprocess
import sys

import numpy as np

M64 = (1 << 64) - 1


def seed_of(text):
    h = 0xCBF29CE484222325
    for c in text.encode():
        h = ((h ^ c) * 0x100000001B3) & M64
    return h


def numbers(name, count):
    """The 24-bit numbers of the recipe (README of the reference collection)."""
    with np.errstate(over="ignore"):
        z = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed_of(name))
        z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(np.int64) - (1 << 23)


def normal(name, shape):
    n = numbers("input:" + name, 3 * math.prod(shape)).reshape(-1, 3).sum(1)
    return (n.astype(np.float64) * 2.0**-23).astype(np.float32).reshape(shape)


def case_of(path):
    case = {"DTYPE": "F16", "DTYPES": {}, "GAIN": {}}
    exec(open(path).read(), case)
    return case


def write_json(path, value):
    with open(path, "wb") as f, gzip.GzipFile("", "wb", 9, f, 0) as z:
        z.write(json.dumps(value, separators=(",", ":")).encode())


def manifest(case, folder, where="diffusion_models"):
    rows = []
    size = 0
    for line in case["TENSORS"].strip().splitlines():
        key, *shape = line.split()
        shape = [int(s) for s in shape]
        gain = next((g for k, g in case["GAIN"].items() if k in key), 1)
        dtype = next((d for k, d in case["DTYPES"].items() if k in key), case["DTYPE"])
        if gain == 0 and len(shape) > 1:
            row = [key, shape, dtype, "c", 0, 0]
        elif key.endswith(".bias"):
            row = [key, shape, dtype, "u", 0, 0.02 * 2.0**-23]
        elif "norm" in key.split(".")[-2:][0] and len(shape) == 1 or key.endswith(".scale"):
            row = [key, shape, dtype, "u", 1 << 26, 2.0**-26]
        elif len(shape) < 2:
            row = [key, shape, dtype, "u", 0, 0.5 * 2.0**-23]
        else:
            row = [key, shape, dtype, "u", 0, math.sqrt(3 / math.prod(shape[1:])) * gain * 2.0**-23]
        rows.append(row)
        size += math.prod(shape)
    name = case["NAME"] + "-small"
    write_json(os.path.join(folder, name + ".json.gz"), {
        "name": name, "salt": name, "folder": where, "metadata": case.get("METADATA"), "sha256": "", "params": size, "tensors": rows})


def add_sum(path, file):
    made = json.load(gzip.open(path))
    made["sha256"], made["bytes"] = hashlib.sha256(open(file, "rb").read()).hexdigest(), os.path.getsize(file)
    write_json(path, made)


def tensors_of(value, name, key, torch):
    if isinstance(value, dict):
        shape, below = value["integers"]
        return torch.from_numpy((numbers("input:" + name + "/" + key, math.prod(shape)) % below).reshape(shape))
    if key == "unclip_conditioning":
        from types import SimpleNamespace
        return [{"clip_vision_output": SimpleNamespace(image_embeds=torch.from_numpy(normal(n, [1, width]))), "strength": strength, "noise_augmentation": noise}
                for n, width, strength, noise in value]
    if isinstance(value, list) and isinstance(value[0], str):
        return torch.from_numpy(normal(value[0], value[1]))
    if isinstance(value, list):
        x = torch.from_numpy(normal(name + "/" + {"concat_mask": "cm", "concat_latent_image": "ci", "pooled_output": "p"}.get(key, key), value))
        return (x > 0).float() if key == "concat_mask" else x
    return value


def single(kernel, torch):
    """A kernel that takes no doubles, in float32."""
    def to(x, dtype):
        return x.to(dtype) if isinstance(x, torch.Tensor) and x.is_floating_point() else x

    def run(*args, **kwargs):
        y = kernel(*[to(a, torch.float32) for a in args], **{k: to(v, torch.float32) for k, v in kwargs.items()})
        return tuple(to(v, torch.float64) for v in y) if isinstance(y, (tuple, list)) else to(y, torch.float64)
    return run


def calls(case, model_file, double):
    """Runs in a process of its own, since the precision of the whole program is an argument."""
    sys.argv = [sys.argv[0], "--cpu", "--fp64-unet" if double else "--force-fp32"]
    sys.path.insert(0, os.getcwd())
    import comfy.options
    comfy.options.enable_args_parsing()
    import torch
    import comfy.model_sampling
    import comfy.samplers
    import comfy.sd

    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    if double:
        import comfy.quant_ops
        for kernel in [n for n in dir(comfy.quant_ops.ck) if "rope" in n]:
            setattr(comfy.quant_ops.ck, kernel, single(getattr(comfy.quant_ops.ck, kernel), torch))
    model = comfy.sd.load_diffusion_model(model_file)
    name = "fwd/" + case["NAME"] + "/own/0"
    values = {k: tensors_of(v, name, k, torch) for k, v in case["COND"].items()}
    tokens = values.pop("cross_attn")
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds([[tokens, values]], [[tokens, values]])
    guider.set_cfg(1.0)
    out = {}
    recorded = []
    network = model.model.diffusion_model
    forward = network.forward

    def record(*args, **kwargs):
        y = forward(*args, **kwargs)
        recorded.append(y)
        return y

    network.forward = record
    const = isinstance(model.model.model_sampling, comfy.model_sampling.CONST)

    def sampler(wrap, sigmas, extra_args, callback, noise, latent_image, denoise_mask, disable_pbar):
        for i, sigma in enumerate(case["SIGMAS"]):
            factor = np.float32(1 if const else math.sqrt(1 + sigma * sigma))
            x = normal(f"{name}/x{i}", case["SHAPE"]) * factor
            recorded.clear()
            y = wrap(torch.from_numpy(x), torch.tensor([sigma] * x.shape[0]), **extra_args)
            out[f"f0/{i}.out"], out[f"f0/{i}.denoised"] = recorded[0].float().numpy(), y.float().numpy()
            out[f"f0/{i}.x_sampler"] = x
        return latent_image

    class Sampler(comfy.samplers.Sampler):
        def sample(self, model_wrap, sigmas, extra_args, callback, noise, latent_image=None, denoise_mask=None, disable_pbar=False):
            return sampler(model_wrap, sigmas, extra_args, callback, noise, latent_image, denoise_mask, disable_pbar)

    latent = torch.zeros(case["SHAPE"])
    guider.sample(latent, latent, Sampler(), torch.tensor(case.get("SCHEDULE", [1.0, 0.0])), disable_pbar=True, seed=0)
    for k, v in values.items():
        if isinstance(case["COND"][k], dict):
            out["f0/cond." + k] = v.numpy().astype(np.float32)
    return out, type(model.model.model_config).__name__


def forward(comfy, case_file, model_file, folder):
    case = case_of(case_file)
    runs = []
    for double in (False, True):
        to = os.path.join(folder, f".{case['NAME']}.{double}.npz")
        subprocess.run([sys.executable, os.path.abspath(__file__), "calls", os.path.abspath(case_file), os.path.abspath(model_file), os.path.abspath(to), str(double)],
                       cwd=comfy, check=True)
        runs.append(dict(np.load(to)))
        os.remove(to)
    plain, exact = runs
    kind = str(plain.pop("class"))
    exact.pop("class")
    errors, recorded = [], []
    for i in range(len(case["SIGMAS"])):
        a, b = plain[f"f0/{i}.out"].astype(np.float64), exact[f"f0/{i}.out"].astype(np.float64)
        errors.append({"max_abs": float(abs(a - b).max()), "rms_rel": float(np.sqrt(((a - b) ** 2).mean() / (b**2).mean()))})
        x = plain.pop(f"f0/{i}.x_sampler")
        recorded.append({"x_sampler": {"shape": list(x.shape), "dtype": "float32", "sha256": hashlib.sha256(x.tobytes()).hexdigest()}})
    cond = {k: {"stored": "cond." + k} if isinstance(v, dict) else v if isinstance(v, list) else str(v) for k, v in case["COND"].items() if not isinstance(v, tuple)}
    name = "fwd/" + case["NAME"] + "/own/0"
    tensors = {n.split("/", 1)[1]: {"shape": list(x.shape), "sha256": hashlib.sha256(np.ascontiguousarray(x).tobytes()).hexdigest(), "mean": float(x.mean()), "std": float(x.std()),
                                    "absmax": float(abs(x).max())} for n, x in plain.items()}
    golden = {"doc": "calls through CFGGuider (cfg 1), made by record.py; the format is that of the reference collection", "model_file": "diffusion_models/" + os.path.basename(model_file), "config_class": kind,
              "cases": [{"id": "f0", "xname": name, "latent_shape": case["SHAPE"], "cond": [cond], "sigmas": case["SIGMAS"], "err64": errors, "calls": recorded, "tensors": tensors}]}
    if "SCHEDULE" in case:
        golden["cases"][0]["schedule"] = case["SCHEDULE"]
    from safetensors.numpy import save_file
    save_file({n: np.ascontiguousarray(x) for n, x in plain.items()}, os.path.join(folder, case["NAME"] + ".safetensors"))
    write_json(os.path.join(folder, case["NAME"] + ".json.gz"), golden)
    print(case["NAME"], kind, errors, {n: t["std"] for n, t in tensors.items()})


if __name__ == "__main__":
    what, *args = sys.argv[1:]
    if what == "manifest":
        manifest(case_of(args[0]), args[1])
    elif what == "sum":
        add_sum(*args)
    elif what == "forward":
        forward(*args)
    else:
        case_file, model_file, to, double = args
        result, kind = calls(case_of(case_file), model_file, double == "True")
        np.savez(to, **result, **{"class": kind})
