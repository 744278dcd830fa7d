"""Values between comfygo and Python.

Plain JSON values cross as they are. Everything else that Python makes stays here, in a table, and crosses as a handle;
comfygo says when it needs a handle no longer. Tensors cross through files in shared memory, float32 and row-major.
"""

import itertools
import mmap
import os
import sys
import threading

MARK = "$"
DEEPEST = 16
LONGEST_TEXT = 1 << 24
MOST_ELEMENTS = 1 << 16
GEOMETRY = ("MESH", "VOXEL", "SPLAT")


class Unknown(Exception):
    """A handle that is not in the table, or a value that has no form outside of Python."""


def type_name(value):
    cls = type(value)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def is_tensor(value):
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def is_array(value):
    """Reports whether a value is an array of numpy with a type that torch has."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and "torch" in sys.modules and isinstance(value, numpy.ndarray) and value.dtype.kind in "fbiu" and value.dtype.isnative


def is_geometry(value):
    """Reports whether a value is an object of one of ComfyUI's own classes of meshes, voxels and splats."""
    cls = type(value)
    return cls.__name__ in GEOMETRY and cls.__module__.startswith("comfy_api.")


def is_plain(value, depth=0, budget=None):
    """Reports whether a value is JSON by its exact types, so that the copy that crosses is equal to it."""
    if budget is None:
        budget = [MOST_ELEMENTS]
    budget[0] -= 1
    if depth > DEEPEST or budget[0] < 0:
        return False
    kind = type(value)
    if value is None or kind in (bool, int, float):
        return True
    if kind is str:
        return len(value) <= LONGEST_TEXT and not _has_surrogates(value)
    if kind is list:
        return all(is_plain(v, depth + 1, budget) for v in value)
    if kind is dict:
        return MARK not in value and all(type(k) is str and is_plain(v, depth + 1, budget) for k, v in value.items())
    return False


def _has_surrogates(text):
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


