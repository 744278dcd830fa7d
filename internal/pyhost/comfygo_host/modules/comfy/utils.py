"""Progress bars and images as packs use them."""

import math

from . import model_management

PROGRESS_BAR_ENABLED = True
PROGRESS_BAR_HOOK = None


def set_progress_bar_global_hook(function):
    global PROGRESS_BAR_HOOK
    PROGRESS_BAR_HOOK = function


def set_progress_bar_enabled(enabled):
    global PROGRESS_BAR_ENABLED
    PROGRESS_BAR_ENABLED = enabled


class ProgressBar:
    """Tells the client how far a node has come."""

    def __init__(self, total, node_id=None):
        self.total, self.current, self.node_id = total, 0, node_id
        self.hook = PROGRESS_BAR_HOOK

    def update_absolute(self, value, total=None, preview=None):
        if total is not None:
            self.total = total
        self.current = min(value, self.total)
        if self.hook is not None:
            self.hook(self.current, self.total, preview, node_id=self.node_id)

    def update(self, value):
        self.update_absolute(self.current + value)


def common_upscale(samples, width, height, upscale_method, crop):
    """Scales [..., H, W] to a size, first cut to the size's ratio around the centre with crop "center"."""
    import torch

    leading = tuple(samples.shape)
    if samples.ndim > 4:
        samples = samples.reshape(leading[0], leading[1], -1, leading[-2], leading[-1]).movedim(2, 1)
        samples = samples.reshape(-1, leading[1], leading[-2], leading[-1])
    if crop == "center":
        old_w, old_h = samples.shape[-1], samples.shape[-2]
        x = y = 0
        if old_w / old_h > width / height:
            x = round((old_w - old_w * (width / height) / (old_w / old_h)) / 2)
        elif old_w / old_h < width / height:
            y = round((old_h - old_h * (old_w / old_h) / (width / height)) / 2)
        samples = samples.narrow(-2, y, old_h - y * 2).narrow(-1, x, old_w - x * 2)
    if upscale_method == "lanczos":
        out = _lanczos(samples, width, height)
    elif upscale_method == "bislerp":
        raise ValueError("scaling by bislerp takes a ComfyUI checkout: start comfygo with --comfyui DIR")
    else:
        out = torch.nn.functional.interpolate(samples, size=(height, width), mode=upscale_method)
    if len(leading) == 4:
        return out
    out = out.reshape(leading[0], -1, leading[1], height, width).movedim(2, 1)
    return out.reshape(leading[:-2] + (height, width))


def _lanczos(samples, width, height):
    import numpy
    import torch
    from PIL import Image

    images = []
    for image in samples:
        pixels = numpy.clip(255.0 * image.movedim(0, -1).cpu().numpy(), 0, 255).astype(numpy.uint8)
        scaled = Image.fromarray(pixels.squeeze()).resize((width, height), resample=Image.Resampling.LANCZOS)
        data = numpy.array(scaled).astype(numpy.float32) / 255.0
        images.append(torch.from_numpy(data.reshape(height, width, -1)).movedim(-1, 0))
    return torch.stack(images).to(samples.device, samples.dtype)


def get_tiled_scale_steps(width, height, tile_x, tile_y, overlap):
    rows = 1 if height <= tile_y else math.ceil((height - overlap) / (tile_y - overlap))
    cols = 1 if width <= tile_x else math.ceil((width - overlap) / (tile_x - overlap))
    return rows * cols


def load_torch_file(ckpt, safe_load=True, device=None, return_metadata=False):
    """Reads the tensors of a file without executing what is in it."""
    import torch

    if ckpt.lower().endswith((".safetensors", ".sft")):
        from safetensors import safe_open

        with safe_open(ckpt, framework="pt", device=str(device or "cpu")) as f:
            tensors, metadata = {k: f.get_tensor(k) for k in f.keys()}, f.metadata()
    else:
        tensors, metadata = torch.load(ckpt, map_location=device or "cpu", weights_only=True), None
        tensors = tensors.get("state_dict", tensors) if isinstance(tensors, dict) else tensors
    return (tensors, metadata) if return_metadata else tensors


throw_exception_if_processing_interrupted = model_management.throw_exception_if_processing_interrupted
