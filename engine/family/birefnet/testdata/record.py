"""What ComfyUI 0.33.0's module of BiRefNet computes with small weights, for an image of 96 x 96 pixels.

The module's own source is run with fewer channels inside its blocks, which are numbers in it.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
torch.set_num_threads(1)


def source():
    """The module with 4 channels instead of 64 inside blocks, and 8 instead of 256 in pyramids."""
    import importlib.util
    path = importlib.util.find_spec("comfy.background_removal.birefnet").origin
    with open(path) as f:
        text = f.read()
    for old, new in [("inter_channels = 64", "inter_channels = 4"), ("256 // self.down_scale", "8 // self.down_scale"), ("ic = 64", "ic = 4")]:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    scope = {"__name__": "small"}
    exec(compile(text, "birefnet", "exec"), scope)
    return scope


def small():
    """A network of the published form: stages of 8 to 64 channels, windows of 3 x 3 cells."""
    m = source()
    o = {"dtype": torch.float32, "device": "cpu", "operations": comfy.ops.manual_cast}
    net = m["BiRefNet"].__new__(m["BiRefNet"])
    torch.nn.Module.__init__(net)
    net.bb = m["SwinTransformer"](embed_dim=8, depths=[2, 1, 3, 2], num_heads=[1, 2, 2, 4], window_size=3, **o)
    channels = [128, 64, 32, 16]
    net.squeeze_module = torch.nn.Sequential(m["BasicDecBlk"](channels[0] + sum(channels[1:]), channels[0], **o))
    net.decoder = m["Decoder"](channels, **o)
    return net


class Published:
    """A network whose table of distances is not filled."""

    def __init__(self, net):
        self.net = net

    def eval(self):
        self.net.eval()
        return self

    def state_dict(self):
        return {k: v for k, v in self.net.state_dict().items() if v.dtype == torch.float32}

    def __call__(self, x):
        return self.net(pixel_values=x)


if __name__ == "__main__":
    r = recording.Recorder("birefnet", here)
    x = r.normal("x", 1, 3, 96, 96).div(6).add(0.5).clamp(0, 1)
    r.record("small", Published(small()), {"logits": lambda m: m(x)})
