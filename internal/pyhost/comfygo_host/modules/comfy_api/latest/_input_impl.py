"""Videos of files and of frames; both take PyAV when they are used."""

import io
import itertools
import json
import logging
import math
import os
from fractions import Fraction

from ._input import VideoInput
from ._util import VideoCodec, VideoComponents, VideoContainer

ENCODERS = {VideoCodec.H264: "h264", VideoCodec.AV1: "libsvtav1"}
FORMATS = {VideoContainer.MP4: "mp4", VideoContainer.MKV: "matroska", VideoContainer.WEBM: "webm"}
BY_ENDING = {".mkv": VideoContainer.MKV, ".webm": VideoContainer.WEBM}
USUAL_CODECS = {VideoContainer.WEBM: VideoCodec.AV1}  # of containers that take one alone
IN_WEBM = {"video": ("av1", "vp8", "vp9"), "audio": ("opus", "vorbis"), "subtitle": ("webvtt",)}
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}
# Primaries, transfer and matrix as ITU-T H.273 numbers them; the range of values is that of television.
COLORS = {"sRGB": (1, 13, 1), "HDR": (9, 18, 9), "HDR PQ": (9, 16, 9)}
TRANSFERS = {1: "sRGB", 13: "sRGB", 18: "HDR", 16: "HDR PQ"}
WHOLE_RANGE, TELEVISION = 2, 1
EIGHT_BITS = ("yuvj420p", "yuvj422p", "yuvj444p", "rgb24", "rgba", "pal8")  # decoded to bytes, which are exact for them


def output_of(path, format, codec):
    """Returns container and codec for a file, and what PyAV opens it with."""
    format, codec, named = VideoContainer(format), VideoCodec(codec), isinstance(path, (str, os.PathLike))
    if format == VideoContainer.AUTO:
        ending = os.path.splitext(path)[1].lower() if named else ""
        format = BY_ENDING.get(ending, VideoContainer.MP4)
    usual = USUAL_CODECS.get(format, VideoCodec.H264)
    codec = usual if codec == VideoCodec.AUTO else codec
    if format in USUAL_CODECS and codec != usual:
        raise ValueError(f"a {format.value} file takes the codec {usual.value}")
    options = {"mode": "w", "format": FORMATS[format]}
    if format == VideoContainer.MP4:
        options["options"] = {"movflags": "use_metadata_tags+faststart" if named else "use_metadata_tags"}
    return format, codec, options


def check_colors(color_space):
    if color_space is not None and color_space not in COLORS:
        raise ValueError(f"the colors of a video are {', '.join(COLORS)}, not {color_space!r}")


def set_colors(target, color_space):
    target.color_primaries, target.color_trc, target.colorspace = COLORS[color_space]
    target.color_range = TELEVISION


def write_metadata(output, *sources):
    for source in sources:
        for name, value in (source or {}).items():
            output.metadata[name] = value if isinstance(value, str) else json.dumps(value)


def encode(path, components, format, codec, metadata, bit_depth, crf, color_space):
    """Writes frames [N, H, W, 3] in 0 to 1, and sound, to a path or stream."""
    import av
    import numpy

    format, codec, options = output_of(path, format, codec)
    deep = bit_depth >= 10 or color_space != "sRGB"
    rate = Fraction(round(components.frame_rate * 1000), 1000)
    with av.open(path, **options) as output:
        write_metadata(output, *metadata)
        stream = output.add_stream(ENCODERS[codec], rate=rate)
        stream.height, stream.width = components.images.shape[1:3]
        stream.pix_fmt = "yuv420p10le" if deep else "yuv420p"
        if crf is not None:
            stream.options = {"svtav1-params": "lossless=1"} if codec == VideoCodec.AV1 and crf == 0 else {"crf": str(crf)}
        set_colors(stream.codec_context, color_space)
        sound = Sound(output, components, format, rate) if components.audio else None
        for image in components.images:
            if deep:
                frame = av.VideoFrame.from_ndarray((image.float() * 65535).clamp(0, 65535).cpu().numpy().astype(numpy.uint16), format="rgb48le")
            else:
                frame = av.VideoFrame.from_ndarray((image * 255).clamp(0, 255).byte().cpu().numpy(), format="rgb24")
            frame = frame.reformat(format=stream.pix_fmt, dst_colorspace=COLORS[color_space][2])
            set_colors(frame, color_space)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if sound is not None:
            sound.write()


