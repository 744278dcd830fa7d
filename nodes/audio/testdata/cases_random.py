# Random calls of classes that load and save audio: what comes out, what the client is told, and the names of the files; see tests/nodecalls/record.py.
# saved.py has the content of encoded files.
import io
import random
import struct

r = random.Random(16)
LIMIT = 60  # values of a tensor that are kept
some = lambda chance, **more: more if r.random() < chance else {}
seed = lambda: r.randint(1, 10**6)


def wav():
    """A WAV file of 16 or 24 bits or of float32."""
    channels, rate, n = r.choice([1, 2, 2, 6]), r.choice([8000, 11025, 22050, 44100, 48000, 96000]), r.randint(1, 800)
    kind = r.choice([16, 24, 32])
    u = uniform(n * channels, seed()) * 2 - 1
    if kind == 32:
        data = u.astype("<f4").tobytes()
    else:
        data = b"".join(int(v * (2 ** (kind - 1) - 1)).to_bytes(kind // 8, "little", signed=True) for v in u)
    block = channels * kind // 8
    head = struct.pack("<HHIIHH", 3 if kind == 32 else 1, channels, rate, rate * block, block, kind)
    return b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + struct.pack("<I", 16) + head + b"data" + struct.pack("<I", len(data)) + data


sound = lambda: audio(rnd(r.choice([1, 1, 2]), r.choice([1, 2]), r.randint(1200, 4000), seed=seed(), lo=-0.6, hi=0.6), r.choice([24000, 44100, 48000]))
PREFIXES = ["audio/x", "x", "ü y", "x %batch_num%"]
for i in range(20):
    saves("LoadAudio", given={"input/a.wav": wav()}, audio="a.wav")
    saves("RecordAudio", given={"input/a.wav": wav()}, audio=r.choice(["a.wav", "a.wav", "a.wav", "a.wav", "none.wav"]))
    more = some(0.3, prompt={"1": {}}, workflow={"nodes": []})
    saves("SaveAudioMP3", audio=sound(), filename_prefix=r.choice(PREFIXES), quality=r.choice(["V0", "128k", "320k"]), **more)
    saves("SaveAudioOpus", audio=sound(), filename_prefix=r.choice(PREFIXES), quality=r.choice(["64k", "96k", "128k", "192k"]), **more)
    saves("SaveAudioAdvanced", audio=sound(), filename_prefix=r.choice(PREFIXES), **r.choice([{"format": "flac"}, {"format": "mp3", "format.quality": r.choice(["V0", "128k", "320k"])}, {"format": "opus", "format.quality": r.choice(["64k", "96k", "192k"])}]), **more)
