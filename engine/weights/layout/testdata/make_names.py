#!/usr/bin/env python3
"""Writes names.txt.gz: how ComfyUI 0.33.0 renames the tensors of other layouts, one "MODEL FROM TO" a line.

    cd ComfyUI && python …/make_names.py > …/names.txt.gz
"""
import gzip, re, sys, torch
sys.path.insert(0, ".")
sys.argv = sys.argv[:1]
import comfy.utils, comfy.diffusers_convert

lines = []
CONFIGS = {
    "sd1": dict(num_res_blocks=[2, 2, 2, 2], channel_mult=[1, 2, 4, 4], transformer_depth=[1, 1, 1, 1, 1, 1, 0, 0], transformer_depth_middle=1,
                transformer_depth_output=[1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0]),
    "sdxl": dict(num_res_blocks=[2, 2, 2], channel_mult=[1, 2, 4], transformer_depth=[0, 0, 2, 2, 10, 10], transformer_depth_middle=10,
                 transformer_depth_output=[0, 0, 0, 2, 2, 2, 10, 10, 10]),
    "ssd1b": dict(num_res_blocks=[2, 2, 2], channel_mult=[1, 2, 4], transformer_depth=[0, 0, 2, 2, 4, 4], transformer_depth_middle=0,
                  transformer_depth_output=[0, 0, 0, 1, 1, 2, 10, 4, 4]),
    "single": dict(num_res_blocks=[1, 1, 1], channel_mult=[1, 2, 4], transformer_depth=[0, 1, 2], transformer_depth_middle=1,
                   transformer_depth_output=[0, 0, 1, 1, 2, 2]),
}
for model, config in CONFIGS.items():
    levels = len(config["channel_mult"])
    for a, b in sorted(comfy.utils.unet_to_diffusers(config).items()):
        if "down_blocks.%d.downsamplers" % (levels - 1) in a or "up_blocks.%d.upsamplers" % (levels - 1) in a:
            continue  # the map has them, no model has
        if a.startswith("class_embedding") or "add_embedding" in a and not model.startswith("s"):
            continue
        lines.append((model, a, b))
vae = []
for side in ("encoder", "decoder"):
    blocks = "down" if side == "encoder" else "up"
    for i in range(4):
        for j in range(2 if side == "encoder" else 3):
            vae += ["%s.%s_blocks.%d.resnets.%d.%s.weight" % (side, blocks, i, j, p) for p in ("norm1", "conv1", "norm2", "conv2", "conv_shortcut")]
        if i < 3:
            vae.append("%s.%s_blocks.%d.%ssamplers.0.conv.bias" % (side, blocks, i, blocks))
    vae += ["%s.mid_block.resnets.%d.conv1.weight" % (side, j) for j in (0, 1)] + ["%s.%s.weight" % (side, p) for p in ("conv_in", "conv_norm_out", "conv_out")]
    old = side == "encoder"
    vae += ["%s.mid_block.attentions.0.%s.%s" % (side, p, w) for w in ("weight", "bias")
            for p in (("group_norm", "query", "key", "value", "proj_attn") if old else ("group_norm", "to_q", "to_k", "to_v", "to_out.0"))]
vae += ["quant_conv.weight", "post_quant_conv.bias"]
order = {n: float(i) for i, n in enumerate(vae)}
out = comfy.diffusers_convert.convert_vae_state_dict({n: torch.full((1,), v) for n, v in order.items()})
lines += sorted(("vae", vae[int(t.flatten()[0])], k) for k, t in out.items())
text = ["positional_embedding", "token_embedding.weight", "ln_final.weight", "ln_final.bias", "logit_scale", "text_projection"]
for i in range(2):
    text += ["transformer.resblocks.%d.%s.%s" % (i, p, w) for p in ("ln_1", "ln_2", "mlp.c_fc", "mlp.c_proj", "attn.out_proj") for w in ("weight", "bias")]
    text += ["transformer.resblocks.%d.attn.in_proj_%s" % (i, w) for w in ("weight", "bias")]
sd = {n: torch.full((3, 2), float(i)) for i, n in enumerate(text)}
lines += sorted(("text", text[int(t.flatten()[0])], k) for k, t in comfy.utils.clip_text_transformers_convert(sd, "", "").items())
sys.stdout.buffer.write(gzip.compress("".join("%s %s %s\n" % l for l in lines).encode(), 9, mtime=0))
