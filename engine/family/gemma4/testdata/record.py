"""What ComfyUI 0.33.0 makes of prompts, images and sounds with small models of Gemma 4 (torch 2, CPU, float32), and its templates.

usage: python record.py COMFYUI RECIPE
"""
import json, math, os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops, recipe
from comfy.text_encoders import gemma4
ops = comfy.ops.disable_weight_init

VISION = dict(hidden_size=32, intermediate_size=48, num_attention_heads=2, num_hidden_layers=2, patch_size=16, head_dim=16, rms_norm_eps=1e-6, position_embedding_size=64, pooling_kernel_size=3)
AUDIO = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48, conv_kernel_size=5, attention_chunk_size=12, attention_context_left=13,
             attention_context_right=0, attention_logit_cap=50.0, output_proj_dims=20, rms_norm_eps=1e-6, residual_weight=0.5)
PLAIN = dict(model_patch_size=48, patch_size=16, pooling_kernel_size=3, mm_embed_dim=24, mm_posemb_size=40, output_proj_dims=24, rms_norm_eps=1e-6)


def config(base, heads, kv, window, **fields):
    c = base(vocab_size=96, hidden_size=32, intermediate_size=40, num_attention_heads=heads, num_key_value_heads=kv, **fields)
    c.head_dim, c.global_head_dim = 16, 32
    c.sliding_attention = [window if w else w for w in c.sliding_attention]
    return c


class Seen:
    def sample_token(self, logits, *args, **kwargs):
        self.seen.append(logits[0].clone())
        return super().sample_token(logits, *args, **kwargs)


class Small(Seen, gemma4.Gemma4AudioMixin, gemma4.Gemma4Base):
    def __init__(self):
        torch.nn.Module.__init__(self)
        c = config(gemma4.Gemma4_E2B_Config, 4, 1, 8, num_hidden_layers=6, num_kv_shared_layers=3, hidden_size_per_layer_input=8)
        c.vision_config, c.audio_config, c.sliding_attention = VISION, AUDIO, [8, 8, False]
        self._init_model(c, torch.float32, "cpu", ops)
        self._init_audio(c, torch.float32, "cpu", ops)


class Plain(Seen, gemma4.Gemma4UnifiedBase):
    def __init__(self):
        torch.nn.Module.__init__(self)
        c = config(gemma4.Gemma4_12B_Config, 4, 2, 40, num_hidden_layers=6)
        c.vision_config, c.audio_config, c.suppress_tokens = PLAIN, dict(output_proj_dims=640), [7, 60]
        self._init_model(c, torch.float32, "cpu", ops)


class Text:
    def tokenize_with_weights(self, text, return_word_ids=False):
        texts.append(text)
        ids, out = {"<|image|>": 258880, "<|audio|>": 258881, "<|video|>": 258884}, []
        for word in __import__("re").split(r"(<\|image\|>|<\|audio\|>|<\|video\|>)", text):
            if word in ids:
                out.append((ids[word], 1.0))
        return [out]


class Tok(gemma4.Gemma4_Tokenizer, Text):
    pass


class PlainTok(gemma4.Gemma4UnifiedSDTokenizer):
    def __init__(self):
        pass
    tokenize_with_weights = lambda self, *a, **k: gemma4.Gemma4_Tokenizer.tokenize_with_weights(type("T", (Tok,), dict(
        prime_empty_thought=True, _extract_audio_features=lambda s, w, r: PlainTok._extract_audio_features(self, w, r), _audio_token_count=lambda s, n: PlainTok._audio_token_count(self, n)))(), *a, **k)


def unclipped(m):
    """Leaves the bounds of most layers out, which would clip everything away."""
    for name, l in m.named_modules():
        if isinstance(l, gemma4.ClippedLinear):
            for b in ["input_max", "input_min", "output_max", "output_min"]:
                if not (name.endswith("layers.0.mlp.up_proj") and b == "output_max") and not (name.endswith("layers.1.self_attn.v_proj") and b == "input_min"):
                    v = getattr(l, b)
                    delattr(l, b)
                    setattr(l, b, v.clone())
    return m


