"""The types of links: their widgets, and what their values are."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, Literal, TypedDict

from comfy_api.internal import classproperty, is_class

from ._io_inputs import (
    BARE, HEAD, PACKS_NAME, REQUIRED, TAIL, ComfyTypeI, ComfyTypeIO, Input, Output, WidgetInput, _ComfyType, _plain, _widget, comfytype, parameters, same, shown,
)
from ._types import tensor_type
from ._util import MESH, SPLAT, VOXEL, File3D
from ._util import SVG as SVGImage


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
    return comfytype(io_type)(type(name, (_Tensor, ComfyTypeIO), {"__module__": PACKS_NAME}))


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