class Sound:
    """The sound of a file that is written, as long as its frames."""

    def __init__(self, output, components, format, rate):
        self.output, self.rate = output, int(components.audio["sample_rate"])
        self.waveform = components.audio["waveform"][0, :, : math.ceil(self.rate / rate * components.images.shape[0])]
        self.layout = LAYOUTS.get(self.waveform.shape[0], "stereo")
        webm = format == VideoContainer.WEBM
        self.wanted = 48000 if webm else self.rate
        self.stream = output.add_stream("libopus" if webm else "aac", rate=self.wanted, layout=self.layout)

    def write(self):
        import av

        frame = av.AudioFrame.from_ndarray(self.waveform.float().cpu().contiguous().numpy(), format="fltp", layout=self.layout)
        frame.sample_rate, frame.pts = self.rate, 0
        frames = [frame]
        if self.wanted != self.rate:
            resampler = av.audio.resampler.AudioResampler(format="fltp", layout=self.layout, rate=self.wanted)
            frames = [*resampler.resample(frame), *resampler.resample(None)]
        for frame in frames:
            self.output.mux(self.stream.encode(frame))
        self.output.mux(self.stream.encode(None))


class VideoFromFile(VideoInput):
    """A video of a file or stream, of which a part may be taken; a negative start counts from the end."""

    def __init__(self, file, *, start_time=0, duration=0):
        self._file, self._start, self._length = file, start_time, duration

    def _open(self):
        import av

        return av.open(self.get_stream_source(), mode="r")

    def _video(self, container):
        if not container.streams.video:
            raise ValueError(f"there is no video in {self._file!r}")
        return container.streams.video[0]

    def get_stream_source(self):
        if isinstance(self._file, io.BytesIO):
            self._file.seek(0)
        return self._file

    def get_active_trim_window(self):
        start = self._start if self._start >= 0 else max(self._whole_duration() + self._start, 0.0)
        return float(start), float(self._length)

    def get_dimensions(self):
        with self._open() as container:
            stream = self._video(container)
            return stream.width, stream.height

    def get_bit_depth(self):
        with self._open() as container:
            return depth_of(container)

    def get_color_space(self):
        with self._open() as container:
            return colors_of(container) or "sRGB"

    def get_container_format(self):
        with self._open() as container:
            return container.format.name

    def get_frame_rate(self):
        with self._open() as container:
            return rate_of(self._video(container), container)

    def _left(self, whole):
        """Returns how many seconds there are from the start of the part."""
        return min(whole, -self._start) if self._start < 0 else whole - self._start

    def get_duration(self):
        left = self._left(self._whole_duration())
        return min(self._length, left) if self._length else left

    def _whole_duration(self):
        import av

        with self._open() as container:
            if container.duration is not None:
                return float(container.duration / av.time_base)
            stream = self._video(container)
            count = stream.frames or sum(1 for _ in container.decode(stream))
            if not count or not stream.average_rate:
                raise ValueError(f"{self._file!r} does not tell how long it is")
            return float(count / stream.average_rate)

    def get_frame_count(self):
        with self._open() as container:
            stream = self._video(container)
            if stream.frames > 0 and not self._start and not self._length:
                return int(stream.frames)
            if stream.duration is not None and stream.average_rate:
                left = self._left(float(stream.duration * stream.time_base))
                count = round((min(self._length, left) if self._length else left) * float(stream.average_rate))
                if count > 0:
                    return int(count)
        return int(self.get_components().images.shape[0])

    def get_components(self):
        with self._open() as container:
            stream = self._video(container)
            start, length = self.get_active_trim_window()
            reader = Frames(stream, start, length)
            sound = Samples(container, start, length)
            if reader.first:
                container.seek(reader.first, stream=stream)
            for packet in container.demux(*(s for s in (stream, sound.stream) if s is not None)):
                (reader if packet.stream == stream else sound).take(packet)
                if reader.done and sound.done:
                    break
            images, alpha = reader.result()
            rate = Fraction(stream.average_rate) if stream.average_rate else Fraction(1)
            return VideoComponents(images=images, alpha=alpha, audio=sound.result(), frame_rate=rate, metadata=dict(container.metadata))

    def save_to(self, path, format=VideoContainer.AUTO, codec=VideoCodec.AUTO, metadata=None, bit_depth=None, crf=None, color_space=None):
        """Copies the streams where they fit; else decodes and encodes the part, at a constant frame rate."""
        check_colors(color_space)
        wanted, encoder, _ = output_of(path, format, codec)
        with self._open() as container:
            own = colors_of(container)
            if own is not None and color_space is not None and own != color_space:
                raise ValueError(f"the video has the colors {own}: it cannot be saved as {color_space}")
            depth, kept = depth_of(container), dict(container.metadata)
            if crf is None and color_space is None and not self._start and not self._length and copies(container, format, wanted, codec, bit_depth):
                return copy_streams(container, path, format, metadata)
        if own not in (None, "sRGB"):
            raise RuntimeError(f"encoding a video with the colors {own} takes a ComfyUI checkout: start comfygo with --comfyui DIR")
        components = self.get_components()
        height, width = components.images.shape[1:3]
        if not len(components.images):
            raise ValueError(f"no frame of {self._file!r} can be decoded")
        if width % 2 or height % 2:
            raise ValueError(f"{encoder.value} takes even sizes, and the video has {width}x{height}")
        return encode(path, components, format, codec, (kept, metadata), depth if bit_depth is None else bit_depth, crf, color_space or "sRGB")

    def as_trimmed(self, start_time=0, duration=0, strict_duration=True):
        part = VideoFromFile(self.get_stream_source(), start_time=start_time + self._start, duration=duration)
        return None if strict_duration and part.get_duration() < duration else part


