"""What ComfyUI 0.33.0 computes for a small U-Net with the head of SDPose: the heatmaps, from the last features of twice the channels of
the outermost blocks.

usage: python pointing.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from comfy.ldm.modules.sdpose import HeatmapHead

r = recording.Recorder("unet", here)
ops = comfy.ops.disable_weight_init


def heatmaps(m):
    found = []

    def patch(h, hsp, options):
        if h.shape[1] == 64:
            found.append(h)
        return h, hsp
    m(r.normal("x", 2, 4, 6, 4), timesteps=torch.tensor([999.0, 10.0]), context=r.normal("context", 2, 3, 16), y=r.normal("y", 2, 4), transformer_options={"patches": {"output_block_patch": [patch]}})
    head = m.heatmap_head
    return head.final_layer(head.conv_layers(head.deconv_layers(found[-1])))


if __name__ == "__main__":
    network = UNetModel(
        image_size=32, in_channels=4, out_channels=4, model_channels=32, num_res_blocks=[1, 1], channel_mult=(1, 2), transformer_depth=[1, 1], transformer_depth_output=[1, 1, 1, 1],
        transformer_depth_middle=1, context_dim=16, num_head_channels=32, use_spatial_transformer=True, use_linear_in_transformer=True, adm_in_channels=4, num_classes="sequential",
        operations=ops)
    network.heatmap_head = HeatmapHead(in_channels=64, out_channels=5, deconv_out_channels=(8,), conv_out_channels=(8,), operations=ops)
    r.record("pointing", network, {"heatmaps": heatmaps})
