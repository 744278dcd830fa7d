"""comfygo's stand-in for ComfyUI's samplers; what they compute takes a checkout."""

from comfygo_absent import attributes

__getattr__ = attributes("comfy.k_diffusion")
