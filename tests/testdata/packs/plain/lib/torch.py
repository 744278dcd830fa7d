"""As much of torch as the host asks of tensors: float32 on the CPU over one buffer."""

import array

__version__ = "0.tests"
float32, bool = "float32", "bool"


class Tensor:
    dtype, is_nested = float32, False

    def __init__(self, buffer, shape):
        self.buffer, self.shape = memoryview(buffer).cast("B").cast("f"), tuple(shape)

    def is_complex(self):
        return False

    def is_floating_point(self):
        return True

    def detach(self):
        return self

    def to(self, **kwargs):
        return self

    def contiguous(self):
        return self

    def numel(self):
        return len(self.buffer)

    def element_size(self):
        return 4

    def reshape(self, *shape):
        return Tensor(self.buffer.cast("B"), (len(self.buffer),) if shape == (-1,) else shape[0])

    def copy_(self, other):
        self.buffer[:] = other.buffer


class cuda:
    """A GPU whose memory nodes say to hold."""

    held = None

    @classmethod
    def is_initialized(cls):
        return cls.held is not None

    @staticmethod
    def is_available():
        return False

    @staticmethod
    def device_count():
        return 2

    @classmethod
    def memory_reserved(cls, device):
        return cls.held * (device + 1)


def frombuffer(buffer, dtype):
    view = memoryview(buffer).cast("B")
    return Tensor(view, (len(view) // 4,))


def full(shape, value):
    count = 1
    for n in shape:
        count *= n
    return Tensor(array.array("f", [value] * count), shape)


def empty(shape, dtype):
    return full(shape, 0.0)
