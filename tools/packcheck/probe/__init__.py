"""A node that describes any value in a form which two servers can be compared by. tools/packcheck puts it into custom_nodes."""

import hashlib
import json

SAMPLES = 64  # elements of a tensor that are told
DEEPEST = 6
LONGEST = 200


class Any(str):
    def __ne__(self, other):
        return False


def array(kind, value):
    import numpy

    flat = numpy.ascontiguousarray(value).reshape(-1)
    if flat.dtype.kind in "biuf":
        numbers = flat.astype(numpy.float64)
        step = max(1, len(numbers) // SAMPLES)
        shown = [float(v) for v in numbers[::step][:SAMPLES]]
        mean = float(numbers.mean()) if len(numbers) else 0.0
    else:
        shown, mean = [], 0.0
    return {"kind": kind, "shape": list(value.shape), "mean": mean, "sum": hashlib.sha256(flat.tobytes()).hexdigest()[:16], "values": shown}


def describe(value, depth=0):
    """Returns JSON for a value: numbers and texts as they are, arrays by their shape and elements, objects by their type."""
    name = type(value).__name__
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if depth > DEEPEST:
        return "..."
    if isinstance(value, dict):
        return {str(k): describe(v, depth + 1) for k, v in list(value.items())[:LONGEST]}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {"kind": name, **{f: describe(v, depth + 1) for f, v in zip(value._fields, value)}}
    if isinstance(value, (list, tuple)):
        return [describe(v, depth + 1) for v in value[:LONGEST]]
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        plain = value.detach().cpu()
        if str(plain.dtype) in ("torch.bfloat16", "torch.float8_e4m3fn", "torch.float8_e5m2"):
            plain = plain.float()
        return array("tensor", plain.numpy())
    if type(value).__module__ == "numpy" and hasattr(value, "shape"):
        return array("array", value)
    if hasattr(value, "tobytes") and hasattr(value, "mode") and hasattr(value, "size"):
        import numpy

        return array("image " + value.mode, numpy.array(value))
    return {"kind": name}


class PackcheckDescribe:
    INPUT_IS_LIST = True
    OUTPUT_NODE = True
    RETURN_TYPES = ()
    FUNCTION = "run"
    CATEGORY = "packcheck"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": (Any("*"),)}}

    @classmethod
    def VALIDATE_INPUTS(cls, input_types):
        return True

    def run(self, value):
        return {"ui": {"described": [json.dumps(describe(value))]}}


NODE_CLASS_MAPPINGS = {"PackcheckDescribe": PackcheckDescribe}


# What -overhead measures: a large tensor that nodes hand on, and nodes that do next to nothing.

POINTERS = []


class PackcheckTensor:
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"
    CATEGORY = "packcheck"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"seed": ("INT", {"default": 0}), "batch": ("INT", {"default": 8}), "side": ("INT", {"default": 1024})}}

    def run(self, seed, batch, side):
        import torch

        image = torch.full((batch, side, side, 3), float(seed % 2))
        POINTERS[:] = [image.data_ptr()]
        return (image,)


class PackcheckPass:
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"
    CATEGORY = "packcheck"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"image": ("IMAGE",)}}

    def run(self, image):
        POINTERS.append(image.data_ptr())
        return (image,)


class PackcheckEnd:
    OUTPUT_NODE = True
    RETURN_TYPES = ()
    FUNCTION = "run"
    CATEGORY = "packcheck"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"image": ("IMAGE",)}}

    def run(self, image):
        POINTERS.append(image.data_ptr())
        return {"ui": {"nodes": [len(POINTERS)], "places": [len(set(POINTERS))]}}


class PackcheckTiny:
    OUTPUT_NODE = True
    RETURN_TYPES = ("INT",)
    FUNCTION = "run"
    CATEGORY = "packcheck"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT", {"default": 0})}}

    def run(self, value):
        return (value + 1,)


NODE_CLASS_MAPPINGS.update({c.__name__: c for c in (PackcheckTensor, PackcheckPass, PackcheckEnd, PackcheckTiny)})
