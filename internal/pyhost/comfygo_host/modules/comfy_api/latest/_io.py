"""Schemas of nodes: the types of inputs and outputs, the description of a class, and what a node returns."""

from __future__ import annotations

import copy
import inspect
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, make_dataclass
from enum import Enum
from typing import Any, Literal, TypedDict, Union

from comfy_api.internal import _ComfyNodeInternal, _NodeOutputInternal, classproperty, first_real_override, is_class, prune_dict, shallow_clone_class
from comfy_execution.graph_utils import ExecutionBlocker

from ._types import tensor_type
from ._util import MESH, SPLAT, VOXEL, File3D
from ._util import SVG as SVGImage


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
    return comfytype(io_type)(type("CustomComfyType", (ComfyTypeIO,), {"__module__": __name__}))


def _plain(name, io_type, python=Any):
    """Makes a type whose inputs have no widget."""
    return comfytype(io_type)(type(name, (ComfyTypeIO,), {"__module__": __name__, "Type": python}))


def parameters(names, **defaults):
    """Reads a list of parameters; only the first has to be given, and options of a combo with several choices."""
    return {name: defaults.get(name, REQUIRED if name == "id" else False if name == "optional" else None) for name in names.split()}


HEAD, TAIL = "id display_name optional tooltip lazy ", " extra_dict raw_link advanced"
BARE = "id display_name optional tooltip socketless "


def _widget(name, io_type, python, part, base=ComfyTypeIO):
    """Makes a type whose inputs have a widget, described by the class part."""
    return comfytype(io_type)(type(name, (base,), {"__module__": __name__, "Type": python, "Input": part}))


def same(names):
    return {name: name for name in names.split()}


class _Boolean(WidgetInput):
    PARAMETERS = parameters(HEAD + "default label_on label_off socketless force_input" + TAIL)
    OWN_SHOWN = same("label_on label_off")


class _Int(WidgetInput):
    PARAMETERS = parameters(HEAD + "default min max step control_after_generate display_mode socketless force_input" + TAIL)
    OWN_SHOWN = {**same("min max step control_after_generate"), "display_mode": "display"}


class _Float(WidgetInput):
    PARAMETERS = parameters(HEAD + "default min max step round display_mode gradient_stops socketless force_input" + TAIL)
    OWN_SHOWN = {**same("min max step round gradient_stops"), "display_mode": "display"}


class _String(WidgetInput):
    PARAMETERS = parameters(HEAD + "multiline placeholder default dynamic_prompts socketless force_input" + TAIL, multiline=False)
    OWN_SHOWN = {**same("multiline placeholder"), "dynamic_prompts": "dynamicPrompts"}


class _Combo(WidgetInput):
    Type = str
    PARAMETERS = parameters("id options display_name optional tooltip lazy default control_after_generate upload image_folder remote socketless" + TAIL)
    OWN_SHOWN = same("multiselect options control_after_generate")
    multiselect = False
    upload = image_folder = remote = None

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if is_class(self.options) and issubclass(self.options, Enum):
            self.options = [choice.value for choice in self.options]
        if isinstance(self.default, Enum):
            self.default = self.default.value

    def as_dict(self):
        out = super().as_dict()
        if self.upload is not None:
            out[self.upload.value] = True
        if self.image_folder:
            out["image_folder"] = self.image_folder.value
        if self.remote:
            out["remote"] = self.remote.as_dict()
        return out


class _MultiCombo(_Combo):
    PARAMETERS = parameters("id options display_name optional tooltip lazy default placeholder chip control_after_generate socketless" + TAIL, options=REQUIRED)
    multiselect = True

    def as_dict(self):
        return {**super().as_dict(), "multi_select": shown(self, same("placeholder chip"))}


class _ComboOutput(Output):
    PARAMETERS = parameters("id display_name options tooltip is_output_list", id=None, is_output_list=False)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.options = [] if self.options is None else self.options


class _Webcam(WidgetInput):
    Type = str
    PARAMETERS = parameters(HEAD + "default socketless" + TAIL)


class _Bare(WidgetInput):
    """A widget without a socket, whose default is made anew for each input."""

    PARAMETERS = parameters(BARE + "default advanced", socketless=True)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.default is None:
            self.default = self.usual()

    @staticmethod
    def usual():
        return []


class _Compositor(_Bare):
    usual = staticmethod(dict)


class _ImageCompare(WidgetInput):
    PARAMETERS = parameters(BARE + "advanced", socketless=True)


class _Color(WidgetInput):
    PARAMETERS = parameters(BARE + "advanced default", socketless=True, default="#ffffff")


class _BoundingBox(_Bare):
    PARAMETERS = parameters(BARE + "default component force_input", socketless=True)

    @staticmethod
    def usual():
        return {"x": 0, "y": 0, "width": 512, "height": 512}

    def as_dict(self):
        return {**super().as_dict(), **({"component": self.component} if self.component else {})}


class _Curve(_Bare):
    @staticmethod
    def usual():
        return [(0.0, 0.0), (1.0, 1.0)]

    def as_dict(self):
        return {**super().as_dict(), "default": {"points": [list(point) for point in self.default], "interpolation": "monotone_cubic"}}