def generate(m, embeds, ids, info=None, **options):
    m.seen = []
    tokens = m.generate(embeds.clone(), max_length=6, stop_tokens=[], initial_tokens=ids[0].tolist(), initial_input_ids=ids, embeds_info=info, **options)
    return torch.tensor(tokens, dtype=torch.float32)


def logits(m):
    return torch.stack([m.seen[0], m.seen[-1]])


SAMPLING = dict(do_sample=True, seed=42, temperature=0.9, top_k=40, top_p=0.95, min_p=0.01, repetition_penalty=1.1, presence_penalty=0.1)
texts = []
r = recording.Recorder("gemma4", here)
image = torch.from_numpy(recipe.image_array("gemma4/image", [1, 75, 118, 3]))
video = torch.from_numpy(recipe.image_array("gemma4/video", [50, 30, 40, 3]))
wave = {"waveform": r.normal("wave", 1, 2, 9000) / 4, "sample_rate": 44100}
ids = torch.tensor([[(i * 37 + 5) % 96 for i in range(11)]])
mask = torch.ones(1, 11, dtype=torch.long)

tok = Tok()
shown = tok.tokenize_with_weights("hi", image=image, audio=wave, skip_template=False)[0]
pixels, sound = shown[0][0], shown[1][0]
frames = tok.tokenize_with_weights("hi", video=video, skip_template=False, thinking=True)[0]
tok.tokenize_with_weights("hi", image=torch.cat([image, image]), skip_template=False)
tok.tokenize_with_weights("hi", skip_template=True)
PlainTok().tokenize_with_weights("hi", skip_template=False)
plain_shown = PlainTok().tokenize_with_weights("hi", audio=wave, skip_template=False, thinking=True)[0]
print(texts, pixels["data"].shape, sound["data"].shape, [f[0]["data"].shape for f in frames], plain_shown[0][0]["data"].shape)

m = unclipped(Small())
r.record("small", m, {
    "states": lambda m: m(None, attention_mask=mask, embeds=m.model.embed_tokens(ids), intermediate_output="all", final_layer_norm_intermediate=False)[1],
    "greedy": lambda m: generate(m, m.model.embed_tokens(ids), ids, do_sample=False),
    "logits": logits,
    "sampled": lambda m: generate(m, m.model.embed_tokens(ids), ids, **SAMPLING),
    "pixels": lambda m: pixels["data"].reshape(-1)[::997],
    "frame": lambda m: frames[0][0]["data"].reshape(-1)[::997],
    "image": lambda m: m.preprocess_embed(dict(pixels), "cpu")[0][0],
    "features": lambda m: sound["data"][0],
    "sound": lambda m: m.preprocess_embed(dict(sound), "cpu")[0][0],
})


def withImage(m, **options):
    vectors = m.preprocess_embed(dict(pixels), "cpu")[0]
    words = m.model.embed_tokens(ids)
    embeds = torch.cat([words[:, :5], vectors, words[:, 5:]], dim=1)
    all_ids = torch.cat([ids[:, :5], torch.zeros(1, vectors.shape[1], dtype=torch.long), ids[:, 5:]], dim=1)
    return generate(m, embeds, all_ids, [{"type": "image", "index": 5, "size": vectors.shape[1]}], do_sample=False)


pixels["data"] = pixels["data"][:, :96, :144]
p = Plain()
r.record("plain", p, {
    "greedy": withImage, "logits": logits,
    "image": lambda m: m.preprocess_embed(dict(pixels), "cpu")[0][0],
    "sound": lambda m: m.preprocess_embed({"type": "audio", "data": plain_shown[0][0]["data"]}, "cpu")[0][0],
})
json.dump(texts, open(os.path.join(here, "templates.json"), "w"))
