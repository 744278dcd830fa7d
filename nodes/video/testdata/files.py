"""Makes the files of input/ with PyAV, as ComfyUI's own classes use it, and with the program ffmpeg:

    python nodes/video/testdata/files.py nodes/video/testdata/input

The files are committed; encoders of another version make others."""
import subprocess
import sys
from fractions import Fraction

import av
import numpy as np

d = sys.argv[1]


def frame(i, w, h, alpha=False):
    y, x = np.mgrid[0:h, 0:w]
    f = np.stack([(x * 4 + i * 5) % 256, (y * 6 + i * 3) % 256, ((x + y) * 3) % 256], axis=-1)
    f[(i * 2) % h:(i * 2) % h + 6, (i * 3) % w:(i * 3) % w + 8] = (250, 20, 60)
    if alpha:
        f = np.concatenate([f, (x[..., None] * 5 + i) % 256], axis=-1)
    return f.astype(np.uint8)


def write(name, codec, w, h, n, rate, pix, audio=None, opts={}, fmt=None, tags={}, vfr=False):
    with av.open(f"{d}/{name}", "w", format=fmt, options={"movflags": "use_metadata_tags"} if name.endswith(("mp4", "mov")) else {}) as o:
        for k, v in tags.items():
            o.metadata[k] = v
        s = o.add_stream(codec, rate=rate, options=opts)
        s.width, s.height, s.pix_fmt = w, h, pix
        if audio:
            acodec, arate, layout, seconds = audio
            a = o.add_stream(acodec, rate=arate, layout=layout)
        for i in range(n):
            alpha = "a" in pix and pix != "pal8" and not pix.startswith("gray")
            f = av.VideoFrame.from_ndarray(frame(i, w, h, alpha), format="rgba" if alpha else "rgb24")
            if vfr:
                f.pts = i * i
                f.time_base = 1 / Fraction(rate)
            for p in s.encode(f):
                o.mux(p)
        for p in s.encode(None):
            o.mux(p)
        if audio:
            ch = {"mono": 1, "stereo": 2, "5.1": 6}[layout]
            t = np.arange(int(seconds * arate)) / arate
            wave = np.stack([0.4 * np.sin(2 * np.pi * (220 + 110 * c) * t) for c in range(ch)]).astype(np.float32)
            f = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave), format="fltp", layout=layout)
            f.sample_rate, f.pts = arate, 0
            for p in a.encode(f):
                o.mux(p)
            for p in a.encode(None):
                o.mux(p)


write("sound.mp4", "h264", 48, 34, 20, 24, "yuv420p", ("aac", 22050, "stereo", 0.9), tags={"prompt": '{"a": 1}', "title": "old"})
write("wide.mp4", "h264", 64, 32, 12, Fraction(30000, 1001), "yuv420p", opts={"g": "4"})
write("deep.mp4", "h264", 32, 32, 6, 25, "yuv420p10le")
write("vp9.webm", "libvpx-vp9", 40, 30, 10, 10, "yuv420p", ("libopus", 48000, "mono", 1.0))
write("alpha.webm", "libvpx-vp9", 32, 32, 4, 10, "yuva420p")
write("jpeg.avi", "mjpeg", 36, 20, 5, 12, "yuvj420p")
write("png.mov", "png", 20, 12, 3, 5, "rgba")
write("rgb.mkv", "ffv1", 24, 16, 4, 8, "bgr0")
write("vfr.mkv", "h264", 32, 32, 6, 25, "yuv420p", vfr=True)
write("set/a.mp4", "h264", 32, 32, 9, 8, "yuv420p")
write("set/2_twice/b.mkv", "h264", 32, 16, 5, 8, "yuv420p")
open(f"{d}/set/a.txt", "w").write(" a caption\n")
for degrees in (90, 180):
    subprocess.run(["ffmpeg", "-y", "-v", "error", "-i", f"{d}/wide.mp4", "-c", "copy", "-metadata:s:v:0", f"rotate={degrees}", f"{d}/turned{degrees}.mp4"], check=True)
whole = open(f"{d}/sound.mp4", "rb").read()
with open(f"{d}/cut.mp4", "wb") as f:
    f.write(whole[: len(whole) // 2])
whole = open(f"{d}/vp9.webm", "rb").read()
with open(f"{d}/cut.webm", "wb") as f:
    f.write(whole[: len(whole) * 2 // 3])
with open(f"{d}/noise.mp4", "wb") as f:
    f.write(np.random.RandomState(1).bytes(600))
