"""python record.py > yuv.json: what PyAV 16 (FFmpeg's decoders and swscale) makes of the colours of GIF and BMP files.

Needs numpy, Pillow and av. Values are in units of 1/65535.
"""
import io
import json

import av
import numpy as np
from PIL import Image

rng = np.random.default_rng(7)


def floats(data, form):
    with av.open(io.BytesIO(data)) as c:
        frame = next(c.decode(video=0))
        return np.round(frame.to_ndarray(format=form).astype(np.float64) * 65535).astype(int)


palette = rng.integers(0, 256, (64, 3), dtype=np.uint8)
palette[:4] = [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 1]]
picture = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(2, 32), "P")
picture.putpalette(palette.tobytes())
gif, bmp = io.BytesIO(), io.BytesIO()
picture.save(gif, "GIF", optimize=False)
pixels = np.dstack([palette.reshape(2, 32, 3), rng.integers(0, 256, (2, 32), dtype=np.uint8)])
Image.fromarray(pixels, "RGBA").save(bmp, "BMP")
a, b = floats(gif.getvalue(), "gbrapf32le"), floats(bmp.getvalue(), "gbrapf32le")
assert (a[..., :3] == b[..., :3]).all()
print(json.dumps({"colours": pixels.reshape(-1, 4).tolist(), "want": b.reshape(-1, 4).tolist()}))
