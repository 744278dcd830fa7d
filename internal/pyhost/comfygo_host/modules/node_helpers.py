"""Helpers that packs share with ComfyUI's own nodes."""

import hashlib


def conditioning_set_values(conditioning, values={}, append=False):
    """Returns the conditioning with further values in each entry, behind the lists that are there with append."""
    out = []
    for tokens, old in conditioning:
        entry = dict(old)
        for key, value in values.items():
            known = old.get(key) if append else None
            entry[key] = value if known is None else known + value
        out.append([tokens, entry])
    return out


def pillow(fn, arg):
    """Opens an image with Pillow, truncated ones too where the file cannot be read otherwise."""
    from PIL import ImageFile, UnidentifiedImageError

    before = None
    try:
        return fn(arg)
    except (OSError, UnidentifiedImageError, ValueError):
        before = ImageFile.LOAD_TRUNCATED_IMAGES
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        return fn(arg)
    finally:
        if before is not None:
            ImageFile.LOAD_TRUNCATED_IMAGES = before


def hasher():
    return hashlib.sha256


def string_to_torch_dtype(string):
    import torch

    return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}.get(string)


def image_alpha_fix(destination, source):
    import torch

    if destination.shape[-1] < source.shape[-1]:
        source = source[..., : destination.shape[-1]]
    elif destination.shape[-1] > source.shape[-1]:
        source = torch.nn.functional.pad(source, (0, 1), value=1.0)
    return destination, source