class _Range(_Bare):
    PARAMETERS = parameters(BARE + "default display gradient_stops show_midpoint midpoint_scale value_min value_max advanced", socketless=True)
    OWN_SHOWN = same("display gradient_stops show_midpoint midpoint_scale value_min value_max")

    @staticmethod
    def usual():
        return {"min": 0.0, "max": 1.0}


class _Tensor:
    """Gives torch.Tensor as the Type of a type."""

    Type = classproperty(lambda cls: tensor_type())


def _tensor(name, io_type):
    return comfytype(io_type)(type(name, (_Tensor, ComfyTypeIO), {"__module__": __name__}))


Boolean = _widget("Boolean", "BOOLEAN", bool, _Boolean)
Int = _widget("Int", "INT", int, _Int)
Float = _widget("Float", "FLOAT", float, _Float)
String = _widget("String", "STRING", str, _String)
Webcam = _widget("Webcam", "WEBCAM", str, _Webcam)
MultiCombo = _widget("MultiCombo", "COMBO", list[str], _MultiCombo, base=ComfyTypeI)
ImageCompare = _widget("ImageCompare", "IMAGECOMPARE", dict, _ImageCompare, base=ComfyTypeI)
Color = _widget("Color", "COLOR", str, _Color)
Colors = _widget("Colors", "COLORS", list[str], _Bare)


@comfytype("COMBO")
class Combo(ComfyTypeIO):
    Type = str
    Input = _Combo
    Output = _ComboOutput


@comfytype("BOUNDING_BOX")
class BoundingBox(ComfyTypeIO):
    class BoundingBoxDict(TypedDict):
        x: int
        y: int
        width: int
        height: int

    Type = BoundingBoxDict
    Input = _BoundingBox


@comfytype("BOUNDING_BOXES")
class BoundingBoxes(ComfyTypeIO):
    class BoundingBoxWithMetadata(BoundingBox.BoundingBoxDict):
        metadata: dict

    Type = list[BoundingBoxWithMetadata]
    Input = _Bare


@comfytype("CURVE")
class Curve(ComfyTypeIO):
    from ._input import CurvePoint

    Input = _Curve


@comfytype("RANGE")
class Range(ComfyTypeIO):
    from ._input import RangeInput

    Type = RangeInput
    Input = _Range


@comfytype("COMPOSITOR")
class Compositor(ComfyTypeIO):
    class LayerState(TypedDict, total=False):
        version: int
        canvas: dict
        background: dict
        inputs: list[str]
        order: list[int]
        layers: list[dict]

    Type = LayerState
    Input = _Compositor


Image, Mask = _tensor("Image", "IMAGE"), _tensor("Mask", "MASK")
Sigmas, Noise = _tensor("Sigmas", "SIGMAS"), _tensor("Noise", "NOISE")
WanCameraEmbedding = _tensor("WanCameraEmbedding", "WAN_CAMERA_EMBEDDING")


@comfytype("LATENT")
class Latent(ComfyTypeIO):
    class LatentDict(TypedDict, total=False):
        samples: Any
        noise_mask: Any
        batch_index: list[int]
        type: str

    Type = LatentDict


@comfytype("CONDITIONING")
class Conditioning(ComfyTypeIO):
    class PooledDict(TypedDict, total=False):
        """What goes with the embedding of a text; models look for more keys than these."""

        pooled_output: Any
        strength: float
        start_percent: float
        end_percent: float

    CondList = list
    Type = list


@comfytype("AUDIO")
class Audio(ComfyTypeIO):
    class AudioDict(TypedDict):
        waveform: Any
        sample_rate: int

    Type = AudioDict


@comfytype("LOSS_MAP")
class LossMap(ComfyTypeIO):
    class LossMapDict(TypedDict):
        loss: list

    Type = LossMapDict


@comfytype("ACCUMULATION")
class Accumulation(ComfyTypeIO):
    class AccumulationDict(TypedDict):
        accum: list

    Type = AccumulationDict


@comfytype("TRACKS")
class Tracks(ComfyTypeIO):
    class TrackDict(TypedDict):
        track_path: Any
        track_visibility: Any

    Type = TrackDict


@comfytype("LOAD3D_CAMERA")
class Load3DCamera(ComfyTypeIO):
    class CameraInfo(TypedDict, total=False):
        """Right-handed, Y up, looking down -Z; fov in degrees, vertical; the rest in units of the scene."""

        position: dict
        target: dict
        zoom: float
        cameraType: str
        quaternion: dict
        fov: float
        aspect: float
        near: float
        far: float
        frustum: dict

    Type = CameraInfo


@comfytype("LOAD3D_MODEL_INFO")
class Load3DModelInfo(ComfyTypeIO):
    class Model3DTransform(TypedDict):
        position: dict
        quaternion: dict
        scale: dict

    Type = list[Model3DTransform]


@comfytype("LOAD_3D")
class Load3D(ComfyTypeIO):
    class Model3DDict(TypedDict, total=False):
        image: str
        mask: str
        normal: str
        camera_info: Any
        recording: str
        model_3d_info: list

    Type = Model3DDict


@comfytype("LOAD_3D_ANIMATION")
class Load3DAnimation(Load3D):
    pass


