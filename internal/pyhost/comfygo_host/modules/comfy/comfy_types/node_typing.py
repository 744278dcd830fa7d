"""Types for the declarations of nodes."""

from abc import ABC
from enum import Enum
from typing import Any, Dict, TypedDict


class StrEnum(str, Enum):
    def __str__(self):
        return self.value


class IO(StrEnum):
    """Names of link types."""

    STRING = "STRING"
    IMAGE = "IMAGE"
    MASK = "MASK"
    LATENT = "LATENT"
    BOOLEAN = "BOOLEAN"
    INT = "INT"
    FLOAT = "FLOAT"
    COMBO = "COMBO"
    CONDITIONING = "CONDITIONING"
    SAMPLER = "SAMPLER"
    SIGMAS = "SIGMAS"
    GUIDER = "GUIDER"
    NOISE = "NOISE"
    CLIP = "CLIP"
    CONTROL_NET = "CONTROL_NET"
    VAE = "VAE"
    MODEL = "MODEL"
    LORA_MODEL = "LORA_MODEL"
    LOSS_MAP = "LOSS_MAP"
    CLIP_VISION = "CLIP_VISION"
    CLIP_VISION_OUTPUT = "CLIP_VISION_OUTPUT"
    STYLE_MODEL = "STYLE_MODEL"
    GLIGEN = "GLIGEN"
    UPSCALE_MODEL = "UPSCALE_MODEL"
    AUDIO = "AUDIO"
    WEBCAM = "WEBCAM"
    POINT = "POINT"
    FACE_ANALYSIS = "FACE_ANALYSIS"
    BBOX = "BBOX"
    SEGS = "SEGS"
    VIDEO = "VIDEO"
    ANY = "*"
    NUMBER = "FLOAT,INT"
    PRIMITIVE = "STRING,FLOAT,INT,BOOLEAN"

    def __ne__(self, other):
        if self == "*" or other == "*":
            return False
        if not isinstance(other, str):
            return True
        wanted = frozenset(other.split(","))
        return not frozenset(self.split(",")) <= wanted

    def __eq__(self, other):
        return str.__eq__(self, other)

    __hash__ = str.__hash__


class InputTypeOptions(TypedDict, total=False):
    default: Any
    min: float
    max: float
    step: float
    tooltip: str
    lazy: bool


InputTypeDict = Dict[str, Any]


class ComfyNodeABC(ABC):
    """A node of the first API."""

    DESCRIPTION: str
    CATEGORY: str
    RETURN_TYPES: tuple
    FUNCTION: str


class CheckLazyMixin:
    """Asks for every lazy input that has no value yet."""

    def check_lazy_status(self, **kwargs):
        return [name for name in kwargs if kwargs[name] is None]


class FileLocator(TypedDict):
    filename: str
    subfolder: str
    type: str
