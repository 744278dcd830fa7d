"""What nodes get: tensors, dictionaries, curves, ranges and videos."""

import io
import math
from abc import ABC, abstractmethod
from typing import Any, TypedDict

from ._types import tensor_type
from ._util import VideoCodec, VideoContainer

CurvePoint = tuple[float, float]


class AudioInput(TypedDict):
    """Sound: waveform [B, C, T]."""

    waveform: Any
    sample_rate: int


class LatentInput(TypedDict):
    """A latent: samples [B, C, H, W]."""

    samples: Any
    noise_mask: Any
    batch_index: Any


def __getattr__(name):
    if name in ("ImageInput", "MaskInput"):
        return tensor_type()
    raise AttributeError(f"module {__name__} has no attribute {name}")


class CurveInput(ABC):
    """A function of [0, 1] that a curve widget draws."""

    @property
    @abstractmethod
    def points(self):
        """The points that the curve goes through."""

    @abstractmethod
    def interp(self, x):
        """Returns the value at x."""

    def interp_array(self, xs):
        import numpy

        return numpy.array([self.interp(float(x)) for x in xs], dtype=numpy.float64)

    def to_lut(self, size=256):
        """Returns the values at size places from 0 to 1."""
        import numpy

        return self.interp_array(numpy.linspace(0.0, 1.0, size))

    @staticmethod
    def from_raw(data):
        """Makes a curve of a list of points, or of a dictionary with points and interpolation."""
        if isinstance(data, CurveInput):
            return data
        kind, points = "monotone_cubic", data
        if isinstance(data, dict):
            kind, points = data.get("interpolation", kind), data["points"]
        if kind not in ("linear", "monotone_cubic"):
            import logging

            logging.warning(f"curves are linear or monotone_cubic, not {kind!r}: the latter is taken")
        return (LinearCurve if kind == "linear" else MonotoneCubicCurve)(points)


class _PointCurve(CurveInput):
    def __init__(self, control_points):
        self._points = sorted(((float(x), float(y)) for x, y in control_points), key=lambda point: point[0])

    @property
    def points(self):
        return list(self._points)

    def interp(self, x):
        """Holds the first value before the first point, and the last after the last."""
        points = self._points
        if not points:
            return 0.0
        if x <= points[0][0]:
            return points[0][1]
        if x >= points[-1][0]:
            return points[-1][1]
        after = next(number for number, point in enumerate(points) if point[0] > x)
        return self.between(after - 1, x)

    def __repr__(self):
        return f"{type(self).__name__}({self._points})"


class LinearCurve(_PointCurve):
    def between(self, number, x):
        (x0, y0), (x1, y1) = self._points[number : number + 2]
        return y0 + (y1 - y0) * (x - x0) / (x1 - x0)


class MonotoneCubicCurve(_PointCurve):
    """Cubic Hermite pieces whose slopes are limited so that no piece overshoots (F. N. Fritsch, R. E. Carlson, 1980)."""

    def __init__(self, control_points):
        super().__init__(control_points)
        points = self._points
        steps = [(y1 - y0) / (x1 - x0) if x1 != x0 else 0.0 for (x0, y0), (x1, y1) in zip(points, points[1:])]
        inner = [0.0 if a * b <= 0 else (a + b) / 2 for a, b in zip(steps, steps[1:])]
        self._slopes = [steps[0], *inner, steps[-1]] if steps else [0.0] * len(points)
        for number, step in enumerate(steps):
            if step == 0:
                self._slopes[number : number + 2] = [0.0, 0.0]
                continue
            a, b = self._slopes[number] / step, self._slopes[number + 1] / step
            if a * a + b * b > 9:
                limit = 3 / math.sqrt(a * a + b * b) * step
                self._slopes[number : number + 2] = [limit * a, limit * b]

    def between(self, number, x):
        (x0, y0), (x1, y1) = self._points[number : number + 2]
        width = x1 - x0
        t = (x - x0) / width
        return (
            (1 + 2 * t) * (1 - t) ** 2 * y0 + t * (1 - t) ** 2 * width * self._slopes[number]
            + t * t * (3 - 2 * t) * y1 + t * t * (t - 1) * width * self._slopes[number + 1]
        )


class RangeInput:
    """Levels: values from min_val to max_val become 0 to 1, and the midpoint, a place within, becomes the middle."""

    def __init__(self, min_val, max_val, midpoint=None):
        self.min_val, self.max_val, self.midpoint = min_val, max_val, midpoint

    @staticmethod
    def from_raw(data):
        if isinstance(data, RangeInput):
            return data
        if not isinstance(data, dict):
            raise TypeError(f"a range is a dictionary with min and max, not {type(data).__name__}")
        middle = data.get("midpoint")
        return RangeInput(float(data.get("min", 0.0)), float(data.get("max", 1.0)), None if middle is None else float(middle))

    def to_lut(self, size=256):
        """Returns what size values from 0 to 1 become."""
        import numpy

        places, width = numpy.linspace(0.0, 1.0, size), self.max_val - self.min_val
        if abs(width) < 1e-10:
            return (places >= self.min_val).astype(numpy.float64)
        out = numpy.clip((places - self.min_val) / width, 0.0, 1.0)
        if self.midpoint is not None and self.midpoint > 0 and self.midpoint != 0.5:
            out = out ** (1 / max(-math.log2(self.midpoint), 0.001))
        return out

    def __repr__(self):
        return f"RangeInput({self.min_val}, {self.max_val}, {self.midpoint})"


class VideoInput(ABC):
    """A video, of a file or of frames."""

    @abstractmethod
    def get_components(self):
        """Returns frames, sound and frame rate."""

    @abstractmethod
    def save_to(self, path, format=VideoContainer.AUTO, codec=VideoCodec.AUTO, metadata=None, bit_depth=None, crf=None, color_space=None):
        """Writes the video to a path or stream."""

    @abstractmethod
    def as_trimmed(self, start_time=None, duration=None, strict_duration=False):
        """Returns a part, in seconds; None for one that is not there whole with strict_duration."""

    def get_color_space(self):
        return "auto"

    def get_stream_source(self):
        stream = io.BytesIO()
        self.save_to(stream)
        stream.seek(0)
        return stream

    def get_active_trim_window(self):
        return 0.0, 0.0

    def get_dimensions(self):
        """Returns width and height."""
        shape = self.get_components().images.shape
        return shape[2], shape[1]

    def get_bit_depth(self):
        return 8

    def get_duration(self):
        components = self.get_components()
        return float(components.images.shape[0] / components.frame_rate)

    def get_frame_count(self):
        return int(self.get_components().images.shape[0])

    def get_frame_rate(self):
        return self.get_components().frame_rate

    def get_container_format(self):
        import av

        with av.open(self.get_stream_source(), mode="r") as container:
            return container.format.name
