"""Helpers that packs share with ComfyUI's own nodes."""

import hashlib
import logging


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


EDGE = 1e-5  # samplers include both ends of a range, and only one entry is to be active


def conditioning_set_values_with_timestep_range(conditioning, values={}, start_percent=0.0, end_percent=1.0):
    """Returns the conditioning with further values within a range of the steps, and as it was outside of it."""
    if start_percent > end_percent:
        logging.warning(f"conditioning from {start_percent} to {end_percent} is no range: nothing is changed")
        return conditioning
    out = []
    for entry in conditioning:
        first, last = entry[1].get("start_percent", 0.0), entry[1].get("end_percent", 1.0)
        begin, end = max(start_percent, first), min(end_percent, last)
        if begin >= end:
            out.append(entry)
            continue
        parts = [
            (begin > first, {"start_percent": first, "end_percent": begin - EDGE}),
            (True, {**values, "start_percent": begin, "end_percent": end}),
            (end < last, {"start_percent": end + EDGE, "end_percent": last}),
        ]
        for there, changed in parts:
            if there:
                out.extend(conditioning_set_values([entry], changed))
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

    channels, missing = destination.shape[-1], destination.shape[-1] - source.shape[-1]
    if missing > 0:  # an alpha channel, opaque
        return destination, torch.nn.functional.pad(source, (0, 1), value=1.0)
    return destination, source[..., :channels]
