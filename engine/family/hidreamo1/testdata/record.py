"""What ComfyUI 0.33.0's module of HiDream O1 computes with small weights, from text and from reference images, with smoothed seams, and its tokens.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops, recipe
from comfy.ldm.hidream_o1.conditioning import build_extra_conds
from comfy.ldm.hidream_o1.model import HiDreamO1Transformer
from comfy.text_encoders.hidream_o1 import HiDreamO1TE, HiDreamO1Tokenizer
from comfy_extras.nodes_hidream_o1 import HiDreamO1PatchSeamSmoothing

r = recording.Recorder("hidreamo1", here)
m = HiDreamO1Transformer(operations=comfy.ops.disable_weight_init, dtype=torch.float32, device="cpu",
                         text_config_overrides=dict(vocab_size=151680, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=16),
                         vision_config_overrides=dict(hidden_size=64, num_heads=16, intermediate_size=48, depth=1, num_position_embeddings=36))
# The small network has the whole token table.
tokens = torch.tensor([[3, 7, 11, 40, 41, 42, 43, 5, 151673]])
x = r.normal("x", 2, 3, 96, 128)
t = torch.tensor([300.0, 800.0])
one = torch.from_numpy(recipe.image_array("hidreamo1/one", [1, 90, 140, 3]))
two = torch.from_numpy(recipe.image_array("hidreamo1/two", [1, 300, 120, 3]))


def run(m, x, refs=None):
    m.clear_kv_cache()
    return m(x, t, transformer_options={}, **{k: v.repeat(2, *[1] * (v.dim() - 1)) if torch.is_tensor(v) and v.shape[0] == 1 else v for k, v in build_extra_conds(tokens, x, refs).items()})


def smoothed(m, x, pattern, passes, blend, strength, at):
    class Sampling:
        multiplier = 1000.0
        percent_to_sigma = staticmethod(lambda p: {0.0: 1.0, 1.0: 0.0}[p])

    class Patcher:
        clone = lambda self: self
        get_model_object = lambda self, name: Sampling()

        def add_wrapper_with_key(self, kind, key, f):
            self.f = f
    p = Patcher()
    HiDreamO1PatchSeamSmoothing.execute(model=p, start_percent=0.0, end_percent=1.0, pattern=pattern, passes=passes, blend=blend, strength=strength)
    return p.f(lambda x, t: x * 0.5 + torch.roll(x, 1, -1) * 0.25 + (torch.arange(x.shape[-1]) % 32) / 32.0, x, torch.tensor([at]))


some = lambda v: v.reshape(-1)[::97]
y = r.normal("y", 1, 3, 96, 128)
tokenized = HiDreamO1Tokenizer().tokenize_with_weights("a (cat:1.2), 猫")
r.record("hidreamo1", m, {
    "text": lambda m: some(run(m, x)),
    "one": lambda m: some(run(m, x, [one])),
    "two": lambda m: some(run(m, x, [one, two])),
    "average": lambda m: some(smoothed(m, y, "single_shift", "2", "average", 1.0, 500.0)),
    "window": lambda m: some(smoothed(m, y, "symmetric", "4", "window", 0.7, 500.0)),
    "median": lambda m: some(smoothed(m, y, "single_shift", "ramp_2_4_8", "median", 1.0, 100.0)),
    "tokens": lambda m: HiDreamO1TE().encode_token_weights(tokenized)[2]["text_input_ids"].float(),
})