@comfytype("LAYERS")
class Layers(ComfyTypeIO):
    BlendMode = Literal[
        "normal", "multiply", "screen", "overlay", "darken", "lighten", "color-dodge", "color-burn", "hard-light", "soft-light", "difference", "exclusion",
        "linear-dodge", "linear-burn", "vivid-light", "pin-light", "linear-light", "hard-mix", "subtract", "divide", "grain-extract", "grain-merge", "hue",
        "saturation", "color", "luminosity",
    ]

    class LayerItem(TypedDict, total=False):
        image: Any
        type: str
        x: int
        y: int
        mask: Any
        z_index: int
        name: str
        opacity: float
        blend_mode: str
        visible: bool
        flip_h: bool
        flip_v: bool
        rotation: float
        w: int
        h: int

    class Document(TypedDict, total=False):
        version: int
        canvas: tuple
        layers: list

    Type = Document


# Types without a widget whose values a checkout makes, or packs: name, name of the link type, Python's type.
for _name, _link, _python in (
    ("Sampler", "SAMPLER", Any), ("Guider", "GUIDER", Any), ("Clip", "CLIP", Any), ("ControlNet", "CONTROL_NET", Any), ("Vae", "VAE", Any), ("Model", "MODEL", Any),
    ("ModelPatch", "MODEL_PATCH", Any), ("BackgroundRemoval", "BACKGROUND_REMOVAL", Any), ("ClipVision", "CLIP_VISION", Any),
    ("ClipVisionOutput", "CLIP_VISION_OUTPUT", Any), ("StyleModel", "STYLE_MODEL", Any), ("Gligen", "GLIGEN", Any), ("UpscaleModel", "UPSCALE_MODEL", Any),
    ("LatentUpscaleModel", "LATENT_UPSCALE_MODEL", Any), ("Video", "VIDEO", Any), ("SVG", "SVG", SVGImage), ("LoraModel", "LORA_MODEL", dict),
    ("Voxel", "VOXEL", VOXEL), ("Mesh", "MESH", MESH), ("Splat", "SPLAT", SPLAT), ("Hooks", "HOOKS", Any), ("HookKeyframes", "HOOK_KEYFRAMES", Any),
    ("TimestepsRange", "TIMESTEPS_RANGE", tuple), ("LatentOperation", "LATENT_OPERATION", Callable), ("FlowControl", "FLOW_CONTROL", tuple),
    ("Photomaker", "PHOTOMAKER", Any), ("Point", "POINT", Any), ("FaceAnalysis", "FACE_ANALYSIS", Any), ("BBOX", "BBOX", Any), ("SEGS", "SEGS", Any),
    ("AnyType", "*", Any), ("AudioEncoder", "AUDIO_ENCODER", Any), ("AudioEncoderOutput", "AUDIO_ENCODER_OUTPUT", Any), ("Dict", "DICT", dict),
    ("Array", "ARRAY", list), ("Histogram", "HISTOGRAM", list[int]),
    ("File3DAny", "FILE_3D", File3D), ("File3DGLB", "FILE_3D_GLB", File3D), ("File3DGLTF", "FILE_3D_GLTF", File3D), ("File3DFBX", "FILE_3D_FBX", File3D),
    ("File3DOBJ", "FILE_3D_OBJ", File3D), ("File3DSTL", "FILE_3D_STL", File3D), ("File3DUSDZ", "FILE_3D_USDZ", File3D), ("File3DPLY", "FILE_3D_PLY", File3D),
    ("File3DSPLAT", "FILE_3D_SPLAT", File3D), ("File3DSPZ", "FILE_3D_SPZ", File3D), ("File3DKSPLAT", "FILE_3D_KSPLAT", File3D),
    ("File3DSplatAny", "FILE_3D_SPLAT_ANY", File3D), ("File3DPointCloudAny", "FILE_3D_POINT_CLOUD_ANY", File3D),
):
    globals()[_name] = _plain(_name, _link, _python)
AnyType = globals()["AnyType"]


# Inputs of several types

class _MultiTypeInput(Input):
    """Takes links of several types; with an input in place of the id, that one's widget is there as well."""

    PARAMETERS = parameters("id types display_name optional tooltip lazy extra_dict raw_link advanced", types=REQUIRED)
    ATTRIBUTES = {"raw_link": "rawLink", "types": "_io_types"}

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.input_override = None
        if isinstance(self.id, Input):
            own = self.input_override = copy.copy(self.id)
            self.id, self.optional = own.id, own.optional is True or self.optional
            for name in ("tooltip", "display_name", "lazy"):
                if getattr(own, name) is not None:
                    setattr(self, name, getattr(own, name))
            if isinstance(own, WidgetInput):
                own.widget_type = own.get_io_type()

    @property
    def io_types(self):
        return [t if is_class(t) else type(t) for t in self._io_types]

    def get_io_type(self):
        names = [] if self.input_override is None else [self.input_override.get_io_type()]
        return ",".join(dict.fromkeys(names + [t.io_type for t in self.io_types]))

    def as_dict(self):
        return {**({} if self.input_override is None else self.input_override.as_dict()), **super().as_dict()}


