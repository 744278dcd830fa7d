#!/usr/bin/env bash
# FFmpeg composes animated PNG files wrongly when their palette indexes have fewer than 8 bits: the first frame is right, every
# later frame that covers a part of the canvas is not. With 8-bit indexes, and in RGB, the same animation is right. A careful
# guess is that the depth of an index changes nothing once it is unpacked, and Pillow writes small palettes with 1, 2 or 4 bits.
#
# Where it meets our users: ComfyUI 0.33.0 loads animations through PyAV; docs/conformance.md says what comfygo shows instead.
#
# Seen with PyAV 18.1.0 (its own FFmpeg libraries) and Pillow 12.0.0, Linux x86-64, three frames of 32x32 whose squares move:
#   palette of 4 (2 bits): pixels that differ from Pillow's 0, 64, 96; palette of 256 (8 bits): 0, 0, 0; RGB: 0, 0, 0.
# Fails when that changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.3.5 pillow==12.0.0
"$dir/venv/bin/python" - <<'PY'
import io

import av
import numpy as np
from PIL import Image

COLORS = [0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255]


def animation(colors, mode):
    frames = []
    for k in range(3):
        frame = Image.new("P", (32, 32), 0)
        frame.putpalette(COLORS + [7] * 3 * (colors - 4))
        frame.paste(1 + k, (4 + 8 * k, 4, 12 + 8 * k, 12))
        frames.append(frame.convert(mode) if mode != "P" else frame)
    out = io.BytesIO()
    frames[0].save(out, "PNG", save_all=True, append_images=frames[1:], duration=100)
    return out.getvalue()


def differing(data):
    want = Image.open(io.BytesIO(data))
    counts = []
    for k, frame in enumerate(av.open(io.BytesIO(data)).decode(video=0)):
        want.seek(k)
        counts.append(int((frame.to_ndarray(format="rgb24") != np.array(want.convert("RGB"))).any(-1).sum()))
    return counts


print("PyAV", av.__version__)
seen = {}
for name, colors, mode in (("palette of 4", 4, "P"), ("palette of 256", 256, "P"), ("RGB", 4, "RGB")):
    data = animation(colors, mode)
    seen[name] = differing(data)
    print(f"{name}: {data[24]} bits, pixels that differ in each frame {seen[name]}")
assert seen["palette of 4"] == [0, 64, 96], "small palettes are composed in another way now"
assert seen["palette of 256"] == seen["RGB"] == [0, 0, 0], "the other layouts are composed in another way now"
PY
