"""The API of nodes, version 0.0.2."""

from comfy_api.internal.async_to_sync import create_sync_class
from comfy_api.latest import IO, UI, ComfyAPI_latest, ComfyExtension, io, ui
from comfy_api.latest import Input as _Input
from comfy_api.latest import InputImpl as _InputImpl
from comfy_api.latest import Types as _Types


class ComfyAPIAdapter_v0_0_2(ComfyAPI_latest):
    VERSION = "0.0.2"
    STABLE = False


class Input(_Input):
    pass


class InputImpl(_InputImpl):
    pass


class Types(_Types):
    pass


ComfyAPI = ComfyAPIAdapter_v0_0_2
ComfyAPISync = create_sync_class(ComfyAPIAdapter_v0_0_2)

__all__ = ["ComfyAPI", "ComfyAPISync", "Input", "InputImpl", "Types", "ComfyExtension", "io", "IO", "ui", "UI"]