@comfytype("COMFY_MULTITYPED_V3")
class MultiType(ComfyTypeIO):
    Input = _MultiTypeInput


class _Template:
    """Ties inputs and outputs together that have to be of one type."""

    def __init__(self, template_id, allowed_types=AnyType):
        self.template_id = template_id
        self.allowed_types = allowed_types if isinstance(allowed_types, Iterable) else [allowed_types]
        for allowed in self.allowed_types:
            if not (issubclass(allowed, _ComfyType) if is_class(allowed) else isinstance(allowed, _ComfyType)):
                raise ValueError(f"allowed_types of the template {template_id} takes types such as io.Image, not {allowed!r}")

    def as_dict(self):
        return {"template_id": self.template_id, "allowed_types": ",".join(t.io_type for t in self.allowed_types)}


class _MatchInput(Input):
    PARAMETERS = parameters("id template display_name optional tooltip lazy extra_dict raw_link advanced", template=REQUIRED)

    def as_dict(self):
        return {**super().as_dict(), "template": self.template.as_dict()}


class _MatchOutput(Output):
    PARAMETERS = parameters("template id display_name tooltip is_output_list", template=REQUIRED, id=None, is_output_list=False)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.display_name = self.display_name or "MATCHTYPE"

    def as_dict(self):
        return {**super().as_dict(), "template": self.template.as_dict()}


@comfytype("COMFY_MATCHTYPE_V3")
class MatchType(ComfyTypeIO):
    Template = _Template
    Input = _MatchInput
    Output = _MatchOutput


# Inputs that stand for others, which depend on the values of a prompt

DYNAMIC_INPUT_LOOKUP: dict[str, Callable] = {}


def register_dynamic_input_func(io_type, func):
    """Has func(found, values, entry, group, path) put into found what inputs of a type stand for."""
    DYNAMIC_INPUT_LOOKUP[io_type] = func


def get_dynamic_input_func(io_type):
    return DYNAMIC_INPUT_LOOKUP[io_type]


class DynamicInput(Input, ABC):
    """An input that stands for others."""


class DynamicOutput(Output, ABC):
    """An output that stands for others."""


class _AutogrowTemplate:
    """What the inputs of an Autogrow are like."""

    def __init__(self, input, names, minimum):
        if isinstance(input, DynamicInput):
            raise AssertionError("the template of an Autogrow cannot be a dynamic input")
        if minimum < 0:
            raise AssertionError(f"an Autogrow has at least {minimum} inputs")
        self.input, self.names, self.min = copy.copy(input), names, minimum
        if isinstance(self.input, WidgetInput):
            self.input.force_input = True
        self.cached_inputs = {}
        for name in names:
            made = self.cached_inputs[name] = copy.copy(self.input)
            made.id = name

    def get_all(self):
        return list(self.cached_inputs.values())

    def as_dict(self):
        return {"input": create_input_dict_v1([self.input])}

    def validate(self):
        self.input.validate()


MOST_GROWN = 100  # inputs of one Autogrow


class _TemplatePrefix(_AutogrowTemplate):
    """Inputs named by a prefix and a number from 0."""

    def __init__(self, input, prefix, min=1, max=10):
        if not 1 <= max <= MOST_GROWN:
            raise AssertionError(f"an Autogrow has 1 to {MOST_GROWN} inputs, not {max}")
        self.prefix, self.max = prefix, max
        super().__init__(input, [f"{prefix}{number}" for number in range(max)], min)

    def as_dict(self):
        return {**super().as_dict(), "prefix": self.prefix, "min": self.min, "max": self.max}


class _TemplateNames(_AutogrowTemplate):
    """Inputs with given names."""

    def __init__(self, input, names, min=1):
        super().__init__(input, names[:MOST_GROWN], min)

    def as_dict(self):
        return {**super().as_dict(), "names": self.names, "min": self.min}


class _AutogrowInput(DynamicInput):
    PARAMETERS = parameters("id template display_name optional tooltip lazy extra_dict", template=REQUIRED)
    rawLink = advanced = None

    def as_dict(self):
        return {**super().as_dict(), "template": self.template.as_dict()}

    def get_all(self):
        return [self, *self.template.get_all()]

    def validate(self):
        self.template.validate()


@comfytype("COMFY_AUTOGROW_V3")
class Autogrow(ComfyTypeI):
    Type = dict[str, Any]
    _MaxNames = MOST_GROWN
    _AutogrowTemplate = _AutogrowTemplate
    TemplatePrefix = _TemplatePrefix
    TemplateNames = _TemplateNames
    Input = _AutogrowInput


class _Option:
    """A choice of a DynamicCombo with the inputs that it brings."""

    def __init__(self, key, inputs):
        self.key, self.inputs = key, inputs

    def as_dict(self):
        return {"key": self.key, "inputs": create_input_dict_v1(self.inputs)}


class _DynamicComboInput(DynamicInput):
    PARAMETERS = parameters("id options display_name optional tooltip lazy extra_dict", options=REQUIRED)
    rawLink = advanced = None

    def get_all(self):
        return [self, *(inner for option in self.options for inner in option.inputs)]

    def as_dict(self):
        return {**super().as_dict(), "options": [option.as_dict() for option in self.options]}

    def validate(self):
        for option in self.options:
            for inner in option.inputs:
                inner.validate()


