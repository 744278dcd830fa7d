"""Copies a golden of one denoiser call (folder forward or module) of the reference collection with its first case and the
tensors that a test compares alone:

    python trim.py COLLECTION/forward/NAME.json FOLDER [CASE ...]

Needs safetensors and numpy."""
import gzip
import json
import os
import sys

from safetensors import safe_open
from safetensors.numpy import save_file

source, folder, *ids = sys.argv[1:]
golden = json.load(open(source))
golden["cases"] = [c for c in golden["cases"] if not ids or c["id"] in ids][: len(ids) or 1]
kept = {}
with safe_open(source[: -len("json")] + "safetensors", "np") as stored:
    for case in golden["cases"]:
        needed = ("out", "denoised", "x_sampler")
        case["tensors"] = {
            n: t for n, t in case["tensors"].items()
            if n.split(".")[-1].split("_s")[0] in needed or n.split(".")[-1] in needed or n.endswith("attention_mask") or n.startswith("in.")
        }
        for n in case["tensors"]:
            kept[f"{case['id']}/{n}"] = stored.get_tensor(f"{case['id']}/{n}")
name = os.path.basename(source)
save_file(kept, os.path.join(folder, name[: -len("json")] + "safetensors"))
with open(os.path.join(folder, name + ".gz"), "wb") as f, gzip.GzipFile("", "wb", 9, f, 0) as z:
    z.write(json.dumps(golden, separators=(",", ":")).encode())
