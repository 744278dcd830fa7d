"""What ComfyUI 0.33.0's Wan computes with audio layers of InfiniteTalk, with small weights.

usage: python talk.py COMFYUI RECIPE
"""
import os, sys, types
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.ldm.wan import model as wan
from comfy.ldm.wan import model_multitalk as talk

r = recording.Recorder("wantalk", here)
ops = comfy.ops.disable_weight_init


class Both(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.model = wan.WanModel(model_type="t2v", in_dim=16, dim=640, ffn_dim=48, text_dim=24, num_heads=5, num_layers=2, operations=ops)
        self.patch = torch.nn.Module()
        self.patch.audio_proj = talk.MultiTalkAudioProjModel(seq_len=5, seq_len_vf=8, blocks=2, channels=3, intermediate_dim=16, out_dim=12, context_tokens=4, operations=ops)
        self.patch.blocks = torch.nn.ModuleList([talk.WanMultiTalkAttentionBlock(640, 12, operations=ops) for _ in range(2)])

    def run(self, persons, frames, scale, masks=None):
        windows = r.normal(f"windows{persons}", persons, frames, 5, 2, 3)
        talk.get_audio_embeds = lambda *a: windows
        options = {"patches": {"attn2_patch": [talk.MultiTalkCrossAttnPatch(types.SimpleNamespace(model=self.patch), scale)]},
                   "audio_embeds": talk.project_audio_features(self.patch.audio_proj, None, 0, frames)}
        if masks is not None:
            options["patches"]["attn1_patch"] = [talk.MultiTalkGetAttnMapPatch(masks)]
        x = r.normal("x", 1, 16, (frames + 3) // 4, 6, 4)
        return self.model(x, torch.tensor([300.0]), r.normal("context", 1, 7, 24), transformer_options=options)


masks = torch.tensor([[1, 1, 0, 1, 0, 0], [0, 0, 1, 0, 0, 1]], dtype=torch.bool)

if __name__ == "__main__":
    r.record("talk", Both(), {
        "one": lambda m: m.run(1, 9, 0.8),
        "image": lambda m: m.run(1, 1, 1.0),
        "two": lambda m: m.run(2, 9, 1.0, masks),
    })