@comfytype("COMFY_DYNAMICCOMBO_V3")
class DynamicCombo(ComfyTypeI):
    Type = dict[str, Any]
    Option = _Option
    Input = _DynamicComboInput


class _DynamicSlotInput(DynamicInput):
    """An optional input that brings others when it is connected."""

    def __init__(self, slot, inputs, display_name=None, tooltip=None, lazy=None, extra_dict=None):
        if isinstance(slot, DynamicInput):
            raise AssertionError("the slot of a DynamicSlot cannot be a dynamic input")
        self.slot, self.inputs, self.force_input = copy.copy(slot), inputs, None
        for name, value in (("display_name", display_name), ("tooltip", tooltip), ("lazy", lazy), ("extra_dict", extra_dict)):
            if getattr(slot, name) is None:
                setattr(self.slot, name, value)
        super().__init__(slot.id, self.slot.display_name, True, self.slot.tooltip, self.slot.lazy, self.slot.extra_dict)
        if isinstance(self.slot, WidgetInput):
            self.force_input = self.slot.force_input = True

    def get_all(self):
        return [self.slot, *self.inputs]

    def as_dict(self):
        own = {"slotType": str(self.slot.get_io_type()), "inputs": create_input_dict_v1(self.inputs), "forceInput": self.force_input}
        return {**super().as_dict(), **prune_dict(own)}

    def validate(self):
        for inner in self.get_all():
            inner.validate()


@comfytype("COMFY_DYNAMICSLOT_V3")
class DynamicSlot(ComfyTypeI):
    Type = dict[str, Any]
    Input = _DynamicSlotInput


class DynamicPathsDefaultValue:
    EMPTY_DICT = "empty_dict"


def _grow(found, values, entry, group, path):
    """Puts the inputs of an Autogrow into found: those that are there are nested below its own name."""
    template = entry[1]["template"]
    names = template["names"] if "names" in template else [f"{template['prefix']}{number}" for number in range(template["max"])]
    kind, model = next(((kind, next(iter(inputs.values()))) for kind, inputs in template["input"].items() if inputs), (None, None))
    if kind is None:
        raise ValueError(f"the Autogrow {'.'.join(path)} has a template without an input")
    there = {}
    for number, name in enumerate(names):
        place = "required" if kind == "required" and number < template["min"] else "optional"
        full = ".".join([*path, name])
        found[place][full] = model
        if full in values:
            there.setdefault(place, {})[name] = model
    if not there:
        own = ".".join(path)
        found["dynamic_paths"][own] = own
        found["dynamic_paths_default_value"][own] = DynamicPathsDefaultValue.EMPTY_DICT
    parse_class_inputs(found, values, there, path)


def _with_others(found, values, entry, group, path, inputs):
    """Puts inputs and the one that brings them, whose value has its own name within, into found."""
    parse_class_inputs(found, values, inputs, path)
    own = ".".join(path)
    found[group][own] = entry
    found["dynamic_paths"][own] = f"{own}.{path[-1]}"


def _choose(found, values, entry, group, path):
    own = ".".join(path)
    for option in entry[1]["options"]:
        if own in values and option["key"] == values[own]:
            _with_others(found, values, entry, group, path, option["inputs"])
            return


def _connect(found, values, entry, group, path):
    if ".".join(path) in values:
        _with_others(found, values, entry, group, path, entry[1]["inputs"])


def setup_dynamic_input_funcs():
    for kind, function in ((Autogrow, _grow), (DynamicCombo, _choose), (DynamicSlot, _connect)):
        register_dynamic_input_func(kind.io_type, function)


setup_dynamic_input_funcs()


def parse_class_inputs(out_dict, live_inputs, curr_dict, curr_prefix=None):
    """Puts declared inputs into out_dict under their full names, dynamic ones by what the values of a prompt make of them."""
    for group, inputs in curr_dict.items():
        for name, entry in inputs.items():
            path = [*(curr_prefix or ()), name]
            expand = DYNAMIC_INPUT_LOOKUP.get(entry[0]) if isinstance(entry[0], str) else None
            if expand is not None:
                expand(out_dict, live_inputs, entry, group, path)
                continue
            full = ".".join(path)
            out_dict[group][full] = entry
            if curr_prefix:
                out_dict["dynamic_paths"][full] = full


def get_finalized_class_inputs(d, live_inputs, include_hidden=False):
    """Returns the inputs that a class has with the values of a prompt, its hidden ones, and how values are nested."""
    found = {"required": {}, "optional": {}, "dynamic_paths": {}, "dynamic_paths_default_value": {}}
    hidden = d.get("hidden")
    parse_class_inputs(found, live_inputs, {group: inputs for group, inputs in d.items() if group != "hidden"})
    nesting = {key: found.pop(key) for key in ("dynamic_paths", "dynamic_paths_default_value")}
    if include_hidden and hidden is not None:
        found["hidden"] = hidden
    return found, hidden, {key: value for key, value in nesting.items() if value}


