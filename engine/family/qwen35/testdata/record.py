"""What ComfyUI 0.33.0's Qwen 3.5 computes and generates with small weights, for a prompt of more than a piece and with an image (torch 2, CPU, float32).

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops, recipe
from comfy.text_encoders import qwen35
ops = comfy.ops.disable_weight_init


class Small(qwen35.Qwen35):
    def __init__(self):
        torch.nn.Module.__init__(self)
        c = qwen35._make_config("", dict(vocab_size=96, hidden_size=32, intermediate_size=40, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, head_dim=32,
                                         linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=8, linear_value_head_dim=12, mrope_section=[2, 1, 1]))
        c.layer_types = qwen35._qwen35_layer_types(4)
        self.model = qwen35.Qwen35Transformer(c, device="cpu", dtype=torch.float32, ops=ops)
        self.visual = qwen35.Qwen35VisionModel(dict(qwen35.QWEN35_VISION_DEFAULTS, hidden_size=64, num_heads=4, intermediate_size=48, depth=2, num_position_embeddings=36, out_hidden_size=32),
                                               device="cpu", dtype=torch.float32, ops=ops)
        self.dtype, self.num_layers = torch.float32, 4

    def sample_token(self, logits, *args, **kwargs):
        self.seen.append(logits[0].clone())
        return super().sample_token(logits, *args, **kwargs)


def generate(m, embeds):
    m.seen = []
    return torch.tensor(m.generate(embeds.clone(), do_sample=False, max_length=6, stop_tokens=[]), dtype=torch.float32)


r = recording.Recorder("qwen35", here)
ids = torch.tensor([[(i * 37 + 5) % 96 for i in range(70)]])
image = torch.from_numpy(recipe.image_array("qwen35/image", [1, 75, 118, 3]))
m = Small()


def seen(m):
    return m.preprocess_embed({"type": "image", "data": image}, "cpu")


def withImage(m):
    vectors, grid = seen(m)
    words = m.model.embed_tokens(ids[:, :11])
    embeds = torch.cat([words[:, :5], vectors[None], words[:, 5:]], dim=1)
    info = [{"type": "image", "index": 5, "size": vectors.shape[0], "extra": grid}]
    return m(None, attention_mask=torch.ones(1, embeds.shape[1], dtype=torch.long), embeds=embeds, intermediate_output=-2, final_layer_norm_intermediate=False, embeds_info=info)[1]


r.record("qwen35", m, {
    "inner": lambda m: m(None, attention_mask=torch.ones_like(ids), embeds=m.model.embed_tokens(ids), intermediate_output=-2, final_layer_norm_intermediate=False)[1],
    "greedy": lambda m: generate(m, m.model.embed_tokens(ids)),
    "logits": lambda m: torch.stack([m.seen[0], m.seen[-1]]),
    "vectors": lambda m: seen(m)[0],
    "image": withImage,
})
