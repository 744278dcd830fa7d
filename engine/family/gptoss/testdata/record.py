"""What ComfyUI 0.33.0's GPT-OSS computes with small weights: the states behind two layers, of tokens beyond the window of sliding layers.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.text_encoders.gpt_oss import GptOss20BConfig, GptOssModel

r = recording.Recorder("gptoss", here)
config = GptOss20BConfig(vocab_size=40, hidden_size=32, intermediate_size=24, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, head_dim=16, num_local_experts=6, sliding_window=3)
m = GptOssModel(config, device="cpu", dtype=torch.float32, ops=comfy.ops.mixed_precision_ops({}, torch.float32, full_precision_mm=True))


class File(torch.nn.Module):
    """The tensors of a file, with the weights of layers that ComfyUI's module makes when it is loaded."""

    def __init__(self):
        super().__init__()
        state = {k: v.shape for k, v in m.state_dict().items()}
        for k, layer in m.named_modules():
            if hasattr(layer, "in_features"):
                if ".self_attn." in k:
                    state[k + ".bias"] = (layer.out_features,)
                state[k + ".weight"] = (*([layer.num_experts] if hasattr(layer, "num_experts") else []), layer.out_features, layer.in_features)
        state["embed_tokens.weight"] = (config.vocab_size, config.hidden_size)
        for k, shape in sorted(state.items()):
            at, names = self, k.split(".")
            for n in names[:-1]:
                if not hasattr(at, n):
                    at.add_module(n, torch.nn.Module())
                at = getattr(at, n)
            at.register_buffer(names[-1], torch.zeros(shape))


def call(f):
    m.load_state_dict({k: v.clone() for k, v in f.state_dict().items()}, strict=True)
    states = m.eval()(torch.tensor([[1, 39, 7, 7, 20, 3, 11], [5, 6, 38, 2, 1, 0, 9]]), capture_layers=[1, 3])["hidden_states"]
    return torch.cat(states, dim=-1)


r.record("gptoss", File(), {"states": call})
