"""Records a small BERT and what upstream's BertModel makes of some tokens.

    python record.py COMFYUI bert.safetensors
"""

import sys

out = sys.argv[2]
sys.path.insert(0, sys.argv[1])
sys.argv = sys.argv[:1] + ["--cpu"]
import comfy.options

comfy.options.enable_args_parsing()
import comfy.ops
import torch
from comfy.text_encoders.bert import BertModel
from safetensors.torch import save_file

CONFIG = dict(hidden_size=64, layer_norm_eps=1e-12, vocab_size=110, max_position_embeddings=24, type_vocab_size=2, pad_token_id=0, num_hidden_layers=2, intermediate_size=80, num_attention_heads=1)
torch.manual_seed(1)
model = BertModel(CONFIG, torch.float32, "cpu", comfy.ops.disable_weight_init)
weights = {}
for name, p in model.state_dict().items():
    w = torch.randn(p.shape) * (0.3 if "embeddings" in name else p.shape[-1] ** -0.5)
    if name.endswith("LayerNorm.weight"):
        w = 1 + 0.1 * torch.randn(p.shape)
    weights[name] = w.to(torch.float16)
model.load_state_dict({k: v.float() for k, v in weights.items()})
tokens = torch.tensor([[101, 5, 17, 90, 3, 102, 0, 0, 0, 0]])
mask = (torch.arange(10) < 6).long()[None]
with torch.no_grad():
    weights["golden.plain"] = model(tokens)[0].contiguous()
    weights["golden.masked"], weights["golden.inner"] = [x.contiguous() for x in model(tokens, mask, intermediate_output=-2)]
save_file(weights, out)
