"""What ComfyUI 0.33.0's nodes of MiniMax H3 give the VAEs and the text encoder: shapes, and every 997th value of images.

usage: python minimax_h3.py COMFYUI RECIPE; RECIPE is the folder of recipe.py
"""
import json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = sys.argv[1:3]
sys.argv = [sys.argv[0], "--cpu"]
import comfy.options
comfy.options.enable_args_parsing()
import recipe, torch
torch.set_num_threads(1)
from comfy_extras import nodes_minimax_h3 as h3


def image(name, *shape):
    return torch.from_numpy(recipe.image_array("minimaxh3/" + name, list(shape)))


def seen(x):
    return {"shape": list(x.shape), "values": [round(float(v), 5) for v in x.flatten()[::997]]}


class VAE:
    def __init__(self):
        self.calls = []

    def encode(self, x):
        self.calls.append(seen(x))
        t = 1 if x.shape[0] == 1 else (x.shape[0] - 5) // 17 * 5 + 2
        return torch.zeros(1, 24, t, x.shape[1] // 16, x.shape[2] // 16)


class AudioVAE:
    audio_sample_rate = 32000

    def encode(self, x):
        return torch.zeros(1, 32, 2, x.shape[1] // 800)


class CLIP:
    def tokenize(self, text, images=None, minimax_ref_items=None):
        if images is not None:
            self.shown = [{"type": "image", **seen(x)} for x in images]
        else:
            self.shown = [{"type": i["type"], **(seen(i["data"]) if "data" in i else {})} for i in minimax_ref_items]

    def encode_from_tokens_scheduled(self, tokens):
        return [[torch.zeros(1, 1, 1), {}]]


def plain(entry):
    """An entry's dictionaries without tensors."""
    return [{k: list(v.shape) if torch.is_tensor(v) else v for k, v in e.items() if v is not None} for e in entry]


def run(cls, key, **kw):
    vae, clip = VAE(), CLIP()
    out = cls.execute(vae=vae, **({"clip": clip} if "prompt" in kw else {}), **kw)
    latent = out[1]["samples"] if len(out.args) > 1 else None
    return {"encoded": vae.calls, "shown": getattr(clip, "shown", None), "entries": plain(out[0][0][1].get(key, [])),
            "latent": [list(x.shape) for x in latent.unbind()] if latent is not None else None}


def audio(seconds):
    return {"waveform": torch.zeros(1, 2, int(32000 * seconds)), "sample_rate": 32000}


def guide(frame, frames, **kw):
    latent, _ = h3._empty_av_latent(96, 64, 39)
    return run(h3.MiniMaxH3AddGuide, "minimax_keyframes", positive=[[torch.zeros(1), {}]], latent=latent, frame_idx=frame, image=image("guide", frames, 50, 70, 3), **kw)


ref = dict(prompt="x", audio_vae=AudioVAE())
out = {
    "start": run(h3.MiniMaxH3ImageToVideo, "minimax_keyframes", prompt="x", width=96, height=64, length=20, first_frame=image("first", 2, 40, 90, 3), last_frame=image("last", 1, 90, 40, 3)),
    "text": run(h3.MiniMaxH3ImageToVideo, "minimax_keyframes", prompt="x", width=96, height=64, length=22),
    "guide": guide(-3, 3),
    "clip": guide(10, 24),
    "match": run(h3.MiniMaxH3ReferenceToVideo, "minimax_refs", **ref, width=96, height=64, length=39, ref_images={"ref_image_0": image("big", 1, 150, 200, 3), "ref_image_1": image("small", 2, 33, 40, 3)}),
    "videos": run(h3.MiniMaxH3ReferenceToVideo, "minimax_refs", **ref, width=96, height=64, length=39, ref_image_size="max",
                  ref_images={"ref_image_0": image("big", 1, 150, 200, 3)},
                  ref_videos={"ref_video_0": image("long", 45, 40, 60, 3), "ref_video_1": image("short", 7, 70, 33, 3)},
                  ref_video_audios={"ref_video_audio_1": audio(1)}, ref_audios={"ref_audio_0": audio(0.5)}),
}
out["canvas"] = [[w, h, *h3.adapt_canvas(w, h)] for w, h in ((1920, 1080), (1080, 1920), (100, 100), (4000, 500), (333, 777))]
json.dump(out, open(os.path.join(here, "minimax_h3.json"), "w"))
