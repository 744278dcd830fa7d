"""The API of nodes, version 0.0.1."""

from comfy_api.internal.async_to_sync import create_sync_class
from comfy_api.v0_0_2 import ComfyAPIAdapter_v0_0_2
from comfy_api.v0_0_2 import Input as _Input
from comfy_api.v0_0_2 import InputImpl as _InputImpl
from comfy_api.v0_0_2 import Types as _Types


class ComfyAPIAdapter_v0_0_1(ComfyAPIAdapter_v0_0_2):
    VERSION = "0.0.1"
    STABLE = True


class Input(_Input):
    pass


class InputImpl(_InputImpl):
    pass


class Types(_Types):
    pass


ComfyAPI = ComfyAPIAdapter_v0_0_1
ComfyAPISync = create_sync_class(ComfyAPIAdapter_v0_0_1)

__all__ = ["ComfyAPI", "ComfyAPISync", "Input", "InputImpl", "Types"]
