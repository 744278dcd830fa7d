"""Types of inputs under their older name."""

from comfy_api.latest import _input
from comfy_api.latest._input import AudioInput, LatentInput

__all__ = ["ImageInput", "AudioInput", "MaskInput", "LatentInput"]


def __getattr__(name):
    return getattr(_input, name)
