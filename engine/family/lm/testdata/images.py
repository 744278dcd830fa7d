"""What ComfyUI 0.33.0 makes of an image with small towers of Qwen 3 VL and Gemma 3 (torch 2, CPU, float32): the vectors, and the tokens
and states of a small Qwen 3 VL that reads one.

usage: python images.py COMFYUI RECIPE OUT; RECIPE is the folder of recipe.py. Weights are as in generate.py, matrices of more axes divided by the
root of what they sum.
"""
import json, math, sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
out = sys.argv[3]
sys.argv = ["x", "--cpu"]
import comfy.options
comfy.options.enable_args_parsing()
import comfy.clip_model, comfy.ops, comfy.utils, torch, recipe
from comfy.text_encoders import llama, minimax, qwen3vl
from safetensors.torch import save_file

ops = comfy.ops.disable_weight_init


def fill(name, m, gemma=False):
    shapes = []
    for k, p in m.state_dict().items():
        if k.endswith("position_ids"):
            continue
        v = recipe.normal_array(f"{name}/{k}", list(p.shape))
        if k.endswith("embed_tokens.weight"):
            v = v / 4
        elif k.endswith("bias"):
            v = v / 10
        elif v.ndim == 1:
            v = (0 if gemma and k.endswith("soft_emb_norm.weight") else 1) + v / 8
        else:
            v = v / math.sqrt(math.prod(v.shape[1:]))
        p.copy_(torch.from_numpy(v.astype("float32")))
        shapes.append([k, list(p.shape)])
    return shapes


class QwenVL(qwen3vl.Qwen3VL):
    def __init__(self):
        torch.nn.Module.__init__(self)
        c = qwen3vl.Qwen3VL_4BConfig(hidden_size=32, intermediate_size=48, num_hidden_layers=4, num_attention_heads=2, num_key_value_heads=1, vocab_size=96)
        self.model = llama.Llama2_(c, device="cpu", dtype=torch.float32, ops=ops)
        vision = dict(hidden_size=32, intermediate_size=48, depth=4, deepstack_visual_indexes=[0, 2, 3], num_heads=2, patch_size=16, temporal_patch_size=2,
                      in_channels=3, spatial_merge_size=2, num_position_embeddings=36, out_hidden_size=32)
        self.visual = qwen3vl.Qwen3VLVisionModel(vision, device="cpu", dtype=torch.float32, ops=ops)

    def sample_token(self, logits, *args, **kwargs):
        self.seen.append(logits[0].clone())
        return super().sample_token(logits, *args, **kwargs)


class Gemma(torch.nn.Module):
    def __init__(self):
        super().__init__()
        vision = {"num_channels": 3, "hidden_act": "gelu_pytorch_tanh", "hidden_size": 32, "image_size": 56, "intermediate_size": 48,
                  "model_type": "siglip_vision_model", "num_attention_heads": 2, "num_hidden_layers": 2, "patch_size": 14}
        config = llama.Gemma3_4B_Vision_Config(hidden_size=24)
        config.vision_config, config.mm_tokens_per_image = vision, 4
        self.multi_modal_projector = llama.Gemma3MultiModalProjector(config, torch.float32, "cpu", ops)
        self.vision_model = comfy.clip_model.CLIPVision(vision, torch.float32, "cpu", ops)
        self.image_size = 56


tensors, shapes = {}, {}
image = torch.from_numpy(recipe.image_array("lm/image", [1, 75, 118, 3]))
with torch.no_grad():
    m = QwenVL()
    shapes["qwen"] = fill("qwen3vl", m)
    vectors, extra = m.preprocess_embed({"type": "image", "data": image}, "cpu")
    tensors["qwen.grid"] = extra["grid"].float()
    tensors["qwen.vectors"] = vectors.contiguous()
    for i, d in enumerate(extra["deepstack"]):
        tensors[f"qwen.deep{i}"] = d.contiguous()
    # Two frames of a video in one patch, as MiniMax H3 shows them.
    frames = torch.from_numpy(recipe.image_array("lm/frames", [2, 75, 118, 3]))
    pair, pair_extra = minimax.MiniMaxQwen3VL.preprocess_embed(m, {"type": "image", "data": frames, "minimax_video_block": True}, "cpu")
    tensors["qwen.frames"] = pair.contiguous()
    tensors["qwen.framesdeep2"] = pair_extra["deepstack"][2].contiguous()
    # Five tokens, the image, six tokens.
    ids = [(i * 37 + 5) % 96 for i in range(11)]
    words = m.model.embed_tokens(torch.tensor([ids]))
    embeds = torch.cat([words[:, :5], vectors[None], words[:, 5:]], dim=1)
    info = [{"type": "image", "index": 5, "size": vectors.shape[0], "extra": extra}]
    mask = torch.ones(1, embeds.shape[1], dtype=torch.long)
    last, inner = m(None, attention_mask=mask, embeds=embeds.clone(), embeds_info=info, intermediate_output=-2, final_layer_norm_intermediate=False)
    tensors["qwen.last"], tensors["qwen.inner"] = last.contiguous(), inner.contiguous()
    places, masks, deep = m.build_image_inputs(embeds, info)
    m.seen = []
    tokens = m.generate(embeds.clone(), do_sample=False, max_length=6, stop_tokens=[], position_ids=places, visual_pos_masks=masks, deepstack_embeds=deep)
    tensors["qwen.logits"] = torch.stack([m.seen[0], m.seen[-1]])

    g = Gemma()
    shapes["gemma"] = fill("gemma3", g, gemma=True)
    samples = image.movedim(-1, 1)
    scale = math.sqrt(56 * 56 / (samples.shape[3] * samples.shape[2]))
    x = comfy.utils.common_upscale(samples, round(samples.shape[3] * scale), round(samples.shape[2] * scale), "area", "disabled").movedim(1, -1)
    tensors["gemma.vectors"] = llama.Gemma3_4B_Vision.preprocess_embed(g, {"type": "image", "data": x}, "cpu")[0][0].contiguous()
print(tokens, {k: list(v.shape) for k, v in tensors.items()})
save_file(tensors, out + ".safetensors")
json.dump({"shapes": shapes, "tokens": tokens}, open(out + ".json", "w"))