def depth_of(container):
    stream = next(iter(container.streams.video), None)
    parts = stream.format.components if stream is not None and stream.format is not None else ()
    return max((part.bits for part in parts), default=8)


def colors_of(container):
    stream = next(iter(container.streams.video), None)
    return None if stream is None else TRANSFERS.get(int(stream.color_trc or 0))


def rate_of(stream, container):
    import av

    if stream.average_rate:
        return Fraction(stream.average_rate)
    if stream.frames and container.duration:
        return Fraction(stream.frames / float(container.duration / av.time_base)).limit_denominator()
    return Fraction(1)


def copies(container, format, wanted, codec, bit_depth):
    """Reports whether the streams of a container go into the wanted one as they are."""
    if VideoContainer(format) != VideoContainer.AUTO and FORMATS[wanted] not in container.format.name.split(","):
        return False
    if wanted == VideoContainer.WEBM:
        for stream in container.streams:
            if stream.type in IN_WEBM and stream.codec_context is not None and stream.codec.canonical_name not in IN_WEBM[stream.type]:
                return False
    video = next(iter(container.streams.video), None)
    if video is None:
        return True
    return VideoCodec(codec).value in ("auto", video.codec.canonical_name) and bit_depth in (None, depth_of(container))


def copy_streams(container, path, format, metadata):
    """Writes the packets of a container into another file."""
    import av

    options = {"mode": "w"}
    named = isinstance(path, (str, os.PathLike))
    if not named:
        known = container.format.name.split(",")[0]
        options["format"] = known if VideoContainer(format) == VideoContainer.AUTO else FORMATS[VideoContainer(format)]
    if (os.path.splitext(os.fspath(path))[1].lower().lstrip(".") if named else options["format"]) in ("mov", "mp4"):
        options["options"] = {"movflags": "use_metadata_tags+faststart" if named else "use_metadata_tags"}
    with av.open(path, **options) as output:
        write_metadata(output, container.metadata, metadata)
        streams = {}
        for stream in container.streams:
            if stream.type in ("video", "audio", "subtitle") and stream.codec_context is not None:
                streams[stream] = output.add_stream_from_template(template=stream, opaque=True)
        for packet in container.demux():
            if packet.stream in streams and packet.dts is not None:
                packet.stream = streams[packet.stream]
                output.mux(packet)


