"""Helpers for the models of a checkout."""

from comfy_api.torch_helpers import set_torch_compile_wrapper

__all__ = ["set_torch_compile_wrapper"]
