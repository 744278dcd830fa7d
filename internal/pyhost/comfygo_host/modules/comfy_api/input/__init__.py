"""Types of inputs under their older name."""

from comfy_api.latest import _input
from comfy_api.latest._input import AudioInput, CurveInput, CurvePoint, LatentInput, LinearCurve, MonotoneCubicCurve, RangeInput, VideoInput

__all__ = ["ImageInput", "AudioInput", "MaskInput", "LatentInput", "VideoInput", "CurvePoint", "CurveInput", "MonotoneCubicCurve", "LinearCurve", "RangeInput"]


def __getattr__(name):
    return getattr(_input, name)
