"""What the schema API of nodes is built on: classes that are asked, cloned and locked for a call."""

import inspect
from dataclasses import asdict
from typing import NamedTuple

from .singleton import ProxiedSingleton


class ComfyAPIBase(ProxiedSingleton):
    """An API of one version."""

    VERSION = "latest"
    STABLE = False


class ComfyAPIWithVersion(NamedTuple):
    version: str
    api_class: type


_versions = []


def _order(entry):
    """Sorts numbered versions before "latest"."""
    return (1, ()) if entry.version == "latest" else (0, tuple(int(part) for part in entry.version.split(".")))


def register_versions(versions):
    _versions[:] = sorted(versions, key=_order)


def get_all_versions():
    return _versions


class _ComfyNodeInternal:
    """The root of all nodes of the schema API."""

    @classmethod
    def GET_NODE_INFO_V1(cls):
        raise NotImplementedError


class _NodeOutputInternal:
    """The root of what such nodes return."""


class classproperty:
    """A property of the class itself."""

    def __init__(self, f):
        self.f = f

    def __get__(self, obj, owner):
        return self.f(owner)


def is_class(obj):
    return isinstance(obj, type)


def prune_dict(d):
    """Leaves out what is None."""
    return {key: value for key, value in d.items() if value is not None}


def as_pruned_dict(dataclass_obj):
    return prune_dict(asdict(dataclass_obj))


def copy_class(cls):
    """Returns a class of its own that behaves as cls, so that what is set on it does not reach cls."""
    if cls is None:
        return None
    return type(cls.__name__, (cls,), {"__module__": cls.__module__, "__doc__": cls.__doc__, "__qualname__": cls.__qualname__})


def shallow_clone_class(cls, new_name=None):
    """Returns a subclass with the attributes of cls in its own dictionary."""
    own = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}
    return type(cls)(new_name or cls.__name__ + "Clone", (cls, *cls.__bases__), own)


def lock_class(cls):
    """Returns a class like cls on which, and on whose objects, nothing can be set."""

    def refuse_object(self, name, value):
        raise AttributeError(f"{name} cannot be set on {type(self).__name__}: it is locked while its node runs")

    def refuse_class(locked, name, value):
        raise AttributeError(f"{name} cannot be set on the class {locked.__name__}: it is locked while its node runs")

    own = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}
    own["__setattr__"] = refuse_object
    meta = type("Locked", (type(cls),), {"__setattr__": refuse_class})
    return meta(cls.__name__, cls.__bases__, own)


def first_real_override(cls, name, *, base=None):
    """Returns the method that cls or a class below the base of nodes defines, None where only the base has it."""
    if base is None:
        if not hasattr(cls, "GET_BASE_CLASS"):
            raise ValueError(f"{cls!r} is no node of the schema API: base must be given")
        base = cls.GET_BASE_CLASS()
    inherited = getattr(base, name, None)
    if inherited is None:
        return None
    for ancestor in cls.__mro__:
        if ancestor is base:
            return None
        if name in vars(ancestor) and getattr(ancestor, name).__func__ is not inherited.__func__:
            return getattr(cls, name)
    return None


def make_locked_method_func(type_obj, func, class_clone):
    """Returns a function that calls a class method with a locked clone as its class."""
    locked = lock_class(class_clone)
    method = getattr(type_obj, func).__func__
    if inspect.iscoroutinefunction(method):

        async def call_async(**inputs):
            return await method(locked, **inputs)

        return call_async

    def call(**inputs):
        return method(locked, **inputs)

    return call
