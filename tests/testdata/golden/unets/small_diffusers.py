"""A custom node that lets ComfyUI 0.33.0 load narrow U-Nets in the layout of diffusers: the config, which it takes from a table, gets the
widths and depths that the names and shapes of the tensors show. SUPIR's model patch, whose sizes are fixed there, gets those of
record_unets.py's file. It has no node."""
import torch
import comfy.model_detection
from comfy.ldm.supir import supir_modules

NODE_CLASS_MAPPINGS = {}
given = comfy.model_detection.unet_config_from_diffusers_unet


def count(tensors, prefix):
    n = 0
    while any(k.startswith(f"{prefix}{n}.") for k in tensors):
        n += 1
    return n


def config(tensors, dtype=None):
    c = given(tensors, dtype)
    if c is None:
        return None
    levels, width = range(count(tensors, "down_blocks.")), tensors["conv_in.weight"].shape[0]
    # The table's depths go from the last block to the first.
    depth = [count(tensors, f"up_blocks.{i}.attentions.{j}.transformer_blocks.") for i in levels for j in range(count(tensors, f"up_blocks.{i}.resnets."))]
    return {**c, "channel_mult": [tensors[f"down_blocks.{i}.resnets.0.conv1.weight"].shape[0] // width for i in levels],
            "num_res_blocks": [count(tensors, f"down_blocks.{i}.resnets.") for i in levels], "transformer_depth_output": depth[::-1],
            "transformer_depth_middle": count(tensors, "mid_block.attentions.0.transformer_blocks.")}


comfy.model_detection.unet_config_from_diffusers_unet = config


class SmallSUPIR(supir_modules.SUPIR):
    """SUPIR for the collection's small SDXL: three levels of one width."""
    def __init__(self, device=None, dtype=None, operations=None):
        torch.nn.Module.__init__(self)
        kinds = {"dtype": dtype, "device": device, "operations": operations}
        width, blocks = 320, 9
        self.control_model = supir_modules.GLVControl(channel_mult=(1, 1, 1), transformer_depth=(1, 1, 1), **kinds)
        joints = [supir_modules.ZeroSFT(width, width, concat_channels=width if i < blocks else 0, **kinds) for i in range(blocks + 1)]
        for at in (6, 3):
            joints.insert(at, supir_modules.ZeroCrossAttn(width, width, **kinds))
        self.project_modules = torch.nn.ModuleList(joints)


supir_modules.SUPIR = SmallSUPIR
