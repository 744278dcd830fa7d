"""What ComfyUI 0.33.0's ACE-Step 1.5 computes with small weights, and how it lays prompts out.

usage: python record.py COMFYUI RECIPE
"""
import json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.ldm.ace.ace_step15 import AceStepConditionGenerationModel, get_silence_latent
from comfy.text_encoders.ace15 import ACE15Tokenizer

r = recording.Recorder("ace15", here)
m = AceStepConditionGenerationModel(
    hidden_size=32, text_hidden_dim=24, num_dit_layers=3, num_lyric_layers=2, num_timbre_layers=1, num_tokenizer_layers=1, num_heads=4, num_kv_heads=2, head_dim=8,
    intermediate_size=40, fsq_dim=48, encoder_hidden_size=48, encoder_intermediate_size=56, encoder_num_heads=6, operations=comfy.ops.disable_weight_init)
t = torch.tensor([0.3, 0.8])


def call(length, rows=2, **options):
    x, text, lyrics = r.normal("x", rows, 64, length), r.normal("context", rows, 7, 24), r.normal("lyrics", rows, 5, 24)
    options.setdefault("refer_audio", get_silence_latent(length, "cpu").repeat(rows, 1, 1))
    return lambda m: m(x, t[:rows], text, lyric_embed=lyrics, **options)


r.record("ace15", m, {
    "codes": call(21, audio_codes=torch.tensor([[0, 35847, 63999], [5, 77, 12345]])),
    "plain": call(300, rows=1, is_covers=False),
    "null": call(21, is_covers=False, replace_with_null_embeds=True),
    "voice": call(33, is_covers=True, refer_audio=r.normal("voice", 2, 64, 33)),
})
words = ACE15Tokenizer()
songs = [
    dict(text=" soft piano, female voice ", lyrics="[verse]\nHello\n", seed=1, bpm=92, duration=12.3, timesignature=4, language="en", keyscale="C# major"),
    dict(text="(drums:1.2)", lyrics="", seed=1, bpm=300, duration=1.0, timesignature=6, language="unknown", keyscale="B minor"),
    dict(text="plain text"),
]
out = []
for s in songs:
    tokens = words.tokenize_with_weights(**s)
    out.append(dict(song=s, tokens={k: [[i for i, _ in row] for row in v] for k, v in tokens.items() if k != "lm_metadata"}, most=tokens["lm_metadata"]["max_tokens"]))
json.dump(out, open(os.path.join(here, "tokens.json"), "w"))
