"""What ComfyUI 0.33.0's RIFE and FILM compute with small weights, by themselves and in FrameInterpolate.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import recipe, torch
import comfy.model_patcher
from comfy import model_management
from comfy_extras.frame_interpolation_models.ifnet import IFNet
from comfy_extras.frame_interpolation_models.film_net import FILMNet
from comfy_extras.nodes_frame_interpolation import FrameInterpolate

MODELS = {"rife": lambda: IFNet(head_ch=4, channels=(16, 12, 8, 8, 4)), "film": lambda: FILMNet(filters=4, flow_filters=(4, 8, 8, 4))}


def times(a, b):
    def call(m):
        if isinstance(m, IFNet):
            return torch.cat([m(a, b, timestep=t) for t in (0.25, 0.5)])
        return m.forward_multi_timestep(a, b, [0.25, 0.5])
    return call


def node(images):
    def call(m):
        m.to(torch.float32)
        patcher = comfy.model_patcher.CoreModelPatcher(m, load_device=model_management.get_torch_device(), offload_device=model_management.unet_offload_device())
        return FrameInterpolate.execute(patcher, images, 3).result[0]
    return call


for name, make in MODELS.items():
    r = recording.Recorder(name, here)
    image = lambda key, b, h, w: torch.from_numpy(recipe.image_array(f"{name}/{key}", [b, h, w, 3]))
    a, b = (image(k, 1, 64, 128).movedim(-1, 1) for k in ("first", "second"))
    r.record(name, make(), {"between": times(a, b), "node": node(image("frames", 3, 70, 99))}, {}, 97)
