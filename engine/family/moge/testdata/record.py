"""What ComfyUI 0.33.0's modules of MoGe compute with small weights, which are stored under the names of the published files.

usage: python record.py COMFYUI RECIPE
"""
import os, re, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.ldm.moge import model as moge

ops = comfy.ops.disable_weight_init
TOP = {v: k for k, v in moge._DINOV2_TOPLEVEL_RENAMES.items()}
BLOCK = [("layer_scale1.lambda1", "ls1.gamma"), ("layer_scale2.lambda1", "ls2.gamma"), ("attention.output.dense.", "attn.proj.")]


class Published:
    """The tensors of a module under Meta's names, with which ComfyUI builds the module again."""

    def __init__(self, module, prefix):
        self.tensors = {}
        for k, v in module.state_dict().items():
            rest = k[len(prefix):]
            if k.startswith("image_") or k.startswith("encoder.image_"):
                continue
            if not k.startswith(prefix):
                self.tensors[k] = torch.zeros(v.shape)
            elif rest in TOP:
                self.tensors[prefix + TOP[rest]] = torch.zeros(v.shape)
            else:
                block, name = re.match(r"encoder\.layer\.(\d+)\.(.*)", rest).groups()
                if ".attention.query" in "." + name:
                    name, v = "attn.qkv." + name.rsplit(".", 1)[1], torch.cat([v, v, v])
                elif "attention.key" in name or "attention.value" in name:
                    continue
                for old, new in BLOCK:
                    name = name.replace(old, new)
                self.tensors[f"{prefix}blocks.{block}.{name}"] = torch.zeros(v.shape)

    def eval(self):
        return self

    def state_dict(self):
        return self.tensors

    def built(self):
        mean, std = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
        at = "encoder." if any(k.startswith("encoder.") for k in self.tensors) else ""
        return moge.build_from_state_dict({**self.tensors, at + "image_mean": mean, at + "image_std": std}, dtype=torch.float32, device="cpu", operations=ops).eval()


def backbone(layers):
    return {"hidden_size": 64, "num_attention_heads": 1, "num_hidden_layers": layers, "layer_norm_eps": 1e-6, "use_swiglu_ffn": False}


class Small(moge.HeadV1):
    DIM_PROJ = 16


def first(**o):
    moge.HeadV1 = Small
    m = moge.MoGeModelV1(backbone(4), dim_upsample=[16, 8, 8], num_res_blocks=1, dim_times_res_block_hidden=2, operations=ops, **o)
    return m


def second(normals, **o):
    up = ["conv_transpose", "conv_transpose", "bilinear", "bilinear"]
    def stack(first, out, norm):
        dims = [16, 8, 8, 4, 4]
        return {"dim_in": [first] + ([2] * 4 if first == 18 else dims[1:]), "dim_res_blocks": dims, "dim_out": [None] * 4 + [out], "num_res_blocks": [1, 1, 2, 0, 1], "resamplers": up,
                "res_block_in_norm": "layer_norm" if norm else "none", "res_block_hidden_norm": "group_norm" if norm else "none"}
    return moge.MoGeModelV2(encoder={"backbone": backbone(8), "intermediate_layers": [1, 3, 5, 7], "dim_out": 16}, neck=stack(18, None, True), points_head=stack(16, 3, False),
                            mask_head=stack(16, 1, False), scale_head={"dims": [64, 16, 1]}, normal_head=stack(16, 3, False) if normals else None, operations=ops, **o)


if __name__ == "__main__":
    r = recording.Recorder("moge", here)
    x = r.normal("x", 2, 3, 20, 33).div(6).add(0.5).clamp(0, 1)
    o = {"dtype": torch.float32, "device": "cpu"}
    for name, module, prefix, keys in [("first", first(**o), "backbone.", ["points", "mask"]), ("second", second(True, **o), "encoder.backbone.", ["points", "mask", "normal", "metric_scale"]),
                                       ("plain", second(False, **o), "encoder.backbone.", ["points", "metric_scale"])]:
        r.record(name, Published(module, prefix), {k: (lambda m, k=k: m.built()(x, 30)[k]) for k in keys})
