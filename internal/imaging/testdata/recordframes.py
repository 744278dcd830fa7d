"""python recordframes.py: small pictures in upstream/ and, in upstream.json.gz, what ComfyUI 0.33.0 loads from them.

The loading is that of the steps for single pictures in its VideoFromFile with PyAV 18.1: rgb24 or rgba for 8-bit JPEG, PNG and
palettes, 32-bit floats for the rest, which are enlarged to multiples of 32 first when their width is none. Values are bytes as SaveImage makes them.
"""

import gzip
import io
import json
import os

import av
import numpy as np
from PIL import Image

rng = np.random.default_rng(5)


def save(name, img, fmt, **options):
    b = io.BytesIO()
    img.save(b, fmt, **options)
    with open(os.path.join("upstream", name), "wb") as f:
        f.write(b.getvalue())


def waves(w, h):
    y, x = np.mgrid[0:h, 0:w]
    parts = [127 + 120 * np.sin(x / (5 + k) + k) * np.cos(y / (7 - k)) for k in range(3)]
    return Image.fromarray(np.clip(np.stack(parts, -1), 0, 255).astype(np.uint8))


def dots(w, h, k):
    a = np.zeros((h, w, 4), np.uint8)
    y, x = np.mgrid[0:h, 0:w]
    a[(x - 4 - 5 * k) ** 2 + (y - 5) ** 2 < 18] = [200 - 40 * k, 30 + 50 * k, 90, 255]
    return Image.fromarray(a)


def noise(w, h, c=4):
    return Image.fromarray(rng.integers(0, 256, (h, w, c), dtype=np.uint8))


def pictures():
    os.makedirs("upstream", exist_ok=True)
    for w, h in (21, 13), (20, 13), (21, 12):
        save(f"half_{w}x{h}.jpg", waves(w, h), "JPEG", subsampling=2, quality=95)
        save(f"full_{w}x{h}.jpg", waves(w, h), "JPEG", subsampling=0, quality=95)
        save(f"across_{w}x{h}.jpg", waves(w, h), "JPEG", subsampling=1, quality=95)
    for w, h in (20, 18), (32, 13):
        save(f"waves_{w}x{h}.webp", waves(w, h), "WEBP", quality=95)
    for d in 0, 1, 2, 3:
        save(f"dots{d}_20x18.gif", dots(20, 18, 0), "GIF", save_all=True, append_images=[dots(20, 18, k) for k in (1, 2)], disposal=d)
    for d in 0, 1, 2:
        for blend in 0, 1:
            more = [noise(20, 12), dots(20, 12, 2)]
            save(f"anim{d}{blend}_20x12.png", noise(20, 12), "PNG", save_all=True, append_images=more, disposal=d, blend=blend)
    opaque = [noise(20, 12, 3) for _ in range(2)]
    save("opaque_20x12.png", opaque[0], "PNG", save_all=True, append_images=opaque[1:])
    save("default_20x12.png", noise(20, 12), "PNG", save_all=True, append_images=[noise(20, 12)], default_image=True)
    save("alpha_20x18.bmp", noise(20, 18), "BMP")
    none = np.array(noise(20, 18))
    none[..., 3] = 0
    save("noalpha_20x18.bmp", Image.fromarray(none), "BMP")
    save("palette_20x18.bmp", noise(20, 18, 3).quantize(16), "BMP")


def padded(frame, form):
    w, h = frame.width, frame.height
    right, below = -w % 32, -h % 32
    graph = av.filter.Graph()
    source = graph.add_buffer(width=w, height=h, format=frame.format.name, time_base="1/1")
    steps = [source, graph.add("pad", f"{w + right}:{h + below}:0:0"),
             graph.add("fillborders", f"left=0:right={right}:top=0:bottom={below}:mode=smear"), graph.add("buffersink")]
    for a, b in zip(steps, steps[1:]):
        a.link_to(b)
    graph.configure()
    source.push(frame)
    return steps[-1].pull().to_ndarray(format=form)[:h, :w]


def load(path):
    frames = []
    with av.open(path) as container:
        for frame in container.decode(video=0):
            name = frame.format.name
            alpha = name == "pal8" or any(c.is_alpha for c in frame.format.components)
            if name in ("yuvj420p", "yuvj422p", "yuvj444p", "rgb24", "rgba", "pal8"):
                v = frame.to_ndarray(format="rgba" if alpha else "rgb24").astype(np.float32) / np.float32(255)
            else:
                form = "gbrapf32le" if alpha else "gbrpf32le"
                v = padded(frame, form) if frame.width % 32 else frame.to_ndarray(format=form)
            frames.append({"rgb": as_bytes(v[..., :3]), "alpha": as_bytes(v[..., 3]) if alpha else ""})
    return frames


def as_bytes(v):
    return np.clip(np.float32(255) * v, 0, 255).astype(np.uint8).tobytes().hex()


if __name__ == "__main__":
    pictures()
    loaded = {name: load(os.path.join("upstream", name)) for name in sorted(os.listdir("upstream"))}
    with open("upstream.json.gz", "wb") as f, gzip.GzipFile(filename="", fileobj=f, mode="wb", mtime=0) as z:
        z.write(json.dumps(loaded).encode())
