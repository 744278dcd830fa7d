"""What ComfyUI 0.33.0's audio encoders compute with small weights.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.audio_encoders.wav2vec2 import Wav2Vec2Model
from comfy.audio_encoders.whisper import AudioEncoder, WhisperFeatureExtractor

r = recording.Recorder("audio", here)
ops = comfy.ops.disable_weight_init


def some(x):
    """Every 97th value, as familytest.CompareSome takes it."""
    return x.flatten()[::97]


def calls(run):
    return {"last_s97": lambda m: some(run(m)[0])} | {f"layer{i}_s97": (lambda m, i=i: some(run(m)[1][i])) for i in range(3)}


sound = r.normal("sound", 2, 2, 9000)
for name, large in (("base", False), ("large", True)):
    m = Wav2Vec2Model(embed_dim=128, num_heads=2, num_layers=2, conv_norm=large, conv_bias=large, do_normalize=large, do_stable_layer_norm=large, operations=ops)
    r.record(name, m, calls(lambda m: m(sound * 0.3)))


class File(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.model = torch.nn.Module()
        self.model.encoder = AudioEncoder(n_state=64, n_head=1, n_layer=2, operations=ops)


mel = WhisperFeatureExtractor()
speech = r.normal("sound", 2, 2, 9000) * torch.linspace(0, 1, 9000)
r.record("whisper", File(), {"mel_s97": lambda m: some(mel(speech))} | calls(lambda m: m.model.encoder(mel(speech))))
