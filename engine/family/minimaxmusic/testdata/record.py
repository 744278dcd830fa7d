"""What ComfyUI 0.33.0's networks of MiniMax Music 3 compute with small weights, and how it writes prompts.

usage: python record.py COMFYUI RECIPE
"""
import json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
from torch import nn
torch.set_num_threads(1)
import comfy.ops
from comfy.ldm.minimax_music import ar, dav, dit, prompt

r = recording.Recorder("minimaxmusic", here)
ops = comfy.ops.disable_weight_init
o = (torch.float32, "cpu", ops)


class Transformer(dit.ContinuousTransformer):
    def __init__(self):
        nn.Module.__init__(self)
        self.project_in, self.project_out = ops.Linear(320, 128, bias=False), ops.Linear(128, 128, bias=False)
        self.rotary_pos_emb = dit.RotaryEmbedding(32, torch.float32, "cpu")
        self.layers = nn.ModuleList([dit.TransformerBlock(128, 64, 96, *o) for _ in range(2)])


class Diffusion(dit.DiffusionTransformer):
    def __init__(self):
        nn.Module.__init__(self)
        self.transformer = Transformer()
        self.timestep_features = dit.FourierFeatures(1, 32, torch.float32, "cpu")
        self.to_timestep_embed = nn.Sequential(ops.Linear(32, 128), nn.SiLU(), ops.Linear(128, 128))
        self.preprocess_conv, self.postprocess_conv = ops.Conv1d(320, 320, 1, bias=False), ops.Conv1d(128, 128, 1, bias=False)


class DiT(dit.MiniMaxMusic3DiT):
    def __init__(self):
        nn.Module.__init__(self)
        self.latent_conditioners = nn.Sequential(ops.Conv1d(4096, 64, kernel_size=3, padding=1))
        self.diffusion_transformer = Diffusion()
        self.cond_layer_logits, self.cond_layer_scale = nn.Parameter(torch.empty(8)), nn.Parameter(torch.empty(1))


class Decoder(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.model = nn.Sequential(*layers)

    def forward(self, x):
        return self.model(x)


class DAV(dav.MiniMaxMusic3DAV):
    def __init__(self):
        nn.Module.__init__(self)
        self.dec_in_proj = ops.Conv1d(64, 12, kernel_size=1)
        layers = [dav._weight_norm_conv(ops, 12, 32, kernel_size=7, padding=3)]
        for i, stride in enumerate((8, 8, 4, 2)):
            layers.append(dav.DecoderBlock(32 >> i, 32 >> (i + 1), stride, *o))
        layers += [dav.Snake1d(2, torch.float32, "cpu"), dav._weight_norm_conv(ops, 2, 1, kernel_size=7, padding=3), nn.Tanh()]
        self.decoder = Decoder(layers)


def writer(pruned, merged):
    c = dict(vocab_size=168100, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=512,
             rms_norm_eps=1e-6, rope_theta=1000000.0, head_dim=128, audio_vocab_size=1024, audio_num_codebooks=8, decoder_num_heads=16, decoder_intermediate_size=40,
             decoder_num_layers=2, merged_qkv=merged, merged_mlp=merged, decoder_merged_qkv=merged, decoder_merged_mlp=merged)
    m = ar.MiniMaxMusic3AR(c, *o)
    m.model.pruned_embedding = m.model.pruned_lm_head = pruned
    for name in ("embed_tokens", "lm_head") if pruned else ("embed_tokens_prefill", "embed_tokens_audio", "lm_head_pruned"):
        delattr(m.model, name)
    return m


ids = torch.tensor([[151644, 151671, 300, 5000, 77, 151672, 151673, 10, 20, 151674, 151645, 151669]])
captions = ["plain", "## Title\n* one **bold** and *it*\n\n\n---\nlast <|genre rock music|> <|x|>", "a    b • c *d* **e*", "- x\r\n+ y\n#no\n   ### yes", ""]
lyrics = ["", "[Verse 1]\nline one\n[CHORUS] sing ^ loud [Bridge]", "no tags\n\n[outro]  "]

if __name__ == "__main__":
    t, x = torch.tensor([0.3, 0.8]), lambda n: r.normal(f"x{n}", 2, 128, n)
    scale = torch.tensor([1.0, 0.5]).reshape(2, 1, 1)
    context = r.normal("context", 2, 5, 8 * 4096)
    r.record("network", DiT(), {f"l{n}": lambda m, n=n: m(x(n), t, context, scale).flatten()[:: 1 if n < 100 else 13].clone() for n in (12, 17, 700)})
    r.record("vae", DAV(), {"decode": lambda m: m.decode(r.normal("z", 1, 128, 5)).flatten()})
    song = lambda m: m.generate(ids, 7, 3, torch.device("cpu"), 1.5, 50)
    r.record("pruned", writer(True, True), {"song": song})
    r.record("whole", writer(False, False), {"song": song})
    json.dump({"prompts": [[c, l, prompt.build_prompt(c, l)] for c in captions for l in lyrics], "seeds": [[s, ar.derive_seed(s, "ar")] for s in (0, 7, 2**64 - 1)]},
              open(os.path.join(here, "prompts.json"), "w"))
