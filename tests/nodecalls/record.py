"""Records calls of ComfyUI's node classes with their results, for tests/nodecalls.

    python tests/nodecalls/record.py COMFYUI nodes/text/testdata/cases.py

COMFYUI is a checkout of ComfyUI 0.33.0, run by a Python that has its requirements. cases.py lists calls by the functions
below (case, saves, img, rnd, smooth, const, latent, cond, audio, vision, call, nan, inf); the calls and what came of them go to calls.json.gz beside it.
Random tensors are stored as recipes that package nodecalls makes again; results are stored whole, those above 4096 values by
every k-th value.
"""
import asyncio
import base64
import gzip
import json
import math
import os
import re
import sys
import tempfile
from types import SimpleNamespace

root, cases_path = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
sys.argv = [sys.argv[0], "--cpu", "--disable-api-nodes"]
sys.path.insert(0, root)
os.chdir(root)

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()

import numpy as np  # noqa: E402
import torch  # noqa: E402

import nodes  # noqa: E402
import folder_paths  # noqa: E402
from PIL import Image  # noqa: E402

asyncio.run(nodes.init_builtin_extra_nodes())

LIMIT = 4096


class Recipe:
    """A value that both sides make from a description."""

    def __init__(self, spec, make):
        self.spec, self.make = spec, make


def uniform(count, seed):
    x = (np.arange(count, dtype=np.uint64) * 0x9E3779B1 + seed * 0x85EBCA77) & 0xFFFFFFFF
    x ^= x >> 15
    x = (x * 0x2C1B3C6D) & 0xFFFFFFFF
    x ^= x >> 12
    x = (x * 0x297A2D39) & 0xFFFFFFFF
    x ^= x >> 15
    return (x >> 8).astype(np.float64) / (1 << 24)


def rnd(*shape, seed=1, lo=0.0, hi=1.0):
    """A tensor of random values in lo...hi."""
    def make():
        v = lo + (hi - lo) * uniform(math.prod(shape), seed)
        return torch.from_numpy(v.astype(np.float32).reshape(shape))
    return Recipe({"$": "rnd", "shape": list(shape), "seed": seed, "lo": lo, "hi": hi}, make)


def img(*shape, seed=1):
    """An image of random 8-bit values."""
    def make():
        v = np.floor(uniform(math.prod(shape), seed) * 256).astype(np.float32) / np.float32(255)
        return torch.from_numpy(v.reshape(shape))
    return Recipe({"$": "img", "shape": list(shape), "seed": seed}, make)


def smooth(*shape, seed=1):
    """An image [B,H,W,C] of soft gradients and a disc."""
    def make():
        b, h, w, c = shape
        out = np.empty(shape, dtype=np.float32)
        for n in range(b):
            for k in range(c):
                y, x = np.mgrid[0:h, 0:w].astype(np.float64)
                v = (x * (k + 1) + y * (3 - k % 3) + 7 * seed + 5 * n) / (4.0 * (w + h))
                disc = (x - w / 2) ** 2 + (y - h / 2) ** 2 < (min(w, h) / 3.0) ** 2
                v = np.where(disc, 1 - v, v)
                out[n, :, :, k] = v - np.floor(v)
        return torch.from_numpy(out)
    return Recipe({"$": "smooth", "shape": list(shape), "seed": seed}, make)


def const(value, *shape):
    """A tensor of one value."""
    return Recipe({"$": "const", "shape": list(shape), "value": number(value)}, lambda: torch.full(shape, value, dtype=torch.float32))


def values(tensor):
    """A small tensor of any type, stored by its values."""
    return Recipe({"$": "values", "shape": list(tensor.shape), "data": tensor.flatten().tolist()}, lambda: tensor.clone())


def latent(samples, **more):
    """A LATENT."""
    return Recipe({"$": "latent", "samples": samples.spec, "more": spec(more)}, lambda: {"samples": samples.make(), **made(more)})


def cond(*entries):
    """A CONDITIONING of (tokens, dictionary) pairs."""
    return Recipe({"$": "cond", "entries": [[spec(t), spec(d)] for t, d in entries]}, lambda: [[made(t), made(d)] for t, d in entries])


def audio(waveform, sample_rate):
    """An AUDIO."""
    return Recipe({"$": "audio", "waveform": waveform.spec, "sample_rate": sample_rate}, lambda: {"waveform": waveform.make(), "sample_rate": sample_rate})


