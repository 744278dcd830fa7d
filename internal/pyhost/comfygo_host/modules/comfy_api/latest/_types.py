"""What stands for torch's tensors in annotations, so that an interpreter without torch can import packs, too."""

import sys


class _TensorType(type):
    def __instancecheck__(cls, value):
        torch = sys.modules.get("torch")
        return torch is not None and isinstance(value, torch.Tensor)


class Tensor(metaclass=_TensorType):
    """A tensor of torch, for isinstance and annotations."""


def tensor_type():
    """Returns torch.Tensor where torch is imported, else what stands for it."""
    torch = sys.modules.get("torch")
    return Tensor if torch is None else getattr(torch, "Tensor", Tensor)
