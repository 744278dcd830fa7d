"""What the types of links are made of: inputs, outputs, and the functions that make a type from them."""

from __future__ import annotations

import inspect
from abc import ABC
from enum import Enum
from typing import Any

from comfy_api.internal import prune_dict

PACKS_NAME = __name__.rpartition("_")[0]  # the module that packs know, of which this is a part


class FolderType(str, Enum):
    input = "input"
    output = "output"
    temp = "temp"


class UploadType(str, Enum):
    image = "image_upload"
    audio = "audio_upload"
    video = "video_upload"
    model = "file_upload"


class NumberDisplay(str, Enum):
    number = "number"
    slider = "slider"
    gradient_slider = "gradientslider"


class ControlAfterGenerate(str, Enum):
    fixed = "fixed"
    increment = "increment"
    decrement = "decrement"
    randomize = "randomize"


class RemoteOptions:
    """Where a browser gets the choices of a combo from, and how often; times in milliseconds."""

    def __init__(self, route, refresh_button, control_after_refresh="first", timeout=None, max_retries=None, refresh=None):
        self.route, self.refresh_button, self.control_after_refresh = route, refresh_button, control_after_refresh
        self.timeout, self.max_retries, self.refresh = timeout, max_retries, refresh

    def as_dict(self):
        return prune_dict(vars(self))


# Inputs and outputs

REQUIRED = inspect.Parameter.empty


class Arguments:
    """Sets attributes from arguments by a declared list, so that a type of input is one line and not one constructor.

    PARAMETERS maps names to defaults, in the order in which packs pass them by position; ATTRIBUTES names those that are kept under another name.
    """

    PARAMETERS: dict[str, Any] = {}
    ATTRIBUTES = {"raw_link": "rawLink"}

    @classmethod
    def signature(cls):
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        return inspect.Signature([inspect.Parameter(name, kind, default=default) for name, default in cls.PARAMETERS.items()])

    def take(self, args, kwargs):
        try:
            bound = self.signature().bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{type(self).__qualname__}: {error}") from None
        bound.apply_defaults()
        for name, value in bound.arguments.items():
            setattr(self, self.ATTRIBUTES.get(name, name), value)


class _IO_V3:
    """An input or output of the type Parent."""

    Parent = None

    def __init__(self):
        pass

    def validate(self):
        pass

    @property
    def io_type(self):
        return self.Parent.io_type

    @property
    def Type(self):
        return self.Parent.Type

    def get_io_type(self):
        return self.io_type


def shown(source, keys):
    """Returns the attributes that are set under the keys that /object_info has for them."""
    return {key: getattr(source, name) for name, key in keys.items() if getattr(source, name) is not None}


class Input(Arguments, _IO_V3):
    """An input without a widget."""

    PARAMETERS = {"id": REQUIRED, "display_name": None, "optional": False, "tooltip": None, "lazy": None, "extra_dict": None, "raw_link": None, "advanced": None}
    SHOWN = {"display_name": "display_name", "optional": "optional", "tooltip": "tooltip", "lazy": "lazy", "rawLink": "rawLink", "advanced": "advanced"}

    def __init__(self, *args, **kwargs):
        self.take(args, kwargs)
        self.extra_dict = {} if self.extra_dict is None else self.extra_dict

    def as_dict(self):
        return {**shown(self, self.SHOWN), **prune_dict(self.extra_dict)}

    def get_all(self):
        """Returns the input and those within it."""
        return [self]


WIDGET_SHOWN = {"default": "default", "socketless": "socketless", "widget_type": "widgetType", "force_input": "forceInput"}


class WidgetInput(Input):
    """An input that a widget can give the value of."""

    PARAMETERS = {
        "id": REQUIRED, "display_name": None, "optional": False, "tooltip": None, "lazy": None, "default": None,
        "socketless": None, "widget_type": None, "force_input": None, "extra_dict": None, "raw_link": None, "advanced": None,
    }
    OWN_SHOWN: dict[str, str] = {}
    default = socketless = widget_type = force_input = lazy = extra_dict = rawLink = advanced = None

    def as_dict(self):
        return {**super().as_dict(), **shown(self, WIDGET_SHOWN), **shown(self, self.OWN_SHOWN)}

    def get_io_type(self):
        return self.io_type if self.widget_type is None else self.widget_type


class Output(Arguments, _IO_V3):
    PARAMETERS = {"id": None, "display_name": None, "tooltip": None, "is_output_list": False}

    def __init__(self, *args, **kwargs):
        self.take(args, kwargs)
        self.display_name = self.display_name or self.id

    def as_dict(self):
        return prune_dict({"display_name": self.display_name or self.id, "tooltip": self.tooltip, "is_output_list": self.is_output_list})


# Types of links

class _ComfyType(ABC):
    Type = Any
    io_type = None


class ComfyTypeI(_ComfyType):
    """A type that has inputs only."""

    Input = Input


class ComfyTypeIO(ComfyTypeI):
    """A type that has inputs and outputs."""

    Output = Output


def comfytype(io_type, **kwargs):
    """Makes a class a type of links: its Input and Output become classes of its own that know it."""

    def decorate(cls):
        if not issubclass(cls, _ComfyType):
            own = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}
            cls = type(cls.__name__, (cls, ComfyTypeIO), own)
        cls.io_type = io_type
        for part in ("Input", "Output"):
            base = getattr(cls, part, None)
            if base is not None:
                setattr(cls, part, type(part, (base,), {"__module__": cls.__module__, "__doc__": base.__doc__, "__qualname__": f"{cls.__name__}.{part}", "Parent": cls}))
        return cls

    return decorate


def Custom(io_type):
    """Makes a type of links of any name."""
    return comfytype(io_type)(type("CustomComfyType", (ComfyTypeIO,), {"__module__": PACKS_NAME}))


def _plain(name, io_type, python=Any):
    """Makes a type whose inputs have no widget."""
    return comfytype(io_type)(type(name, (ComfyTypeIO,), {"__module__": PACKS_NAME, "Type": python}))


def parameters(names, **defaults):
    """Reads a list of parameters; only the first has to be given, and options of a combo with several choices."""
    return {name: defaults.get(name, REQUIRED if name == "id" else False if name == "optional" else None) for name in names.split()}


HEAD, TAIL = "id display_name optional tooltip lazy ", " extra_dict raw_link advanced"
BARE = "id display_name optional tooltip socketless "


def _widget(name, io_type, python, part, base=ComfyTypeIO):
    """Makes a type whose inputs have a widget, described by the class part."""
    return comfytype(io_type)(type(name, (base,), {"__module__": PACKS_NAME, "Type": python, "Input": part}))


def same(names):
    return {name: name for name in names.split()}
