"""Records what ComfyUI's classes save as videos, for TestSaved: streams, tags and frames of the files.

    python nodes/video/testdata/saved.py COMFYUI nodes/video/testdata/saved.json.gz
    python nodes/video/testdata/saved.py COMFYUI nodes/video/testdata/saved_random.json.gz 5

The second makes 5 random calls of each class; 20 were compared.
"""
import base64
import gzip
import json
import os
import random
import sys
import tempfile
from fractions import Fraction

root, target = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
count = int(sys.argv[3]) if len(sys.argv) > 3 else 0
here = os.path.dirname(os.path.abspath(__file__))
sys.argv = [sys.argv[0], "--cpu", "--disable-api-nodes"]
sys.path.insert(0, root)
os.chdir(root)
import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()
import av  # noqa: E402
import folder_paths  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from comfy_api.latest import InputImpl, Types  # noqa: E402
from comfy_extras import nodes_video as nv  # noqa: E402

out = tempfile.mkdtemp()
folder_paths.set_output_directory(out)
folder_paths.set_input_directory(os.path.join(here, "input"))


class Hidden:
    prompt = {"1": {"class_type": "SaveVideo", "inputs": {"filename_prefix": "Grüße = 1;\n#2 \\"}}}
    extra_pnginfo = {"workflow": {"nodes": [1, 2.5, None]}}


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


def wave(channels, samples, rate):
    t = np.arange(samples, dtype=np.float64) / rate
    return {"waveform": torch.from_numpy(np.stack([0.4 * np.sin(2 * np.pi * (220 + 110 * c) * t) for c in range(channels)]).astype(np.float32))[None], "sample_rate": rate}


def made(n, fps, audio=None, depth=8, height=64, width=64):
    return InputImpl.VideoFromComponents(Types.VideoComponents(images=smooth(n, height, width, 3), audio=audio, frame_rate=Fraction(fps)), bit_depth=depth)


def described(path):
    e = {"name": os.path.basename(path), "size": os.path.getsize(path)}
    with av.open(path) as c:
        e["format"], e["duration"] = c.format.name, c.duration / 1e6
        e["tags"] = {k.lower(): v for k, v in c.metadata.items() if k.lower() in ("prompt", "workflow", "title")}
        e["streams"] = []
        for s in c.streams:
            d = {"type": s.type, "codec": s.codec.canonical_name, "time_base": str(s.time_base)}
            if s.type == "video":
                d |= {"width": s.width, "height": s.height, "pixels": s.format.name, "rate": str(s.average_rate), "frames": s.frames,
                      "primaries": int(s.color_primaries), "transfer": int(s.color_trc), "matrix": int(s.colorspace), "range": int(s.color_range)}
            else:
                d |= {"sample_rate": s.codec_context.sample_rate, "channels": s.channels}
            e["streams"].append(d)
        frames = [f for f in c.decode(c.streams.video[0])]
        e["times"] = [round(float(f.pts * f.time_base), 4) for f in frames]
        alpha = frames[0].format.name.startswith("yuva")
        data = np.stack([f.to_ndarray(format="rgb24") for f in frames])
        e["shape"], e["step"] = list(data.shape), STEP
        e["pixels"] = base64.b64encode(np.ascontiguousarray(data.reshape(-1)[::STEP]).tobytes()).decode()
    if len(e["streams"]) > 1:
        with av.open(path) as c:
            r = av.AudioResampler(format="flt")
            e["samples"] = sum(y.samples for f in c.decode(c.streams.audio[0]) for y in r.resample(f))
    return e


entries = []
STEP = 997 if count else 37  # of the values that are kept


def save(video, spec, fmt, codec):
    cls = nv.SaveVideo
    cls.hidden = Hidden
    r = cls.execute(video, "video/v", fmt, codec)
    f = r.ui.values[0]
    entries.append({"spec": spec, "format": fmt, "codec": codec, "file": described(os.path.join(out, f["subfolder"], f["filename"]))})


def again(crf, space="auto"):
    return {"encoding": "re-encode", "crf": crf, "color_space": space}


def loaded(name, start=0, duration=0):
    v = InputImpl.VideoFromFile(os.path.join(here, "input", name))
    if start or duration:
        v = v.as_trimmed(start, duration, strict_duration=False)
    return v, {"file": name, "start": start, "duration": duration}