class Frames:
    """Decodes the frames of a part."""

    def __init__(self, stream, start, length):
        self.first, self.last = int(start / stream.time_base), int((start + length) / stream.time_base) if length else None
        self.done, self.frames, self.format, self.time_base, self.graph = False, [], None, stream.time_base, None

    def take(self, packet):
        import av
        import numpy
        import torch

        if self.done:
            return
        try:
            for frame in packet.decode():
                if frame.pts < self.first:
                    continue
                if self.last is not None and frame.pts >= self.last:
                    self.done = True
                    return
                if self.format is None:
                    self.alpha = frame.format.name == "pal8" or any(part.is_alpha for part in frame.format.components)
                    self.bytes = frame.format.name in EIGHT_BITS
                    self.format = ("rgba" if self.alpha else "rgb24") if self.bytes else ("gbrapf32le" if self.alpha else "gbrpf32le")
                pixels = frame.to_ndarray(format=self.format) if self.bytes or frame.width % 32 == 0 else self.padded(frame)
                if frame.rotation:
                    pixels = numpy.rot90(pixels, k=round(frame.rotation // 90), axes=(0, 1)).copy()
                self.frames.append(torch.from_numpy(pixels))
        except av.error.InvalidDataError:
            logging.info("a packet of the video cannot be decoded")

    def padded(self, frame):
        """Converts a frame whose width FFmpeg's fast paths do not take: padded with its border to a multiple of 32, then cut."""
        import av
        import numpy

        if self.graph is None:
            width, height = (frame.width + 31) // 32 * 32, (frame.height + 31) // 32 * 32
            graph = av.filter.Graph()
            steps = [
                graph.add_buffer(width=frame.width, height=frame.height, format=frame.format.name, time_base=self.time_base),
                graph.add("pad", f"{width}:{height}:0:0"),
                graph.add("fillborders", f"left=0:right={width - frame.width}:top=0:bottom={height - frame.height}:mode=smear"),
                graph.add("buffersink"),
            ]
            for before, after in itertools.pairwise(steps):
                before.link_to(after)
            graph.configure()
            self.graph = graph, steps[0], steps[-1]
        self.graph[1].push(frame)
        return numpy.ascontiguousarray(self.graph[2].pull().to_ndarray(format=self.format)[: frame.height, : frame.width])

    def result(self):
        """Returns images [N, H, W, 3] and alpha [N, H, W, 1], None for a video without."""
        import torch

        if not self.frames:
            return torch.zeros(0, 0, 0, 3), None
        whole = torch.stack(self.frames)
        if self.bytes:
            whole = whole.float() / 255.0
        return (whole[..., :-1], whole[..., -1:]) if self.alpha else (whole, None)


class Samples:
    """Decodes the sound of a part; a stream that FFmpeg has no decoder for is left out."""

    def __init__(self, container, start, length):
        self.stream = next((s for s in reversed(container.streams.audio) if s.codec_context is not None), None)
        self.start, self.length, self.parts, self.begun = start, length, [], False
        self.done, self.resampler = self.stream is None, None

    def take(self, packet):
        import av

        if self.done:
            return
        if self.resampler is None:
            self.resampler = av.audio.resampler.AudioResampler(format="fltp")
        for frame in itertools.chain.from_iterable(map(self.resampler.resample, packet.decode())):
            if self.length and frame.time > self.start + self.length:
                self.done = True
                return
            skip = 0
            if not self.begun:
                skip = max(0, int((self.start - frame.pts * self.stream.time_base) * self.stream.sample_rate))
                if skip >= frame.samples:
                    continue
                self.begun = True
            self.parts.append(frame.to_ndarray()[..., skip:])

    def result(self):
        """Returns the waveform [1, C, T] and its rate, None without sound."""
        import numpy
        import torch

        if not self.parts:
            return None
        data = numpy.concatenate(self.parts, axis=1)
        if self.length:
            data = data[..., : int(self.length * self.stream.sample_rate)]
        return {"waveform": torch.from_numpy(data).unsqueeze(0), "sample_rate": int(self.stream.sample_rate or 1)}


class VideoFromComponents(VideoInput):
    """A video of frames and sound, encoded when it is saved."""

    def __init__(self, components, bit_depth=8):
        self._components, self._depth = components, bit_depth

    def get_components(self):
        own = self._components
        return VideoComponents(images=own.images, audio=own.audio, frame_rate=own.frame_rate)

    def get_bit_depth(self):
        return self._depth

    def get_color_space(self):
        return "sRGB"

    def save_to(self, path, format=VideoContainer.AUTO, codec=VideoCodec.AUTO, metadata=None, bit_depth=None, crf=None, color_space=None):
        check_colors(color_space)
        texts = {name: json.dumps(value) for name, value in (metadata or {}).items()}
        encode(path, self._components, format, codec, (texts,), self._depth if bit_depth is None else bit_depth, crf, color_space or "sRGB")

    def as_trimmed(self, start_time=None, duration=None, strict_duration=True):
        start_time, duration = start_time or 0, duration or 0
        if self.get_duration() < start_time + duration:
            return None
        return VideoFromFile(self.get_stream_source(), start_time=start_time, duration=duration)
