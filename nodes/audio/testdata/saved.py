"""Records what ComfyUI's classes save, for TestSaved: streams, tags and samples of the files.

    python nodes/audio/testdata/saved.py COMFYUI nodes/audio/testdata/saved.json.gz
    python nodes/audio/testdata/saved.py COMFYUI nodes/audio/testdata/saved_random.json.gz 20

The second makes 20 random calls of each format.
"""
import asyncio
import base64
import gzip
import json
import os
import random
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

from comfy_api.latest import UI  # noqa: E402
from comfy_api.latest._io import FolderType  # noqa: E402

out = tempfile.mkdtemp()
folder_paths.set_output_directory(out)


class Hidden:
    prompt = {"1": {"class_type": "SaveAudio", "inputs": {"filename_prefix": "Grüße = 1;\n#2 \\"}}}
    extra_pnginfo = {"workflow": {"nodes": [1, 2.5, None]}}


class Class:
    hidden = Hidden


def wave(channels, samples, rate):
    """Tones that Go makes alike."""
    t = np.arange(samples, dtype=np.float64) / rate
    return torch.from_numpy(np.stack([0.4 * np.sin(2 * np.pi * (220 + 110 * c) * t) for c in range(channels)]).astype(np.float32))[None]


fixed = (
    ("flac", "", 2, 4500, 44100), ("flac", "", 1, 4096, 8000), ("flac", "", 2, 13, 96000),
    ("mp3", "V0", 2, 9000, 44100), ("mp3", "128k", 1, 9000, 24000), ("mp3", "320k", 2, 5000, 48000),
    ("opus", "64k", 1, 9000, 24000), ("opus", "128k", 2, 9000, 44100), ("opus", "320k", 2, 9000, 96000), ("opus", "96k", 1, 2000, 11025),
)
r = random.Random(16)
rates = [8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000]
chance = [(f, r.choice({"flac": [""], "mp3": ["V0", "128k", "320k"], "opus": ["64k", "96k", "128k", "192k", "320k"]}[f]), r.choice([1, 2]), r.randint(1, 12000), r.choice(rates + [96000, 192000] * (f != "mp3")))
          for f in ("flac", "mp3", "opus") for _ in range(count)]
entries = []
for fmt, quality, channels, samples, rate in chance if count else fixed:
    try:
        r = UI.AudioSaveHelper.save_audio({"waveform": wave(channels, samples, rate), "sample_rate": rate}, "audio/x", FolderType.output, Class, fmt, quality or "128k")
    except Exception as e:
        print("not saved", fmt, quality, channels, samples, rate, e)
        continue
    path = os.path.join(out, r[0]["subfolder"], r[0]["filename"])
    with av.open(path) as f:
        s = f.streams.audio[0]
        tags = dict(f.metadata) | dict(s.metadata)
        tags = {k.lower(): v for k, v in tags.items() if k.lower() in ("prompt", "workflow")}
        e = {"format": fmt, "quality": quality, "channels": channels, "samples": samples, "rate": rate, "name": r[0]["filename"], "subfolder": r[0]["subfolder"],
             "codec": s.codec_context.name, "codec_rate": s.codec_context.sample_rate, "codec_channels": s.channels, "tags": tags, "size": os.path.getsize(path)}
        resampler = av.AudioResampler(format="s16")
        parts = [y.to_ndarray() for x in f.decode(s) for y in resampler.resample(x)] + [y.to_ndarray() for y in resampler.resample(None) if y.samples]
        data = np.concatenate(parts, axis=1).reshape(-1)
        e["length"] = len(data) // s.channels
        e["step"] = 97 if count else 1 if fmt == "flac" else 7
        data = data[:: e["step"]]
        e["decoded"] = base64.b64encode(data.astype("<i2").tobytes()).decode()
    entries.append(e)
with open(target, "wb") as f:
    f.write(gzip.compress(json.dumps(entries, ensure_ascii=False).encode(), 9, mtime=0))
print([(e["format"], e["quality"], e["name"], e["codec"], e["codec_rate"], e["codec_channels"], e["size"], len(e["decoded"]), list(e["tags"])) for e in entries], os.path.getsize(target))