def both(frames, fps, channels=0, samples=0, rate=0, depth=8, height=64, width=64):
    a = wave(channels, samples, rate) if channels else None
    return made(frames, fps, a, depth, height, width), {"frames": frames, "fps": fps, "channels": channels, "samples": samples, "rate": rate, "depth": depth, "height": height, "width": width}


def webm(codec, frames, height, width, channels, fps, crf):
    nv.SaveWEBM.hidden = Hidden
    r = nv.SaveWEBM.execute(smooth(frames, height, width, channels), codec, fps, "w", crf)
    f = r.ui.values[0]
    entries.append({"webm": codec, "images": [frames, height, width, channels], "fps": fps, "crf": crf, "file": described(os.path.join(out, f["subfolder"], f["filename"]))})


auto = {"codec": "auto"}


def fixed():
    save(*both(6, 24.0), "auto", auto)
    save(*both(7, 29.97, 2, 30000, 44100), "mp4", {"codec": "h264", "encoding": again(10.0)})
    save(*both(4, 12.0, 1, 2000, 22050, 10), "mkv", auto)
    save(*both(5, 10.0, 2, 24000, 44100), "webm", auto)
    save(*both(3, 8.0), "mp4", {"codec": "h264", "encoding": again(20.0, "HDR")})
    save(*loaded("sound.mp4"), "auto", auto)
    save(*loaded("vp9.webm"), "auto", auto)
    save(*loaded("wide.mp4"), "mkv", auto)
    save(*loaded("sound.mp4", 0.25, 0.4), "auto", auto)
    save(*loaded("turned90.mp4"), "mp4", {"codec": "h264", "encoding": again(18.0)})
    save(*loaded("vfr.mkv"), "mp4", {"codec": "h264", "encoding": again(18.0)})
    save(*loaded("jpeg.avi"), "mp4", auto)
    for codec, channels in (("vp9", 3), ("vp9", 4), ("av1", 3)):
        webm(codec, 4, 64, 64, channels, 23.976, 32.0)


def chance():
    r = random.Random(16)
    # Left out: FFV1, which FFmpeg 5 does not write into MP4 files, and AV1 below 64 pixels, which SVT-AV1 of its time refuses.
    side = lambda: 2 * r.randint(8, 40)
    for _ in range(count):
        fmt = r.choice(["auto", "mp4", "mkv", "webm"])
        codec = dict(auto) if fmt == "auto" or r.random() < 0.3 else {"codec": "av1" if fmt == "webm" else r.choice(["h264", "auto"])}
        if codec["codec"] != "auto" and r.random() < 0.7:
            codec["encoding"] = again(float(r.randint(0, 35)), r.choice(["auto", "auto", "SDR", "HDR"]))
        least = 48 if fmt == "webm" else 0
        if fmt == "webm" or r.random() < 0.5:
            channels = r.choice([0, 1, 2])
            source = both(r.randint(1, 9), r.choice([1.0, 8.0, 12.5, 23.976, 24.0, 29.97, 30.0, 60.0]), channels, r.randint(2000, 20000), r.choice([22050, 24000, 44100, 48000]), r.choice([8, 8, 10]), side() + least, side() + least)
        elif r.random() < 0.6:
            source = loaded(r.choice(["sound.mp4", "vp9.webm", "wide.mp4", "deep.mp4", "jpeg.avi", "png.mov", "vfr.mkv", "turned90.mp4", "turned180.mp4"]))
        else:
            source = loaded(r.choice(["wide.mp4", "sound.mp4"]), r.choice([0, 0.1, 0.25]), r.choice([0, 0.2, 0.35]))
        try:
            save(*source, fmt, codec)
        except Exception as e:
            print("not saved", fmt, codec, source[1], e)
    for _ in range(count):
        codec, least = r.choice([("vp9", 0), ("vp9", 0), ("av1", 48)])  # SVT-AV1 does not end for the smallest
        webm(codec, r.randint(1, 9), side() + least, side() + least, r.choice([3, 3, 4]), r.choice([1.0, 5.0, 12.5, 23.976, 24.0, 30.0, 60.0]), float(r.randint(5, 45)))


chance() if count else fixed()
with open(target, "wb") as f:
    f.write(gzip.compress(json.dumps(entries, ensure_ascii=False).encode(), 9, mtime=0))
for e in entries:
    print({k: v for k, v in e.items() if k != "file"}, {k: v for k, v in e["file"].items() if k not in ("pixels",)})
print(os.path.getsize(target))
