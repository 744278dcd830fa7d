"""Helpers for the models of a checkout."""

from comfygo_absent import absent

set_torch_compile_wrapper = absent("comfy_api.torch_helpers.set_torch_compile_wrapper")

__all__ = ["set_torch_compile_wrapper"]