def build_nested_inputs(values, v3_data):
    """Moves the values of dynamic inputs into dictionaries, as their paths say."""
    paths = v3_data.get("dynamic_paths")
    if paths is None:
        return values
    flat, nested = dict(values), {}
    for name, path in paths.items():
        value = flat.pop(name, None)
        if value is None and v3_data.get("dynamic_paths_default_value", {}).get(name) == DynamicPathsDefaultValue.EMPTY_DICT:
            value = {}
        *above, last = path.split(".")
        place = nested
        for part in above:
            place = place.setdefault(part, {})
        place[last] = (value, name) if v3_data.get("create_dynamic_tuple") else value
    return {**flat, **nested}


def add_to_dict_v1(i, d):
    described = i.as_dict()
    described.pop("optional", None)
    d.setdefault("optional" if i.optional else "required", {})[i.id] = (i.get_io_type(), described)


def create_input_dict_v1(inputs):
    out = {"required": {}}
    for i in inputs:
        add_to_dict_v1(i, out)
    return out


# Hidden inputs

class Hidden(str, Enum):
    """What a node can ask for beside its inputs."""

    unique_id = "UNIQUE_ID"
    prompt = "PROMPT"
    extra_pnginfo = "EXTRA_PNGINFO"
    dynprompt = "DYNPROMPT"
    auth_token_comfy_org = "AUTH_TOKEN_COMFY_ORG"
    api_key_comfy_org = "API_KEY_COMFY_ORG"
    comfy_usage_source = "COMFY_USAGE_SOURCE"


class HiddenHolder:
    """The hidden values of a call; one that was not asked for is None."""

    def __init__(self, unique_id, prompt, extra_pnginfo, dynprompt, auth_token_comfy_org, api_key_comfy_org, comfy_usage_source=None, **kwargs):
        self.unique_id, self.prompt, self.extra_pnginfo, self.dynprompt = unique_id, prompt, extra_pnginfo, dynprompt
        self.auth_token_comfy_org, self.api_key_comfy_org, self.comfy_usage_source = auth_token_comfy_org, api_key_comfy_org, comfy_usage_source

    def __getattr__(self, key):
        return None

    @classmethod
    def from_dict(cls, d):
        return cls(**{kind.name: (d or {}).get(kind) for kind in Hidden})

    @classmethod
    def from_v3_data(cls, v3_data):
        return cls.from_dict(v3_data["hidden_inputs"] if v3_data else None)


class V3Data(TypedDict, total=False):
    hidden_inputs: dict[str, Any]
    dynamic_paths: dict[str, Any]
    dynamic_paths_default_value: dict[str, Any]
    create_dynamic_tuple: bool


# Descriptions of classes

NodeInfoV1 = make_dataclass("NodeInfoV1", [
    (name, Any, None) for name in (
        "input input_order is_input_list output output_is_list output_name output_tooltips output_matchtypes name display_name description python_module category "
        "output_node deprecated experimental dev_only api_node price_badge search_aliases essentials_category has_intermediate_output"
    ).split()
])
NodeInfoV1.__module__ = __name__


@dataclass
class PriceBadgeDepends:
    """The inputs that the price of a call depends on."""

    widgets: list = field(default_factory=list)
    inputs: list = field(default_factory=list)
    input_groups: list = field(default_factory=list)

    def validate(self):
        for name, value in vars(self).items():
            if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
                raise ValueError(f"PriceBadgeDepends.{name} takes a list of texts")

    def as_dict(self, schema_inputs):
        types = {}
        for i in schema_inputs:
            types[i.id] = i.get_io_type()
            types.update({f"{i.id}.{inner.id}": inner.get_io_type() for inner in i.get_all()[1:]})
        unknown = [name for name in self.widgets if name not in types]
        if unknown:
            raise ValueError(f"PriceBadgeDepends.widgets names {unknown[0]!r}; the node has {', '.join(types)}")
        return {"widgets": [{"name": name, "type": types[name]} for name in self.widgets], "inputs": self.inputs, "input_groups": self.input_groups}


@dataclass
class PriceBadge:
    """An expression from which a browser computes the price of a call."""

    expr: str
    depends_on: PriceBadgeDepends = field(default_factory=PriceBadgeDepends)
    engine: str = "jsonata"

    def validate(self):
        if self.engine != "jsonata":
            raise ValueError(f"PriceBadge.engine takes jsonata only, not {self.engine!r}")
        if not isinstance(self.expr, str) or not self.expr.strip():
            raise ValueError("PriceBadge.expr takes a text that is not empty")
        self.depends_on.validate()

    def as_dict(self, schema_inputs):
        return {"engine": self.engine, "depends_on": self.depends_on.as_dict(schema_inputs), "expr": self.expr}


