"""Records what ComfyUI's classes save as animations and as advanced images, for TestSaved.

    python nodes/image/testdata/saved.py COMFYUI nodes/image/testdata/saved.json.gz
    python nodes/image/testdata/saved.py COMFYUI nodes/image/testdata/saved_random.json.gz 20

The second makes 20 random calls of each class.
"""
import base64
import gzip
import json
import os
import random
import struct
import sys
import tempfile

root, target = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
count = int(sys.argv[3]) if len(sys.argv) > 3 else 0
sys.argv = [sys.argv[0], "--cpu", "--disable-api-nodes"]
sys.path.insert(0, root)
os.chdir(root)
import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()
import av  # noqa: E402
import folder_paths  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from io import BytesIO  # noqa: E402
from comfy_api.latest import IO  # noqa: E402
from comfy_extras import nodes_images as ni  # noqa: E402
from PIL import Image, ImageSequence  # noqa: E402

out = tempfile.mkdtemp()
folder_paths.set_output_directory(out)


class Hidden:
    prompt = {"1": {"class_type": "X", "inputs": {"text": "Grüße"}}}
    extra_pnginfo = {"workflow": {"nodes": [1, 2.5, None]}}


def uniform(count, seed):
    x = (np.arange(count, dtype=np.uint64) * 0x9E3779B1 + seed * 0x85EBCA77) & 0xFFFFFFFF
    x ^= x >> 15
    x = (x * 0x2C1B3C6D) & 0xFFFFFFFF
    x ^= x >> 12
    x = (x * 0x297A2D39) & 0xFFFFFFFF
    x ^= x >> 15
    return (x >> 8).astype(np.float64) / (1 << 24)


def rnd(*shape, seed=1, lo=0.0, hi=1.0):
    return torch.from_numpy((lo + (hi - lo) * uniform(int(np.prod(shape)), seed)).astype(np.float32).reshape(shape))


def moving(n, h, w, c):
    """A random image in which a square moves and then stays."""
    t = rnd(1, h, w, c).repeat(n, 1, 1, 1)
    for i in range(n):
        at = min(i, 2)
        t[i, 2 + at:4 + at, 3 + 2 * at:6 + 2 * at] = 1.0
    return t


def smooth(b, h, w, c, seed=1):
    o = np.empty((b, h, w, c), dtype=np.float32)
    for n in range(b):
        for k in range(c):
            y, x = np.mgrid[0:h, 0:w].astype(np.float64)
            v = (x * (k + 1) + y * (3 - k % 3) + 7 * seed + 5 * n) / (4.0 * (w + h))
            disc = (x - w / 2) ** 2 + (y - h / 2) ** 2 < (min(w, h) / 3.0) ** 2
            v = np.where(disc, 1 - v, v)
            o[n, :, :, k] = v - np.floor(v)
    return torch.from_numpy(o)


def packed(b):
    return base64.b64encode(b).decode()


def chunks(data):
    """Kinds of the chunks with what the control chunks hold."""
    at, names = 8, []
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind not in (b"IDAT", b"fdAT"):
            names.append([kind.decode(), packed(data[at + 8:at + 8 + size])])
        at += 12 + size
    return names


def saved(result):
    f = result.ui["images"][0] if isinstance(result.ui, dict) else result.ui.as_dict()["images"][0]
    with open(os.path.join(out, f["subfolder"], f["filename"]), "rb") as r:
        return f["filename"], r.read()


entries = []


def animation(cls, images, spec, **more):
    getattr(ni, cls).hidden = Hidden
    name, data = saved(getattr(ni, cls).execute(images=images, filename_prefix=cls, **more))
    e = {"class": cls, "images": spec, "in": more, "name": name, "size": len(data)}
    with Image.open(BytesIO(data)) as im:
        frames = [np.array(f.convert("RGBA")) for f in ImageSequence.Iterator(im)]
        im.seek(0)
        e["times"] = []
        for i in range(getattr(im, "n_frames", 1)):
            im.seek(i)
            im.load()
            e["times"].append(float(im.info.get("duration", 0)))
        e["loop"] = im.info.get("loop", -1)
        e["exif"] = packed(im.info.get("exif", b""))
    e["shape"] = list(np.stack(frames).shape)
    e["pixels"] = packed(np.stack(frames).tobytes())
    if cls.endswith("PNG"):
        e["chunks"] = chunks(data)
    entries.append(e)


