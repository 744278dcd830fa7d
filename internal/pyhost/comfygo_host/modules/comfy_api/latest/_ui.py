"""What nodes show to clients, and files that they save for it."""

import io
import json
import os
import random
import string
import uuid

from ._io import FolderType, _UIOutput


class SavedResult(dict):
    """A file that a client can ask for."""

    def __init__(self, filename, subfolder, type):
        super().__init__(filename=filename, subfolder=subfolder, type=type.value)

    filename = property(lambda self: self["filename"])
    subfolder = property(lambda self: self["subfolder"])
    type = property(lambda self: FolderType(self["type"]))


class SavedImages(_UIOutput):
    def __init__(self, results, is_animated=False):
        self.results, self.is_animated = results, is_animated

    def as_dict(self):
        return {"images": self.results, **({"animated": (True,)} if self.is_animated else {})}


class SavedAudios(_UIOutput):
    def __init__(self, results):
        self.results = results

    def as_dict(self):
        return {"audio": self.results}


def hidden_texts(cls):
    """Returns the prompt and the workflow of a call as texts by name, what files carry as metadata."""
    from comfy.cli_args import args

    hidden = getattr(cls, "hidden", None)
    if args.disable_metadata or not hidden:
        return {}
    texts = {} if hidden.prompt is None else {"prompt": json.dumps(hidden.prompt)}
    texts.update({name: json.dumps(value) for name, value in (hidden.extra_pnginfo or {}).items()})
    return texts


def place(filename_prefix, folder_type, *size):
    """Returns folder, name, number and subfolder for new files."""
    import folder_paths

    return folder_paths.get_save_image_path(filename_prefix, folder_paths.get_directory_by_type(FolderType(folder_type).value), *size)[:4]


def _random_prefix():
    return "ComfyUI_temp_" + "".join(random.choice(string.ascii_lowercase) for _ in range(5))


class ImageSaveHelper:
    """Saves images [N, H, W, C] as PNG and WebP files."""

    @staticmethod
    def _convert_tensor_to_pil(image_tensor):
        import numpy
        from PIL import Image

        return Image.fromarray(numpy.clip(255.0 * image_tensor.cpu().numpy(), 0, 255).astype(numpy.uint8))

    @staticmethod
    def _create_png_metadata(cls):
        from PIL.PngImagePlugin import PngInfo

        texts = hidden_texts(cls)
        if not texts:
            return None
        info = PngInfo()
        for name, text in texts.items():
            info.add_text(name, text)
        return info

    @staticmethod
    def _create_animated_png_metadata(cls):
        """Puts the texts behind the frames, where programs that play the file do not trip over them."""
        from PIL.PngImagePlugin import PngInfo

        texts = hidden_texts(cls)
        if not texts:
            return None
        info = PngInfo()
        for name, text in texts.items():
            info.add(b"comf", name.encode("latin-1") + b"\0" + text.encode("latin-1"), after_idat=True)
        return info

    @staticmethod
    def _create_webp_metadata(pil_image, cls):
        """Puts the prompt under the tag Model, and the rest under Make and the tags before it."""
        exif, tag = pil_image.getexif(), 0x010F
        texts = hidden_texts(cls)
        if "prompt" in texts:
            exif[0x0110] = "prompt:" + texts.pop("prompt")
        for name, text in texts.items():
            exif[tag] = f"{name}:{text}"
            tag -= 1
        return exif

    @staticmethod
    def save_images(images, filename_prefix, folder_type, cls, compress_level=4):
        height, width = images[0].shape[:2]
        folder, name, counter, subfolder = place(filename_prefix, folder_type, width, height)
        info = ImageSaveHelper._create_png_metadata(cls)
        results = []
        for number, image in enumerate(images):
            file = f"{name.replace('%batch_num%', str(number))}_{counter + number:05}_.png"
            ImageSaveHelper._convert_tensor_to_pil(image).save(os.path.join(folder, file), pnginfo=info, compress_level=compress_level)
            results.append(SavedResult(file, subfolder, folder_type))
        return results

    @staticmethod
    def get_save_images_ui(images, filename_prefix, cls, compress_level=4):
        return SavedImages(ImageSaveHelper.save_images(images, filename_prefix, FolderType.output, cls, compress_level))

    @staticmethod
    def _save_animation(images, filename_prefix, folder_type, extension, fps, **options):
        height, width = images[0].shape[:2]
        folder, name, counter, subfolder = place(filename_prefix, folder_type, width, height)
        frames = [ImageSaveHelper._convert_tensor_to_pil(image) for image in images]
        file = f"{name}_{counter:05}_.{extension}"
        options = {key: value(frames[0]) if callable(value) else value for key, value in options.items()}
        frames[0].save(os.path.join(folder, file), save_all=True, append_images=frames[1:], duration=int(1000.0 / fps), **options)
        return SavedResult(file, subfolder, folder_type)

    @staticmethod
    def save_animated_png(images, filename_prefix, folder_type, cls, fps, compress_level):
        info = ImageSaveHelper._create_animated_png_metadata(cls)
        return ImageSaveHelper._save_animation(images, filename_prefix, folder_type, "png", fps, pnginfo=info, compress_level=compress_level)

    @staticmethod
    def get_save_animated_png_ui(images, filename_prefix, cls, fps, compress_level):
        return SavedImages([ImageSaveHelper.save_animated_png(images, filename_prefix, FolderType.output, cls, fps, compress_level)], len(images) > 1)

    @staticmethod
    def save_animated_webp(images, filename_prefix, folder_type, cls, fps, lossless, quality, method):
        def exif(frame):
            return ImageSaveHelper._create_webp_metadata(frame, cls)

        return ImageSaveHelper._save_animation(images, filename_prefix, folder_type, "webp", fps, exif=exif, lossless=lossless, quality=quality, method=method)

    @staticmethod
    def get_save_animated_webp_ui(images, filename_prefix, cls, fps, lossless, quality, method):
        return SavedImages([ImageSaveHelper.save_animated_webp(images, filename_prefix, FolderType.output, cls, fps, lossless, quality, method)], len(images) > 1)