@dataclass
class Schema:
    """The description of a node."""

    node_id: str
    display_name: str = None
    category: str = "sd"
    inputs: list = field(default_factory=list)
    outputs: list = field(default_factory=list)
    hidden: list = field(default_factory=list)
    description: str = ""
    search_aliases: list = field(default_factory=list)
    is_input_list: bool = False
    is_output_node: bool = False
    is_deprecated: bool = False
    is_experimental: bool = False
    is_dev_only: bool = False
    is_api_node: bool = False
    price_badge: PriceBadge = None
    not_idempotent: bool = False
    enable_expand: bool = False
    accept_all_inputs: bool = False
    essentials_category: str = None
    has_intermediate_output: bool = False

    def validate(self):
        """Checks that ids occur once, and each input and output."""
        lists = (
            ("Input", [inner.id for i in self.inputs if not isinstance(i, DynamicInput) for inner in i.get_all()]),
            ("Output", [o.id for o in self.outputs]),
        )
        problems = []
        for kind, ids in lists:
            twice = [name for name, count in Counter(ids).items() if count > 1]
            if twice:
                problems.append(f"{kind} ids must be unique, but {twice} are not.")
        if problems:
            raise ValueError("\n".join(problems))
        for part in (*self.inputs, *self.outputs):
            part.validate()
        if self.price_badge is not None:
            self.price_badge.validate()

    def finalize(self):
        """Adds the hidden inputs that follow from other settings, and ids of outputs without one."""
        self.inputs, self.outputs, self.hidden = self.inputs or [], self.outputs or [], self.hidden or []
        wanted = []
        if self.is_api_node:
            wanted += [Hidden.auth_token_comfy_org, Hidden.api_key_comfy_org, Hidden.comfy_usage_source]
        if self.is_output_node:
            wanted += [Hidden.prompt, Hidden.extra_pnginfo]
        self.hidden.extend(kind for kind in wanted if kind not in self.hidden)
        for number, output in enumerate(self.outputs):
            if output.id is None:
                output.id = f"_{number}_{output.io_type}_"

    def get_v1_info(self, cls):
        """Describes the class as /object_info does."""
        inputs = create_input_dict_v1(self.inputs)
        if self.hidden:
            inputs["hidden"] = {kind.name: (kind.value,) for kind in self.hidden}
        matches = [o.template.template_id if isinstance(o, _MatchOutput) else None for o in self.outputs]
        return NodeInfoV1(
            input=inputs,
            input_order={group: list(entries) for group, entries in inputs.items()},
            is_input_list=self.is_input_list,
            **output_lists(self.outputs),
            output_matchtypes=matches if any(m is not None for m in matches) else None,
            name=self.node_id,
            display_name=self.display_name,
            category=self.category,
            description=self.description,
            output_node=self.is_output_node,
            has_intermediate_output=self.has_intermediate_output,
            deprecated=self.is_deprecated,
            experimental=self.is_experimental,
            dev_only=self.is_dev_only,
            api_node=self.is_api_node,
            python_module=getattr(cls, "RELATIVE_PYTHON_MODULE", "nodes"),
            price_badge=None if self.price_badge is None else self.price_badge.as_dict(self.inputs),
            search_aliases=self.search_aliases or None,
            essentials_category=self.essentials_category,
        )


def output_lists(outputs):
    """Returns types, names, kinds and tooltips of outputs."""
    return {
        "output": [o.io_type for o in outputs],
        "output_is_list": [o.is_output_list for o in outputs],
        "output_name": [o.display_name or o.io_type for o in outputs],
        "output_tooltips": [o.tooltip or None for o in outputs],
    }


# Nodes

def _from_schema(name):
    """A property of a class that its schema gives, under the name of the first API; each class asks its schema once."""

    def get(cls):
        known = vars(cls).get("_COMFYGO_KNOWN")
        if known is None:
            cls.GET_SCHEMA()
            known = cls._COMFYGO_KNOWN
        return known[name]

    return classproperty(get)


