"""The schema API of nodes, written anew for packs without a ComfyUI checkout."""

import logging
from abc import ABC, abstractmethod

from comfy_api.internal import ComfyAPIBase
from comfy_api.internal.async_to_sync import create_sync_class
from comfy_api.internal.singleton import ProxiedSingleton
from comfy_execution.utils import get_executing_context

from . import _caching, _input, _input_impl, _util
from . import _io_public as io
from . import _ui_public as ui
from ._input_impl import VideoFromComponents, VideoFromFile
from ._types import Tensor

PROGRESS = None  # function(prompt, node, value, limit, image), set by the host


class _Lazy:
    """A type that is known once torch is imported."""

    def __get__(self, obj, owner):
        return _input.ImageInput


class Input:
    Image = Mask = _Lazy()
    Audio, Latent, Video = _input.AudioInput, _input.LatentInput, _input.VideoInput


class InputImpl:
    VideoFromFile, VideoFromComponents = VideoFromFile, VideoFromComponents


class Types:
    VideoCodec, VideoContainer, VideoComponents = _util.VideoCodec, _util.VideoContainer, _util.VideoComponents
    MESH, VOXEL, SPLAT, File3D = _util.MESH, _util.VOXEL, _util.SPLAT, _util.File3D


class ComfyExtension(ABC):
    """A pack: its nodes, and what it does when it is loaded."""

    async def on_load(self):
        pass

    @abstractmethod
    async def get_node_list(self):
        """Returns the classes of its nodes."""


def shown_image(image, whole):
    """Returns a preview as kind, Pillow image and greatest side; None without one."""
    if image is None:
        return None
    if isinstance(image, Tensor):
        from PIL import Image

        frame = image[0] if image.ndim == 4 else image
        image = Image.fromarray((frame.cpu().numpy() * 255).astype("uint8"))
    if isinstance(image, tuple):
        return image
    from comfy.cli_args import args

    return (image.format or "JPEG", image, None if whole else args.preview_size)


class ComfyAPI_latest(ComfyAPIBase):
    VERSION = "latest"
    STABLE = False

    def __init__(self):
        super().__init__()
        self.node_replacement, self.execution, self.caching = self.NodeReplacement(), self.Execution(), self.Caching()

    class NodeReplacement(ProxiedSingleton):
        async def register(self, node_replace):
            """Tells the server that a new class takes the place of an old one."""
            from server import PromptServer

            PromptServer.instance.node_replace_manager.register(node_replace)

    class Execution(ProxiedSingleton):
        async def set_progress(self, value, max_value, node_id=None, preview_image=None, ignore_size_limit=False):
            """Tells clients how far a node has come; ends the node when its job is interrupted."""
            from comfy.model_management import throw_exception_if_processing_interrupted

            context = get_executing_context()
            if node_id is None:
                if context is None:
                    raise ValueError("node_id must be given outside of a running node")
                node_id = context.node_id
            throw_exception_if_processing_interrupted()
            if PROGRESS is not None:
                PROGRESS(None if context is None else context.prompt_id, node_id, value, max_value, shown_image(preview_image, ignore_size_limit))

    class Caching(ProxiedSingleton):
        CacheProvider, CacheContext, CacheValue = _caching.CacheProvider, _caching.CacheContext, _caching.CacheValue

        async def register_provider(self, provider):
            logging.warning(f"{type(provider).__name__} is not asked for results: comfygo has its own cache")

        async def unregister_provider(self, provider):
            pass


Caching = ComfyAPI_latest.Caching
ComfyAPI = ComfyAPI_latest
ComfyAPISync = create_sync_class(ComfyAPI_latest)
IO, UI = io, ui

__all__ = ["ComfyAPI", "ComfyAPISync", "Input", "InputImpl", "Types", "Caching", "ComfyExtension", "io", "IO", "ui", "UI"]