def advanced(shape, fmt, depth, space):
    ni.SaveImageAdvanced.hidden = Hidden
    images, c = rnd(*shape, lo=-0.2, hi=1.2), shape[-1]
    name, data = saved(ni.SaveImageAdvanced.execute(images, "adv", {"format": fmt, "bit_depth": depth, "input_color_space": space}))
    e = {"class": "SaveImageAdvanced", "images": shape, "format": fmt, "depth": depth, "space": space, "name": name}
    if fmt == "png":
        e["chunks"] = [x for x in chunks(data) if x[0] in ("IHDR", "tEXt", "iTXt")]
        with av.open(BytesIO(data)) as c16:
            frame = next(c16.decode(video=0))
            deep = {1: "gray16le", 3: "rgb48le", 4: "rgba64le"}[c]
            e["pixels"] = packed((frame.to_ndarray(format=deep) if depth == "16-bit" else frame.to_ndarray()).tobytes())
    else:
        e["file"] = packed(data)
    entries.append(e)


def vector(text):
    ni.SaveSVGNode.hidden = Hidden
    name, data = saved(ni.SaveSVGNode.execute(IO.SVG.Type([BytesIO(text.encode())])))
    entries.append({"class": "SaveSVGNode", "name": name, "text": text, "file": packed(data)})


FORMATS = (("png", "8-bit", "sRGB"), ("png", "16-bit", "sRGB"), ("exr", "32-bit float", "sRGB"), ("exr", "32-bit float", "HDR"), ("exr", "32-bit float", "linear"))


def fixed():
    for n, c in ((1, 3), (5, 3), (4, 4)):
        animation("SaveAnimatedPNG", moving(n, 9, 12, c), [n, 9, 12, c], fps=7.0, compress_level=4)
        animation("SaveAnimatedWEBP", moving(n, 9, 12, c), [n, 9, 12, c], fps=7.0, lossless=True, quality=80, method="default")
    animation("SaveAnimatedWEBP", smooth(3, 24, 32, 3), [3, 24, 32, 3], fps=24.0, lossless=False, quality=90, method="slowest")
    animation("SaveAnimatedWEBP", smooth(1, 24, 32, 3), [1, 24, 32, 3], fps=24.0, lossless=False, quality=50, method="fastest")
    for c in (1, 3, 4):
        for f in FORMATS:
            advanced([1, 3, 5, c], *f)
    vector("<?xml version=\"1.0\"?>\n<svg width=\"4\">ü<svg/></svg>")


def chance():
    r = random.Random(16)
    fps = lambda: r.choice([0.01, 0.5, 6.0, 7.0, 23.976, 24.0, 30.0, 60.0, 999.0, 1000.0, round(r.uniform(0.01, 1000), 2)])
    for _ in range(count):
        shape = [r.randint(1, 6), r.randint(7, 20), r.randint(11, 24), r.choice([3, 3, 4])]
        animation("SaveAnimatedPNG", moving(*shape), shape, fps=fps(), compress_level=r.randint(0, 9))
        shape = [r.randint(1, 6), r.randint(7, 20), r.randint(11, 24), r.choice([3, 3, 4])]
        lossless = r.random() < 0.7
        if not lossless:
            shape[1], shape[2], shape[3] = r.randint(16, 40), r.randint(16, 40), 3
        animation("SaveAnimatedWEBP", (moving if lossless else smooth)(*shape), shape, fps=fps(), lossless=lossless, quality=r.randint(40, 100), method=r.choice(["default", "fastest", "slowest"]))
        advanced([1, r.randint(1, 9), r.randint(1, 9), r.choice([1, 3, 4])], *r.choice(FORMATS))
        vector(r.choice(["", "<?xml version='1.0'?>", "<!-- <svg> -->\n"]) + f"<svg width=\"{r.randint(1, 99)}\"" + r.choice([">", " xmlns='http://www.w3.org/2000/svg'>", "\n>"]) + r.choice(["ü", "<path d='M0 0'/>", "]]>", "<svg>b</svg>"]) + "</svg>")


chance() if count else fixed()

with open(target, "wb") as f:
    f.write(gzip.compress(json.dumps(entries, ensure_ascii=False).encode(), 9, mtime=0))
for e in entries:
    print({k: v for k, v in e.items() if k not in ("pixels", "file", "samples")})
print(os.path.getsize(target))
