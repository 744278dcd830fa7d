"""What ComfyUI 0.33.0's loop over audio codes chooses with a small language model (torch 2, CPU, float32).

usage: python rows.py COMFYUI RECIPE OUT; RECIPE is the folder of recipe.py. The weights are those of generate.py's rule under the name
rows.
"""
import json, math, sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
out = sys.argv[3]
sys.argv = ["x", "--cpu"]
import comfy.options
comfy.options.enable_args_parsing()
import comfy.ops, torch, recipe
from comfy import sd1_clip
from comfy.text_encoders import ace15, llama

config = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, vocab_size=96)
PAD, FIRST, LAST, COUNT = 3, 50, 90, 12


class Transformer(llama.BaseLlama, torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.model = llama.Llama2_(llama.Qwen3_06BConfig(**config), device="cpu", dtype=torch.float32, ops=comfy.ops.manual_cast)


class Encoder:
    execution_device, special_tokens = "cpu", {"pad": PAD}
    process_tokens = sd1_clip.SDClipModel.process_tokens

    def __init__(self):
        self.transformer = Transformer()


m, shapes = Encoder(), []
for k, p in m.transformer.state_dict().items():
    v = recipe.normal_array(f"rows/{k}", list(p.shape))
    v = v / 4 if k.endswith("embed_tokens.weight") else 1 + v / 8 if v.ndim == 1 else v / math.sqrt(v.shape[1])
    p.copy_(torch.from_numpy(v.astype("float32")))
    shapes.append([k, list(p.shape)])
prompts = [[5, 42, 79, 20, 57, 94, 35], [PAD, PAD, PAD, 12, 49, 86, 27]]
cases = [
    dict(cfg_scale=2.0, temperature=0.85, top_p=0.9, top_k=0, min_p=0.0, seed=0),
    dict(cfg_scale=1.0, temperature=1.3, top_p=1.0, top_k=7, min_p=0.0, seed=2**63 + 5),
    dict(cfg_scale=3.5, temperature=2.0, top_p=200.0, top_k=20, min_p=0.2, seed=7),
    dict(cfg_scale=0.5, temperature=1.0, top_p=0.3, top_k=0, min_p=0.01, seed=9),
    dict(cfg_scale=2.0, temperature=0.0, top_p=0.9, top_k=0, min_p=0.0, seed=3),
]
for c in cases:
    with torch.no_grad():
        c["codes"] = ace15.sample_manual_loop_no_classes(
            m, prompts[: 1 if c["cfg_scale"] == 1 else 2], execution_dtype=torch.float32, min_tokens=COUNT, max_new_tokens=COUNT, audio_start_id=FIRST, audio_end_id=LAST, eos_token_id=4,
            **c)
json.dump(dict(config=config, shapes=shapes, prompts=prompts, padding=PAD, first=FIRST, last=LAST, cases=cases), open(out, "w"))
