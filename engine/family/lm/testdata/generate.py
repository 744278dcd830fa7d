"""What ComfyUI 0.33.0 generates with small language models (torch 2, CPU, float32): tokens and logits.

usage: python generate.py COMFYUI RECIPE OUT; RECIPE is the folder of recipe.py. The weight KEY of the model NAME is
normal_array("NAME/KEY"), divided by four for the token table and by the root of its columns for other matrices; norms are one
(nothing for Gemma) plus an eighth of it, biases a tenth.
"""
import json, math, sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
out = sys.argv[3]
sys.argv = ["x", "--cpu"]
import comfy.options
comfy.options.enable_args_parsing()
import comfy.ops, torch, recipe
from comfy.text_encoders import llama
from safetensors.torch import save_file

base = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, vocab_size=96)
MODELS = {
    "Qwen3_06B": (llama.Qwen3_06BConfig, {}),
    "Qwen3_8B": (llama.Qwen3_8BConfig, {}),
    "Qwen25_7BVLI": (llama.Qwen25_7BVLI_Config, {}),
    "Ministral3_3B": (llama.Ministral3_3BConfig, dict(num_key_value_heads=4)),
    "Gemma2_2B": (llama.Gemma2_2B_Config, {}),
    "Gemma3_4B": (llama.Gemma3_4B_Config, dict(num_hidden_layers=6, num_attention_heads=2, num_key_value_heads=1)),
}
PROMPTS = {"Gemma3_4B": 1030}
LENGTH = 8
SAMPLING = dict(temperature=0.9, top_k=40, top_p=0.95, min_p=0.01, repetition_penalty=1.1, presence_penalty=0.1)


class Model(llama.BaseLlama, llama.BaseGenerate, torch.nn.Module):
    def __init__(self, config):
        super().__init__()
        self.model = llama.Llama2_(config, device="cpu", dtype=torch.float32, ops=comfy.ops.disable_weight_init)

    def logits(self, x):
        w = self.model.lm_head.weight if hasattr(self.model, "lm_head") else self.model.embed_tokens.weight
        return torch.nn.functional.linear(x[:, -1:], w)

    def sample_token(self, logits, *args, **kwargs):
        self.seen.append(logits[0].clone())
        return super().sample_token(logits, *args, **kwargs)


tensors, cases = {}, {}
for name, (config, change) in MODELS.items():
    c = config(**{**base, **change})
    m = Model(c)
    shapes = []
    for k, p in m.state_dict().items():
        v = recipe.normal_array(f"{name}/{k}", list(p.shape))
        if k.endswith("embed_tokens.weight"):
            v = v / 4
        elif k.endswith("bias"):
            v = v / 10
        elif v.ndim == 1:
            v = (0 if c.rms_norm_add else 1) + v / 8
        else:
            v = v / math.sqrt(v.shape[1])
        p.copy_(torch.from_numpy(v.astype("float32")))
        shapes.append([k, list(p.shape)])
    n = PROMPTS.get(name, 11)
    ids = [(i * 37 + 5) % base["vocab_size"] for i in range(n)]
    case = {"config": {**base, **change}, "shapes": shapes, "prompt": n}
    for kind, options in {"greedy": dict(do_sample=False), "sampled": dict(do_sample=True, seed=42, **SAMPLING)}.items():
        m.seen = []
        with torch.no_grad():
            embeds = m.model.embed_tokens(torch.tensor([ids]))
            case[kind] = m.generate(embeds, max_length=LENGTH, stop_tokens=[], **options)
        if kind == "greedy":
            tensors[name] = torch.stack([m.seen[0], m.seen[-1]])
    cases[name] = case
    print(name, case["greedy"], case["sampled"])
save_file(tensors, out + ".safetensors")
json.dump(cases, open(out + ".json", "w"))
