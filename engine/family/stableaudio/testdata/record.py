"""What ComfyUI 0.33.0's modules of Stable Audio 3 compute with small weights: the transformer, the text encoder and both forms of the VAE.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.ldm.audio.dit import AudioDiffusionTransformer
from comfy.ldm.audio.vae_sa3 import SA3AudioVAE
from comfy.text_encoders import sa3

ops = comfy.ops.disable_weight_init
DIT = {"io_channels": 8, "embed_dim": 128, "cond_token_dim": 24, "global_cond_dim": 24, "depth": 2, "global_cond_shared_embed": True, "global_cond_type": "adaLN", "norm_type": "rms_norm"}

for name, config in {
    "three": {**DIT, "project_cond_tokens": True, "num_heads": 2, "attn_kwargs": {"qk_norm": "rms", "differential": True}, "num_memory_tokens": 3, "local_add_cond_dim": 9, "timestep_features_type": "expo"},
    "threeplain": {**DIT, "project_cond_tokens": False, "cond_token_dim": 64, "num_heads": 2, "attn_kwargs": {"qk_norm": "rms", "differential": False}, "timestep_features_type": "learned"},
}.items():
    r = recording.Recorder(name, here)

    def run(m, config=config, r=r):
        local = r.normal("local", 2, 9, 7) if "local_add_cond_dim" in config else None
        return m(r.normal("x", 2, 8, 7), torch.tensor([0.3, 0.9]), context=r.normal("context", 2, 5, config["cond_token_dim"]), global_embed=r.normal("global", 2, 24), local_add_cond=local)

    r.record(name, AudioDiffusionTransformer(operations=ops, **config), {"out": run})

for name, n, config in (("same", 40, {"transformer_depths": 12, "sinusoidal_blocks": 8, "sliding_window": [1, 1], "chunk_size": 128}),
                        ("samesmall", 37, {"transformer_depths": 4, "sinusoidal_blocks": 0, "decoder_conv_mapping": True, "chunk_size": 32, "chunk_midpoint_shift": True})):
    r = recording.Recorder(name, here)

    def with_angles(m, f):
        # the frequencies of all layers are those of one, as in real files
        of = m.decoder.layers[3].transformers[0].rope.inv_freq
        for k, p in m.state_dict().items():
            if k.endswith("inv_freq"):
                p.copy_(of)
        torch.manual_seed(0)
        return f(m)

    r.record(name, SA3AudioVAE(channels=32, **config), {
        "decode": lambda m: with_angles(m, lambda m: m.decode(r.normal("z", 1, 256, n))),
        "encode": lambda m: with_angles(m, lambda m: m.encode(r.normal("x", 1, 2, 4096 * n - 1000))),
    }, {}, 97)

config = sa3.T5GemmaEncoderConfig()
config.vocab_size, config.hidden_size, config.intermediate_size, config.num_hidden_layers, config.num_attention_heads, config.num_key_value_heads = 40, 128, 160, 3, 2, 2
sa3.T5GemmaEncoderConfig = lambda: config
r = recording.Recorder("t5gemma", here)
IDS = torch.tensor([[5, 7, 39, 11, 0, 0]])
MASK = (IDS != 0).long()


def encode(m, layer):
    out = m(IDS, attention_mask=MASK, intermediate_output=layer, dtype=torch.float32)
    return out[0 if layer is None else 1] * MASK.unsqueeze(-1)


r.record("t5gemma", sa3.T5GemmaModel({}, torch.float32, "cpu", ops), {"last": lambda m: encode(m, None), "chosen": lambda m: encode(m, -2)})