class Vision:
    """What an image encoder makes of an image."""

    def __init__(self, last_hidden_state):
        self.last_hidden_state = last_hidden_state


def vision(states):
    """A CLIP_VISION_OUTPUT with last hidden states."""
    return Recipe({"$": "vision", "last": states.spec}, lambda: Vision(states.make()))


def call(cls, slot=0, /, **inputs):
    """An output of another class."""
    return Recipe({"$": "call", "class": cls, "slot": slot, "in": spec(inputs)}, lambda: run(cls, inputs)["result"][slot])


nan = Recipe({"$": "float", "value": "nan"}, lambda: math.nan)
inf = Recipe({"$": "float", "value": "inf"}, lambda: math.inf)


def number(v):
    return v if math.isfinite(v) else repr(v)


def spec(v):
    if isinstance(v, Recipe):
        return v.spec
    if isinstance(v, dict):
        return {k: spec(e) for k, e in v.items()}
    if isinstance(v, (list, tuple)):
        return [spec(e) for e in v]
    return v


def made(v):
    if isinstance(v, Recipe):
        return v.make()
    if isinstance(v, dict):
        return {k: made(e) for k, e in v.items()}
    if isinstance(v, list):
        return [made(e) for e in v]
    if isinstance(v, tuple):
        return tuple(made(e) for e in v)
    return v


def nested(flat):
    """Dotted keys as the dictionaries that the server makes of dynamic inputs."""
    out = {}
    for key, v in flat.items():
        at, parts = out, key.split(".")
        for p in parts[:-1]:
            if not isinstance(at.get(p), dict):
                at[p] = {p: at[p]} if p in at else {}
            at = at[p]
        at[parts[-1]] = v
    return out


def run(cls, inputs, hidden={}):
    obj = nodes.NODE_CLASS_MAPPINGS[cls]
    kwargs = nested(made(inputs))
    if hasattr(obj, "define_schema"):
        if hidden:
            obj.hidden = SimpleNamespace(unique_id="1", **hidden)
        schema = obj.GET_SCHEMA()
        for i in schema.inputs:
            kind = i.get_io_type()
            if kind == "COMFY_AUTOGROW_V3" and i.id not in kwargs:
                kwargs[i.id] = {}
            if kind == "COMFY_DYNAMICCOMBO_V3" and i.id in kwargs and not isinstance(kwargs[i.id], dict):
                kwargs[i.id] = {i.id: kwargs[i.id]}
        r = obj.EXECUTE_NORMALIZED(**kwargs)
        return {"result": list(r.args) if r.args else [], "ui": r.ui}
    for name, kind in obj.INPUT_TYPES().get("hidden", {}).items():
        if kind.lower() in hidden:
            kwargs[name] = hidden[kind.lower()]
    r = getattr(obj(), obj.FUNCTION)(**kwargs)
    if isinstance(r, dict):
        return {"result": list(r.get("result", ())), "ui": r.get("ui")}
    return {"result": list(r), "ui": None}


