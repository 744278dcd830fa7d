"""python recordload.py COMFYUI: small images of every format in load/ and, in load.json.gz, what ComfyUI's LoadImage makes of them.

Needs a checkout of ComfyUI 0.33.0 with its dependencies (PyAV 18.1, Pillow 13.0.0). Values are uint16 in steps of 1/65535, base64.
An error of LoadImage is recorded by its type.
"""

import base64
import gzip
import io
import json
import logging
import os
import struct
import sys
import zlib

here = os.path.dirname(os.path.abspath(__file__))
target = os.path.join(here, "load")
comfy = sys.argv[1]
sys.argv = ["main.py", "--cpu"]
sys.path.insert(0, comfy)
os.chdir(comfy)

import numpy as np
from PIL import Image

rng = np.random.default_rng(11)
sizes = ((32, 16), (20, 18))  # ComfyUI fails below 17 pixels where it has to pad
odd = ((33, 18), (32, 19), (18, 17), (33, 19))  # for subsampled chroma


def write(name, data):
    with open(os.path.join(target, name), "wb") as f:
        f.write(data)


def save(name, img, fmt=None, **options):
    b = io.BytesIO()
    img.save(b, fmt or {"jpg": "JPEG", "tif": "TIFF", "pfm": "PPM"}.get(name.split(".")[-1], name.split(".")[-1].upper()), **options)
    write(name, b.getvalue())
    return b.getvalue()


def png(name, w, h, kind, depth, rows, extra=b""):
    def chunk(k, b):
        return struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b))

    head = struct.pack(">IIBBBBB", w, h, depth, kind, 0, 0, 0)
    raw = b"".join(b"\0" + r.tobytes() for r in rows)
    write(name, b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


def waves(w, h):
    y, x = np.mgrid[0:h, 0:w]
    parts = [127 + 120 * np.sin(x / (5 + k) + k) * np.cos(y / (7 - k)) for k in range(3)]
    return Image.fromarray(np.clip(np.stack(parts, -1), 0, 255).astype(np.uint8))


def images(w, h):
    s = f"_{w}x{h}."
    ramp = Image.fromarray((np.arange(w * h).reshape(h, w) % 256).astype(np.uint8))
    noise = lambda c: Image.fromarray(rng.integers(0, 256, (h, w, c), dtype=np.uint8))
    soft, rgb, rgba = waves(w, h), noise(3), noise(4)
    clear = soft.copy()
    clear.putalpha(Image.fromarray(np.broadcast_to(np.arange(w) * 255 // (w - 1), (h, w)).astype(np.uint8)))
    words = lambda c: rng.integers(0, 65536, (h, w * c)).astype(">u2")
    for ext in "png", "jpg", "tif", "tga", "pgm", "avif":
        save("gray" + s + ext, ramp, "PPM" if ext == "pgm" else None, **({"quality": 100} if ext in ("jpg", "avif") else {}))
    for ext in "png", "tif", "bmp":
        save("bit" + s + ext, ramp.convert("1"))
    save("bit" + s + "pbm", ramp.convert("1"), "PPM")
    save("la" + s + "png", noise(2))
    for ext in "tga", "bmp", "ppm", "pcx":
        save("rgb" + s + ext, rgb)
    for ext in "tga", "bmp", "tif":
        save("rgba" + s + ext, rgba)
    save("lossless" + s + "webp", rgba, lossless=True, exact=True)
    save("opaque" + s + "webp", rgb, lossless=True)
    save("alpha" + s + "webp", clear, quality=90)
    save("cmyk" + s + "tif", Image.fromarray(np.asarray(rgba), "CMYK"))
    save("cmyk" + s + "jpg", soft.convert("CMYK"), quality=95)
    save("rgbjpeg" + s + "jpg", soft, quality=95, keep_rgb=True)
    png("g16" + s + "png", w, h, 0, 16, words(1))
    png("ya16" + s + "png", w, h, 4, 16, words(2))
    png("rgb48" + s + "png", w, h, 2, 16, words(3))
    png("rgba64" + s + "png", w, h, 6, 16, words(4))
    frames = [Image.fromarray(np.roll(np.asarray(clear), 5 * k, 1)) for k in range(2)]
    save("moving" + s + "webp", frames[0], save_all=True, append_images=frames[1:], quality=90)
    save("movingrgb" + s + "webp", frames[0].convert("RGB"), save_all=True, append_images=[frames[1].convert("RGB")], quality=90)
    save("gif" + s + "gif", soft.quantize(16))
    save("moving" + s + "avif", frames[0], save_all=True, append_images=frames[1:], quality=95)


def subsampled(w, h):
    s, soft = f"_{w}x{h}.", waves(w, h)
    save("lossy" + s + "webp", soft, quality=90)
    save("soft" + s + "avif", soft, quality=95)
    for sub in 0, 1, 2:
        save(f"sub{sub}" + s + "jpg", soft, quality=90, subsampling=sub, progressive=sub == 2)


def damaged():
    w, h = 48, 40
    img = Image.fromarray(np.clip(np.asarray(waves(w, h)).astype(int) + rng.integers(-2, 3, (h, w, 1)), 0, 255).astype(np.uint8))
    whole = {name: save("whole_" + name, img, **o) for name, o in {
        "base.jpg": {"quality": 90}, "prog.jpg": {"quality": 90, "progressive": True}, "x.png": {}, "x.tif": {}, "x.ppm": {},
        "x.pcx": {}, "lossless.webp": {"lossless": True}}.items()}
    whole["x.gif"] = save("whole_x.gif", img.quantize(32))
    for name, data in whole.items():
        if name != "x.pcx":  # the row that is cut has what FFmpeg's buffer held
            write("cut_" + name, data[: len(data) * 2 // 3])
        write("tail_" + name, data + b"left over" * 3)
        write("last_" + name, data[:-1])
    p = whole["x.png"]
    text = b"Comment\0edited"
    write("checksum_x.png", p[:33] + struct.pack(">I", len(text)) + b"tEXt" + text + b"\0\0\0\0" + p[33:])
    write("noend_x.png", p[:-12])


def record():
    import comfy.options

    comfy.options.enable_args_parsing()
    logging.disable(logging.CRITICAL)
    import av
    import folder_paths

    av.logging.set_level(av.logging.PANIC)
    folder_paths.set_input_directory(target)
    import nodes

    def pack(t):
        v = np.round(np.clip(t.numpy().astype(np.float64), 0, 1) * 65535).astype("<u2")
        return {"shape": list(v.shape), "values": base64.b64encode(v.tobytes()).decode()}

    out = {}
    for name in sorted(os.listdir(target)):
        try:
            image, mask = nodes.LoadImage().load_image(name)
            out[name] = {"image": pack(image), "mask": pack(mask)}
        except Exception as e:
            out[name] = {"error": type(e).__name__}
    with open(os.path.join(here, "load.json.gz"), "wb") as f, gzip.GzipFile(filename="", fileobj=f, mode="wb", mtime=0) as z:
        z.write(json.dumps(out).encode())


os.makedirs(target, exist_ok=True)
for size in sizes:
    images(*size)
for size in sizes + odd:
    subsampled(*size)
damaged()
record()