class _ComfyNodeBaseInternal(_ComfyNodeInternal):
    """What all nodes of the schema API have."""

    RELATIVE_PYTHON_MODULE = None
    SCHEMA = None
    hidden = None

    def __init__(self):
        type(self).VALIDATE_CLASS()

    @classmethod
    @abstractmethod
    def define_schema(cls):
        raise NotImplementedError

    @classmethod
    @abstractmethod
    def execute(cls, **kwargs):
        raise NotImplementedError

    @classmethod
    def validate_inputs(cls, **kwargs):
        raise NotImplementedError

    @classmethod
    def fingerprint_inputs(cls, **kwargs):
        raise NotImplementedError

    @classmethod
    def check_lazy_status(cls, **kwargs):
        return [name for name, value in kwargs.items() if value is None]

    @classmethod
    def GET_BASE_CLASS(cls):
        return _ComfyNodeBaseInternal

    @classmethod
    def VALIDATE_CLASS(cls):
        for name in ("define_schema", "execute"):
            if first_real_override(cls, name) is None:
                raise Exception(f"No {name} function was defined for node class {cls.__name__}.")

    @classproperty
    def FUNCTION(cls):
        return "EXECUTE_NORMALIZED_ASYNC" if inspect.iscoroutinefunction(cls.execute) else "EXECUTE_NORMALIZED"

    @classmethod
    def EXECUTE_NORMALIZED(cls, *args, **kwargs):
        return cls._normalized(cls.execute(*args, **kwargs))

    @classmethod
    async def EXECUTE_NORMALIZED_ASYNC(cls, *args, **kwargs):
        return cls._normalized(await cls.execute(*args, **kwargs))

    @classmethod
    def _normalized(cls, result):
        """Makes a NodeOutput of what a node has returned."""
        if result is None:
            result = NodeOutput()
        elif isinstance(result, tuple):
            result = NodeOutput(*result)
        elif isinstance(result, dict):
            result = NodeOutput.from_dict(result)
        elif isinstance(result, ExecutionBlocker):
            result = NodeOutput(block_execution=result.message)
        elif not isinstance(result, NodeOutput):
            raise Exception(f"{cls.__name__} returned {type(result).__name__} in place of a NodeOutput")
        if result.expand is not None and not cls.SCHEMA.enable_expand:
            raise Exception(f"{cls.__name__} expands into a graph, but its schema does not have enable_expand=True")
        return result

    @classmethod
    def PREPARE_CLASS_CLONE(cls, v3_data):
        """Returns a class like this one that has the hidden values of a call."""
        clone = shallow_clone_class(cls)
        clone.hidden = HiddenHolder.from_v3_data(v3_data)
        return clone

    @classmethod
    def GET_NODE_INFO_V1(cls):
        return asdict(cls.GET_SCHEMA().get_v1_info(cls))

    @classmethod
    def INPUT_TYPES(cls):
        return cls.FINALIZE_SCHEMA().get_v1_info(cls).input

    @classmethod
    def FINALIZE_SCHEMA(cls):
        schema = cls.define_schema()
        schema.finalize()
        return schema

    @classmethod
    def GET_SCHEMA(cls):
        """Returns the checked schema, and keeps what the first API calls properties of the class."""
        cls.VALIDATE_CLASS()
        schema = cls.FINALIZE_SCHEMA()
        schema.validate()
        if "_COMFYGO_KNOWN" not in vars(cls):
            lists = output_lists(schema.outputs)
            known = {name: getattr(schema, attribute) for name, attribute in FROM_SCHEMA.items()}
            known.update(RETURN_TYPES=lists["output"], RETURN_NAMES=lists["output_name"], OUTPUT_IS_LIST=lists["output_is_list"], OUTPUT_TOOLTIPS=lists["output_tooltips"])
            type.__setattr__(cls, "_COMFYGO_KNOWN", known)
        type.__setattr__(cls, "SCHEMA", schema)
        return schema


FROM_SCHEMA = {
    "DESCRIPTION": "description", "CATEGORY": "category", "EXPERIMENTAL": "is_experimental", "DEPRECATED": "is_deprecated", "DEV_ONLY": "is_dev_only",
    "API_NODE": "is_api_node", "OUTPUT_NODE": "is_output_node", "HAS_INTERMEDIATE_OUTPUT": "has_intermediate_output", "INPUT_IS_LIST": "is_input_list",
    "NOT_IDEMPOTENT": "not_idempotent", "ACCEPT_ALL_INPUTS": "accept_all_inputs",
}
for _name in (*FROM_SCHEMA, "RETURN_TYPES", "RETURN_NAMES", "OUTPUT_IS_LIST", "OUTPUT_TOOLTIPS"):
    setattr(_ComfyNodeBaseInternal, _name, _from_schema(_name))


class ComfyNode(_ComfyNodeBaseInternal):
    """The base of a pack's nodes: define_schema and execute are its own, the other methods may be."""

    @classmethod
    def GET_BASE_CLASS(cls):
        return ComfyNode


class NodeOutput(_NodeOutputInternal):
    """What a node returns: its values, what clients are shown, a graph in its place, or a message that blocks what follows."""

    def __init__(self, *args, ui=None, expand=None, block_execution=None):
        self.args, self.ui, self.expand, self.block_execution = args, ui, expand, block_execution

    @property
    def result(self):
        return self.args or None

    @classmethod
    def from_dict(cls, data):
        result = data.get("result", ())
        if isinstance(result, ExecutionBlocker):
            return cls(block_execution=result.message)
        return cls(*result, ui=data.get("ui"), expand=data.get("expand"))

    def __getitem__(self, index):
        return self.args[index]


class _UIOutput(ABC):
    """What clients are shown of a node."""

    def __init__(self):
        pass

    @abstractmethod
    def as_dict(self):
        """Returns it as the message executed has it."""


# Replacements of nodes

class InputMapOldId(TypedDict):
    new_id: str
    old_id: str


class InputMapSetValue(TypedDict):
    new_id: str
    set_value: Any


InputMap = Union[InputMapOldId, InputMapSetValue]


class OutputMap(TypedDict):
    new_idx: int
    old_idx: int


class NodeReplace:
    """How a browser puts a new class in the place of an old one in a workflow."""

    def __init__(self, new_node_id, old_node_id, old_widget_ids=None, input_mapping=None, output_mapping=None):
        self.new_node_id, self.old_node_id, self.old_widget_ids = new_node_id, old_node_id, old_widget_ids
        self.input_mapping, self.output_mapping = input_mapping, output_mapping

    def as_dict(self):
        return {
            "new_node_id": self.new_node_id, "old_node_id": self.old_node_id, "old_widget_ids": self.old_widget_ids,
            "input_mapping": list(self.input_mapping) if self.input_mapping else None, "output_mapping": list(self.output_mapping) if self.output_mapping else None,
        }


__all__ = ["InputMap", *(name for name, value in list(globals().items()) if not name.startswith("_") and getattr(value, "__module__", None) == __name__)]