class AudioSaveHelper:
    """Saves sound [B, C, T] as FLAC, MP3 and Opus files; takes PyAV."""

    _OPUS_RATES = [8000, 12000, 16000, 24000, 48000]
    _FORMATS = {"flac": "flac", "mp3": "libmp3lame", "opus": "libopus"}
    _BIT_RATES = {"opus": (64, 96, 128, 192, 320), "mp3": (128, 320), "flac": ()}

    @staticmethod
    def save_audio(audio, filename_prefix, folder_type, cls, format="flac", quality="128k"):
        if format not in AudioSaveHelper._FORMATS:
            raise ValueError(f"sound is saved as {', '.join(sorted(AudioSaveHelper._FORMATS))}, not as {format!r}")
        folder, name, counter, subfolder = place(filename_prefix, folder_type)
        texts, results = hidden_texts(cls), []
        for number, waveform in enumerate(audio["waveform"].cpu()):
            file = f"{name.replace('%batch_num%', str(number))}_{counter + number:05}.{format}"
            data = AudioSaveHelper._encode(waveform, audio["sample_rate"], format, quality, texts)
            with open(os.path.join(folder, file), "wb") as f:
                f.write(data)
            results.append(SavedResult(file, subfolder, folder_type))
        return results

    @staticmethod
    def _encode(waveform, rate, format, quality, texts):
        """Returns the bytes of a file with one sound [C, T]."""
        import av

        if format == "opus":
            wanted = next((known for known in AudioSaveHelper._OPUS_RATES if known >= rate), AudioSaveHelper._OPUS_RATES[-1])
            if wanted != rate:
                import torchaudio

                waveform, rate = torchaudio.functional.resample(waveform, rate, wanted), wanted
        layout, out = "mono" if waveform.shape[0] == 1 else "stereo", io.BytesIO()
        with av.open(out, mode="w", format=format) as container:
            container.metadata.update(texts)
            stream = container.add_stream(AudioSaveHelper._FORMATS[format], rate=rate, layout=layout)
            if format == "mp3" and quality == "V0":
                stream.codec_context.qscale = 1
            elif quality in [f"{known}k" for known in AudioSaveHelper._BIT_RATES[format]]:
                stream.bit_rate = int(quality[:-1]) * 1000
            frame = av.AudioFrame.from_ndarray(waveform.movedim(0, 1).reshape(1, -1).float().numpy(), format="flt", layout=layout)
            frame.sample_rate, frame.pts = rate, 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return out.getvalue()

    @staticmethod
    def get_save_audio_ui(audio, filename_prefix, cls, format="flac", quality="128k"):
        return SavedAudios(AudioSaveHelper.save_audio(audio, filename_prefix, FolderType.output, cls, format, quality))


class PreviewImage(_UIOutput):
    def __init__(self, image, animated=False, cls=None, **kwargs):
        self.values = ImageSaveHelper.save_images(image, _random_prefix(), FolderType.temp, cls, compress_level=1)
        self.animated = animated

    def as_dict(self):
        return {"images": self.values, "animated": (self.animated,)}


class PreviewMask(PreviewImage):
    def __init__(self, mask, animated=False, cls=None, **kwargs):
        super().__init__(mask.reshape((-1, mask.shape[-2], mask.shape[-1], 1)).expand(-1, -1, -1, 3), animated, cls, **kwargs)


class PreviewAudio(_UIOutput):
    def __init__(self, audio, cls=None, **kwargs):
        self.values = AudioSaveHelper.save_audio(audio, _random_prefix(), FolderType.temp, cls)

    def as_dict(self):
        return {"audio": self.values}


class PreviewVideo(_UIOutput):
    def __init__(self, values, **kwargs):
        self.values = values

    def as_dict(self):
        return {"images": self.values, "animated": (True,)}


class PreviewUI3D(_UIOutput):
    """A 3D model, with an image [1, H, W, 3] behind it as bg_image."""

    def __init__(self, model_file, camera_info, **kwargs):
        import folder_paths

        self.model_file, self.camera_info, self.bg_image_path = model_file, camera_info, None
        behind = kwargs.get("bg_image")
        if behind is not None:
            file = f"bg_{uuid.uuid4().hex}.png"
            ImageSaveHelper._convert_tensor_to_pil(behind[0]).save(os.path.join(folder_paths.get_temp_directory(), file), compress_level=1)
            self.bg_image_path = f"temp/{file}"

    def as_dict(self):
        return {"result": [self.model_file, self.camera_info, self.bg_image_path]}


class PreviewUI3DAdvanced(_UIOutput):
    def __init__(self, model_file, camera_info, model_3d_info):
        self.values = [model_file, camera_info, model_3d_info]

    def as_dict(self):
        return {"result": self.values}


class PreviewText(_UIOutput):
    def __init__(self, value, **kwargs):
        self.value = value

    def as_dict(self):
        return {"text": (self.value,)}


__all__ = [
    "SavedResult", "SavedImages", "SavedAudios", "ImageSaveHelper", "AudioSaveHelper", "PreviewImage", "PreviewMask", "PreviewAudio", "PreviewVideo",
    "PreviewUI3D", "PreviewUI3DAdvanced", "PreviewText",
]
