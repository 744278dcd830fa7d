"""The part of tools/nodebench that calls ComfyUI's classes: calls as JSON on standard input, CPU seconds as JSON on the last line."""
import asyncio
import gc
import json
import os
import sys
import tempfile
import time

job, root = json.load(sys.stdin), os.path.abspath(sys.argv[1])
sys.argv = ["nodebench", "--cpu", "--disable-api-nodes"]
sys.path.insert(0, root)
os.chdir(root)

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()

import numpy as np  # noqa: E402
import torch  # noqa: E402

import nodes  # noqa: E402
import folder_paths  # noqa: E402
from comfy_api.latest import InputImpl  # noqa: E402

folder_paths.set_output_directory(tempfile.mkdtemp())

out, sys.stdout = sys.stdout, sys.stderr
asyncio.run(nodes.init_builtin_extra_nodes())
torch.set_num_threads(1)
torch.set_grad_enabled(False)


def tensor(shape, seed):
    i = np.arange(np.prod(shape), dtype=np.uint64)
    x = (i * 0x9E3779B1 + seed * 0x85EBCA77) & 0xFFFFFFFF
    x ^= x >> 15
    x = (x * 0x2C1B3C6D) & 0xFFFFFFFF
    x ^= x >> 12
    v = ((i // 300 + (x >> 27)) % 256).astype(np.float32) / np.float32(255)
    return torch.from_numpy(v.reshape(shape))


def value(i):
    if i["random"]:
        return tensor(**i["random"])
    if i["sound"]:
        s = i["sound"]
        return {"waveform": tensor([1, 2, s["samples"]], s["rate"]), "sample_rate": s["rate"]}
    if i["movie"]:
        return InputImpl.VideoFromFile(i["movie"]["path"])
    return i["value"]


class Hidden:
    prompt = extra_pnginfo = None


def run(cls, kwargs):
    obj = nodes.NODE_CLASS_MAPPINGS[cls]
    obj.hidden = Hidden
    if hasattr(obj, "define_schema"):
        return lambda: obj.EXECUTE_NORMALIZED(**kwargs)
    return lambda: getattr(obj(), obj.FUNCTION)(**kwargs)


times = []
for call in job["calls"]:
    kwargs = {i["name"]: value(i) for i in call["inputs"]}
    f = run(call["class"], kwargs)
    least = float("inf")
    for _ in range(job["rounds"]):
        gc.collect()
        before = time.process_time()
        f()
        least = min(least, time.process_time() - before)
    times.append(least)
print(json.dumps(times), file=out)
