"""What ComfyUI 0.33.0's functions make of encoded audio and of colored masks. Every 97th value is kept.

usage: python sound.py COMFYUI > sound.json
"""
import json, math, sys
sys.path[:0] = sys.argv[1:2]
sys.argv = [sys.argv[0], "--cpu"]
import comfy.options
comfy.options.enable_args_parsing()
import torch
from comfy_extras import nodes_scail, nodes_wan


def values(*shape):
    n = torch.arange(math.prod(shape), dtype=torch.float64)
    return torch.sin(n * 0.37).float().reshape(shape)


def keep(t):
    return {"shape": list(t.shape), "values": [float("%.9g" % f) for f in t.flatten()[::97].tolist()]}


class VAE:
    pass


text = [[torch.zeros(1, 2, 4), {}]]
speech = {"encoded_audio_all_layers": [values(1, 130, 6) * (i + 1) for i in range(3)], "audio_samples": 41600}
out = {}
for name, length, offset in (("first", 9, 0), ("second", 9, 12), ("long", 77, 0)):
    pos = nodes_wan.wan_sound_to_video(text, text, None, 32, 32, length, 1, frame_offset=offset, audio_encoder_output=speech)[0]
    out["s2v " + name] = keep(pos[0][1]["audio_embed"])
whisper = {"encoded_audio_all_layers": [values(1, 150, 7) * (i + 1) for i in range(33)], "audio_samples": 41600}
pos = nodes_wan.WanHuMoImageToVideo.execute(text, text, None, 32, 32, 29, 1, audio_encoder_output=whisper)[0]
out["humo"] = keep(pos[0][1]["audio_embed"])
from comfy.ldm.wan import model_multitalk
for name, speakers, start, length in (("talk first", 1, 0, 9), ("talk second", 1, 30, 57), ("talk two", 2, 20, 29)):
    heard = []
    for k in range(speakers):
        layers = [values(1, 90 + 40 * k, 6) * (i + 1) for i in range(4)]
        e = torch.stack(layers, dim=0).squeeze(1)[1:]
        heard.append(nodes_wan.linear_interpolation(e, input_fps=50, output_fps=25).movedim(0, 1))
    total, at = sum(e.shape[0] for e in heard), 0
    for k, e in enumerate(heard):
        heard[k] = torch.zeros(total, *e.shape[1:])
        heard[k][at:at + e.shape[0]] = e
        at += e.shape[0]
    out[name] = keep(model_multitalk.get_audio_embeds(heard, start, start + length).flatten(3))
colors = torch.tensor([[1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1], [0, 0, 0]], dtype=torch.float32)
video = colors[(torch.arange(5 * 20 * 12) * 7 % 41 % 8).reshape(5, 20, 12)]
out["identities"] = keep(nodes_scail._extract_mask_to_28ch(video))
print(json.dumps(out))
