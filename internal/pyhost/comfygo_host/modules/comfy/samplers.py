"""The names of samplers and schedulers, which packs offer as choices; sampling takes a ComfyUI checkout."""

from comfygo_absent import Absent, attributes

SAMPLER_NAMES = []
SCHEDULER_NAMES = []


class KSampler(Absent):
    comfygo_name = "comfy.samplers.KSampler"
    SAMPLERS = SAMPLER_NAMES
    SCHEDULERS = SCHEDULER_NAMES


__getattr__ = attributes("comfy.samplers")
