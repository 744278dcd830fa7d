"""Values of videos, meshes, splats, vector images and files that nodes pass on."""

import io
import os
import shutil
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any


class _Choices(str, Enum):
    @classmethod
    def as_input(cls):
        return [choice.value for choice in cls]


class VideoCodec(_Choices):
    AUTO = "auto"
    H264 = "h264"
    AV1 = "av1"


class VideoContainer(_Choices):
    AUTO = "auto"
    MP4 = "mp4"
    MKV = "mkv"
    WEBM = "webm"

    @classmethod
    def get_extension(cls, value):
        value = cls(value)
        return "mp4" if value == cls.AUTO else value.value


@dataclass
class VideoComponents:
    """The frames of a video [N, H, W, 3], its sound and what else is known of it."""

    images: Any
    frame_rate: Fraction
    audio: Any = None
    metadata: Any = None
    alpha: Any = None


class VOXEL:
    def __init__(self, data, voxel_colors=None, resolution=None):
        self.data, self.voxel_colors, self.resolution = data, voxel_colors, resolution


class SPLAT:
    """Gaussians [B, N, ...], padded to the greatest count: centres, deviations, quaternions (w first), opacities, spherical harmonics [B, N, K, 3]."""

    def __init__(self, positions, scales, rotations, opacities, sh, counts=None):
        self.positions, self.scales, self.rotations, self.opacities, self.sh, self.counts = positions, scales, rotations, opacities, sh, counts


class MESH:
    """Triangles: vertices [B, N, 3], faces [B, M, 3], and what a material has; counts where the batch is padded."""

    def __init__(
        self, vertices, faces, uvs=None, vertex_colors=None, texture=None, metallic_roughness=None, vertex_counts=None, face_counts=None, unlit=False,
        normals=None, tangents=None, normal_map=None, occlusion_in_mr=False, material=None, emissive=None,
    ):
        if (vertex_counts is None) != (face_counts is None):
            raise AssertionError("vertex_counts and face_counts go together")
        self.vertices, self.faces, self.uvs, self.vertex_colors, self.texture = vertices, faces, uvs, vertex_colors, texture
        self.metallic_roughness, self.vertex_counts, self.face_counts, self.unlit = metallic_roughness, vertex_counts, face_counts, unlit
        self.normals, self.tangents, self.normal_map, self.occlusion_in_mr = normals, tangents, normal_map, occlusion_in_mr
        self.material, self.emissive = material, emissive


class SVG:
    """Vector images, each as a stream of its text."""

    def __init__(self, data):
        self.data = data

    def combine(self, other):
        return SVG(self.data + other.data)

    @staticmethod
    def combine_all(svgs):
        return SVG([stream for svg in svgs for stream in svg.data])


class File3D:
    """A file of a 3D model, by its path or as a stream."""

    def __init__(self, source, file_format=""):
        self._source = source
        self._format = file_format or (Path(source).suffix.lstrip(".").lower() if isinstance(source, str) else "")

    @property
    def format(self):
        return self._format

    @format.setter
    def format(self, value):
        self._format = value.lstrip(".").lower() if value else ""

    @property
    def is_disk_backed(self):
        return isinstance(self._source, str)

    def get_source(self):
        if not self.is_disk_backed and hasattr(self._source, "seek"):
            self._source.seek(0)
        return self._source

    def get_bytes(self):
        source = self.get_source()
        return Path(source).read_bytes() if self.is_disk_backed else source.read()

    def get_data(self):
        source = self.get_source()
        return source if isinstance(source, io.BytesIO) else io.BytesIO(self.get_bytes())

    def save_to(self, path):
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        if not self.is_disk_backed:
            Path(path).write_bytes(self.get_bytes())
        elif os.path.realpath(self._source) != os.path.realpath(path):
            shutil.copy2(self._source, path)
        return str(Path(path))

    def __repr__(self):
        return f"File3D({self._source if self.is_disk_backed else 'stream'!r}, format={self._format!r})"