def stored(v):
    if isinstance(v, torch.Tensor):
        flat = v.detach().cpu().to(torch.float32).contiguous().numpy().reshape(-1)
        step = max(1, -(-flat.size // LIMIT))
        return {"$": "tensor", "shape": list(v.shape), "step": step, "data": base64.b64encode(flat[::step].astype("<f4").tobytes()).decode()}
    if isinstance(v, np.ndarray):
        return stored(torch.from_numpy(v))
    if v is None or isinstance(v, (bool, str)):
        return v
    if isinstance(v, (int, np.integer)):
        return {"$": "int", "value": str(int(v))}
    if isinstance(v, (float, np.floating)):
        return {"$": "float", "value": repr(float(v))}
    if isinstance(v, (list, tuple)):
        return [stored(e) for e in v]
    if isinstance(v, dict):
        return {"$": "dict", "keys": [stored(k) for k in v], "values": [stored(e) for e in v.values()]}
    if hasattr(v, "samples") and hasattr(v, "tensors"):
        return [stored(t) for t in v.tensors]
    if type(v).__name__ == "NestedTensor":
        return {"$": "nested", "parts": [stored(t) for t in v.unbind()]}
    describe = DESCRIBE.get(type(v).__name__)
    if describe:
        return stored(describe(v))
    return {"$": "object", "type": type(v).__name__}


DESCRIBE = {"Vision": lambda v: {"last": v.last_hidden_state}}
calls = []


def case(cls, tolerance=0.0, /, **inputs):
    """Records one call. The greatest difference that is allowed is 0 unless cases.py gives another and says why."""
    entry = {"class": cls, "in": spec(inputs), "tolerance": tolerance}
    torch.manual_seed(0)
    try:
        r = run(cls, inputs)
        entry["out"] = stored(r["result"])
    except Exception as e:  # noqa: BLE001
        module = type(e).__module__
        entry["error"] = type(e).__name__ if module == "builtins" else module + "." + type(e).__name__
        entry["message"] = str(e)[:200]
    calls.append(entry)


def differs(reason):
    """Says that the last call gives something else here, and why; nodecalls holds that it does."""
    calls[-1]["differs"] = reason


def anonymous(v):
    """v without the random parts of file names."""
    if isinstance(v, str):
        return re.sub(r"_temp_[a-z]{5}_", "_temp_*_", re.sub(r"[0-9a-f]{32}", "*", v))
    if isinstance(v, dict):
        return {anonymous(k): anonymous(e) for k, e in v.items()}
    if isinstance(v, (list, tuple)):
        return [anonymous(e) for e in v]
    return v


def content(path):
    """A file as it is, a PNG file by its pixels and texts; of files whose bytes differ by encoder it is recorded that they are there."""
    data = open(path, "rb").read()
    ending = os.path.splitext(path)[1]
    if ending == ".png":
        image = Image.open(path)
        return {"mode": image.mode, "size": list(image.size), "pixels": base64.b64encode(image.tobytes()).decode(), "texts": dict(image.info)}
    if ending in UNLIKE:
        return {"any": True}
    return {"bytes": base64.b64encode(data).decode()}


UNLIKE = {".flac", ".mp3", ".opus", ".pkl", ".jpg", ".webp"}


def saves(cls, tolerance=0.0, /, before=(), given={}, prompt=None, workflow=None, **inputs):
    """Records a call of a class that writes or reads files: its outputs, what it tells the client, and the files in the output and temp folders
    afterwards. before are calls (class, inputs) that come first in the same folders, given are files by their path below the base folder."""
    base = tempfile.mkdtemp()
    for kind in ["input", "output", "temp"]:
        os.makedirs(os.path.join(base, kind))
        getattr(folder_paths, f"set_{kind}_directory")(os.path.join(base, kind))
    folder_paths.folder_names_and_paths["datasets"] = ([os.path.join(base, "datasets")], set())
    for name, data in given.items():
        os.makedirs(os.path.dirname(os.path.join(base, name)), exist_ok=True)
        open(os.path.join(base, name), "wb").write(data)
    hidden = {"prompt": prompt, "extra_pnginfo": {"workflow": workflow} if workflow is not None else None}
    entry = {"class": cls, "in": spec(inputs), "tolerance": tolerance, "hidden": hidden, "given": {k: base64.b64encode(v).decode() for k, v in given.items()},
             "before": [[c, spec(i)] for c, i in before]}
    torch.manual_seed(0)
    try:
        for c, i in before:
            run(c, i, hidden)
        r = run(cls, inputs, hidden)
        ui = r["ui"].as_dict() if hasattr(r["ui"], "as_dict") else r["ui"]
        entry["out"], entry["ui"] = stored(anonymous(r["result"])), stored(anonymous(ui))
        entry["files"] = {}
        for kind in ["output", "temp", "datasets"]:
            for folder, _, names in os.walk(os.path.join(base, kind)):
                for name in names:
                    path = os.path.join(folder, name)
                    entry["files"][anonymous(os.path.relpath(path, base))] = content(path)
    except Exception as e:  # noqa: BLE001
        module = type(e).__module__
        entry["error"] = type(e).__name__ if module == "builtins" else module + "." + type(e).__name__
        entry["message"] = str(e)[:200].replace(base, "BASE")
    calls.append(entry)


exec(compile(open(cases_path).read(), cases_path, "exec"))

target = os.path.join(os.path.dirname(cases_path), os.path.basename(cases_path).replace("cases", "calls").replace(".py", ".json.gz"))
with open(target, "wb") as f:
    f.write(gzip.compress(json.dumps(calls, ensure_ascii=False).encode(), 9, mtime=0))
errors = {}
for c in calls:
    if "error" in c:
        errors.setdefault(c["class"] + ": " + c["error"] + ": " + c["message"], 0)
print(f"{len(calls)} calls of {len({c['class'] for c in calls})} classes, {os.path.getsize(target)} bytes")
for e in errors:
    print("  error", e)
