"""What ComfyUI 0.33.0's modules of Stable Cascade compute with small weights (torch 2, CPU, float32).

usage: python record.py COMFYUI RECIPE FOLDER [NAME ...]; RECIPE is the folder of recipe.py, whose normal_array makes weights and inputs. The rule of
the weights is that of familytest.Recorded, with the salt "cascade"; running variances are 1 + normal²/8 instead.
"""
import json, math, sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
out, only = sys.argv[3], sys.argv[4:]
sys.argv = ["x", "--cpu"]
import comfy.options
comfy.options.enable_args_parsing()
import torch, recipe
import comfy.ops
from functools import partial
from comfy.ldm.cascade import stage_a, stage_b, stage_c, stage_c_coder
from torchvision.models.efficientnet import EfficientNet, FusedMBConvConfig, MBConvConfig
from safetensors.numpy import save_file

ops = comfy.ops.disable_weight_init


def normal(name, *shape):
    return torch.from_numpy(recipe.normal_array("cascade/" + name, list(shape)))


def record(name, module, calls):
    if only and name not in only:
        return
    module = module.eval()
    shapes = []
    for k, p in module.state_dict().items():
        if k.endswith("num_batches_tracked"):
            shapes.append([k, []])
            continue
        v = recipe.normal_array("cascade/" + k, list(p.shape))
        if k.endswith("running_var"):
            v = 1 + v * v / 8
        elif p.dim() > 1:
            v = v / math.sqrt(math.prod(p.shape[1:]))
        elif k.endswith("weight"):
            v = 1 + v / 8
        else:
            v = v / 10
        p.copy_(torch.from_numpy(v.astype("float32")))
        shapes.append([k, list(p.shape)])
    with torch.no_grad():
        tensors = {key: f(module).contiguous().numpy() for key, f in calls.items()}
    save_file(tensors, f"{out}/{name}.safetensors")
    json.dump({"shapes": shapes}, open(f"{out}/{name}.json", "w"))


r = torch.tensor([0.3, 0.8])
c = dict(c_cond=64, c_hidden=[64, 64], nhead=[1, 1], blocks=[[1, 1], [1, 1]], c_clip_text=24, c_clip_text_pooled=24, c_clip_img=16, operations=ops)
record("c", stage_c.StageC(**c), {
    "out": lambda m: m(normal("x", 2, 16, 5, 6), r, normal("text", 2, 7, 24), normal("pooled", 2, 1, 24), normal("image", 2, 2, 16)),
})
b = dict(c_cond=64, c_hidden=[32, 64, 64], nhead=[-1, 1, 1], blocks=[[1, 1, 1], [1, 1, 1]], block_repeat=[[1, 1, 2], [2, 1, 1]], level_config=["CT", "CT", "CTA"],
         dropout=[0, 0, 0], c_clip=24, operations=ops)
record("b", stage_b.StageB(**b), {
    "out": lambda m: m(normal("x", 2, 4, 12, 10), r, normal("prior", 2, 16, 3, 2), normal("pooled", 2, 1, 24)),
})
record("a", stage_a.StageA(bottleneck_blocks=2, c_hidden=16, codebook_size=4), {
    "decode": lambda m: m.decode(normal("z", 1, 4, 5, 6)), "encode": lambda m: m.encode(normal("pixels", 1, 3, 16, 24)),
})


class Coder(stage_c_coder.StageC_coder):
    def __init__(self):
        torch.nn.Module.__init__(self)
        self.previewer = stage_c_coder.Previewer(c_hidden=16)
        self.encoder = stage_c_coder.EfficientNetEncoder.__new__(stage_c_coder.EfficientNetEncoder)
        e = self.encoder
        torch.nn.Module.__init__(e)
        setting = [FusedMBConvConfig(1, 3, 1, 8, 8, 2), FusedMBConvConfig(2, 3, 2, 8, 16, 2), FusedMBConvConfig(4, 3, 2, 16, 16, 1), MBConvConfig(4, 3, 2, 16, 16, 2),
                   MBConvConfig(2, 3, 1, 16, 16, 1), MBConvConfig(2, 3, 2, 16, 24, 2)]
        e.backbone = EfficientNet(setting, dropout=0.0, last_channel=24, norm_layer=partial(torch.nn.BatchNorm2d, eps=1e-3)).features
        e.mapper = torch.nn.Sequential(ops.Conv2d(24, 16, kernel_size=1, bias=False), torch.nn.BatchNorm2d(16, affine=False))
        e.mean = torch.nn.Parameter(torch.tensor([0.485, 0.456, 0.406]))
        e.std = torch.nn.Parameter(torch.tensor([0.229, 0.224, 0.225]))


record("coder", Coder(), {
    "decode": lambda m: m.decode(normal("z16", 1, 16, 3, 4)), "encode": lambda m: m.encode(normal("pixels", 1, 3, 64, 96)),
})

from comfy.ldm.cascade import controlnet

PLACES = [0, 4, 8, 12, 51, 55, 59, 63]


class Control(controlnet.ControlNet):
    def __init__(self, backbone, channels, proj):
        torch.nn.Module.__init__(self)
        self.proj_blocks, self.backbone = PLACES, backbone
        self.projections = torch.nn.ModuleList(torch.nn.Sequential(
            ops.Conv2d(channels, channels, kernel_size=1, bias=False), torch.nn.LeakyReLU(0.2, inplace=True), ops.Conv2d(channels, proj, kernel_size=1, bias=False)) for _ in PLACES)


def places(x):
    """What is added to residual block 0, 8 and 63, side by side."""
    def call(m):
        y = m(x.clone())["input"][::-1]
        return torch.cat([y[0], y[8], y[63]], 1)
    return call


setting = [FusedMBConvConfig(1, 3, 1, 8, 8, 2), FusedMBConvConfig(2, 3, 2, 8, 16, 2), FusedMBConvConfig(4, 3, 2, 16, 16, 1), MBConvConfig(4, 3, 2, 16, 16, 2),
           MBConvConfig(2, 3, 1, 16, 16, 1), MBConvConfig(2, 3, 2, 16, 24, 2)]
net = EfficientNet(setting, dropout=0.0, last_channel=24, norm_layer=partial(torch.nn.BatchNorm2d, eps=1e-3)).features
record("control", Control(net, 24, 12), {"out": places(normal("pixels", 1, 3, 64, 96))})
large = torch.nn.Sequential(ops.Conv2d(4, 20, kernel_size=1), torch.nn.LeakyReLU(0.2, inplace=True), ops.Conv2d(20, 16, kernel_size=1),
                            *[controlnet.CNetResBlock(16, operations=ops) for _ in range(8)], ops.Conv2d(16, 24, kernel_size=1))
record("large", Control(large, 24, 12), {"out": places(normal("latent", 1, 4, 8, 16))})


def steer(m):
    control = [None] * 64
    for i in PLACES:
        control[i] = normal(f"control{i}", 2, 64, 3, 4)
    return m(normal("x", 2, 16, 5, 6), r, normal("text", 2, 7, 24), normal("pooled", 2, 1, 24), normal("image", 2, 2, 16), control={"input": control[::-1]})


record("steered", stage_c.StageC(**{**c, "blocks": [[4, 3], [4, 3]]}), {"out": steer})