class Values:
    """The table of values that comfygo holds by handle."""

    def __init__(self, shared, is_blocker=lambda v: False):
        self.shared = shared
        self.is_blocker = is_blocker
        self.lock = threading.Lock()
        self.table = {}
        self.ids = itertools.count(1)
        self.files = itertools.count(1)

    def keep(self, value):
        """Puts a value into the table and returns its handle."""
        with self.lock:
            number = next(self.ids)
            self.table[number] = value
        handle = {MARK: "handle", "id": number, "type": type_name(value), "kind": kind_of(value), "bytes": size_of(value)}
        if is_tensor(value):
            handle["shape"] = list(value.shape)
        return handle

    def get(self, number):
        with self.lock:
            if number not in self.table:
                raise Unknown(f"the value {number} is not held any more")
            return self.table[number]

    def drop(self, numbers):
        with self.lock:
            gone = [self.table.pop(n, None) for n in numbers]
        del gone  # outside of the lock: a destructor may take long

    def encode(self, value):
        """Returns a value's form in a message."""
        if self.is_blocker(value):
            return {MARK: "blocker", "message": value.message}
        if is_plain(value):
            return value
        return self.keep(value)

    def export(self, value, depth=0):
        """Returns a value with all that is in it, tensors in shared files, for comfygo's own nodes."""
        if depth > DEEPEST:
            raise Unknown("the value is nested too deeply")
        if value is None or type(value) in (bool, int, float, str):
            return value
        if isinstance(value, str):
            return str.__str__(value)
        if is_tensor(value):
            return self.export_tensor(value)
        if isinstance(value, (list, tuple, frozenset)):
            return [self.export(v, depth + 1) for v in value]
        if is_array(value) and value.shape != ():
            return self.export_tensor(sys.modules["torch"].from_numpy(value.copy()))
        if is_geometry(value):
            return {MARK: "instance", "class": type(value).__name__, "attributes": {k: self.export(v, depth + 1) for k, v in vars(value).items()}}
        if isinstance(value, dict) and all(isinstance(k, str) for k in value) and MARK not in value:
            return {k: self.export(v, depth + 1) for k, v in value.items()}
        number = getattr(value, "item", None)
        if number is not None and getattr(value, "shape", None) == ():  # a numpy scalar
            return self.export(number(), depth + 1)
        raise Unknown(f"a value of type {type_name(value)} exists in Python only")

    def export_tensor(self, tensor):
        torch = sys.modules["torch"]
        if tensor.is_complex():
            raise Unknown("a complex tensor exists in Python only")
        if getattr(tensor, "is_nested", False):
            raise Unknown("a nested tensor exists in Python only")
        whole = not tensor.is_floating_point() and tensor.dtype != torch.bool
        data = tensor.detach().to(device="cpu", dtype=torch.float32).contiguous()
        path = os.path.join(self.shared, f"python-{os.getpid()}-{next(self.files)}")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags, 0o600)
        try:
            if hasattr(os, "fchmod"):
                os.fchmod(descriptor, 0o600)  # a pack may have set a mask that keeps comfygo out
            length = data.numel() * 4
            if length:
                os.truncate(descriptor, length) if os.truncate in os.supports_fd else os.ftruncate(descriptor, length)
                with mmap.mmap(descriptor, length) as area:
                    target = torch.frombuffer(area, dtype=torch.float32)
                    target.copy_(data.reshape(-1))
                    del target
        except BaseException:
            os.unlink(path)
            raise
        finally:
            os.close(descriptor)
        form = {MARK: "tensor", "file": path, "shape": list(tensor.shape), "whole": whole}
        if not tensor.is_floating_point():
            form["dtype"] = str(tensor.dtype).removeprefix("torch.")
        return form

    def tensor(self, form):
        """Returns a tensor that comfygo has written, in the type that it has in ComfyUI."""
        tensor = self.mapped(form)
        return tensor.to(getattr(sys.modules["torch"], form["dtype"])) if "dtype" in form else tensor

    def mapped(self, form):
        """Maps a tensor that comfygo has written and removes the file's name; the memory is the tensor's alone."""
        torch = __import__("torch")
        path, shape = form["file"], form["shape"]
        if os.path.dirname(os.path.abspath(path)) != os.path.abspath(self.shared):
            raise Unknown("a tensor's file lies outside of the folder of shared memory")
        if os.name == "nt":  # a file that is mapped cannot be removed there
            with open(path, "rb") as f:
                data = bytearray(f.read())
            os.unlink(path)
            return torch.frombuffer(data, dtype=torch.float32).reshape(shape) if data else torch.empty(shape, dtype=torch.float32)
        descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
        try:
            length = os.fstat(descriptor).st_size
            if length == 0:
                return torch.empty(shape, dtype=torch.float32)
            # A private mapping: what a node writes into its input stays in this process.
            area = mmap.mmap(descriptor, length, access=mmap.ACCESS_COPY)
        finally:
            os.close(descriptor)
            os.unlink(path)
        return torch.frombuffer(area, dtype=torch.float32).reshape(shape)


def kind_of(value):
    """Names what comfygo's own nodes could take a value for; "object" for what exists in Python only."""
    if is_tensor(value):
        return "tensor"
    if isinstance(value, dict):
        if is_tensor(value.get("samples")):
            return "latent"
        if "waveform" in value and "sample_rate" in value:
            return "audio"
        return "dict"
    if isinstance(value, (list, tuple)):
        if value and all(isinstance(c, (list, tuple)) and len(c) == 2 and isinstance(c[1], dict) for c in value):
            return "conditioning"
        return "list"
    if is_geometry(value):
        return "geometry"
    return "object"


def size_of(value, depth=0):
    """Estimates the bytes that a value holds, by the tensors in it."""
    if depth > 4:
        return 0
    if is_tensor(value):
        return value.numel() * value.element_size()
    if isinstance(value, dict):
        return sum(size_of(v, depth + 1) for v in value.values())
    if isinstance(value, (list, tuple)):
        return sum(size_of(v, depth + 1) for v in value[:1024])
    if is_geometry(value):
        return size_of(vars(value), depth + 1)
    return 0
