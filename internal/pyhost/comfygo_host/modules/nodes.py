"""The classes of the packs, and what packs take from ComfyUI's own file of that name."""

import importlib.util
import inspect
import logging
import os
import random
import sys
import traceback

import comfy.model_management
import folder_paths

MAX_RESOLUTION = 16384
NODE_CLASS_MAPPINGS = {}
NODE_DISPLAY_NAME_MAPPINGS = {}
EXTENSION_WEB_DIRS = {}
LOADED_MODULE_DIRS = {}


def before_node_execution():
    comfy.model_management.throw_exception_if_processing_interrupted()


def interrupt_processing(value=True):
    comfy.model_management.interrupt_current_processing(value)


class SaveImage:
    """Writes images as PNG files; packs derive from it and call save_images."""

    RETURN_TYPES = ()
    FUNCTION = "save_images"
    OUTPUT_NODE = True
    CATEGORY = "image"

    def __init__(self):
        self.output_dir, self.type = folder_paths.get_output_directory(), "output"
        self.prefix_append, self.compress_level = "", 4

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"images": ("IMAGE",), "filename_prefix": ("STRING", {"default": "ComfyUI"})}, "hidden": {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"}}

    def save_images(self, images, filename_prefix="ComfyUI", prompt=None, extra_pnginfo=None):
        import json

        import numpy
        from PIL import Image
        from PIL.PngImagePlugin import PngInfo

        height, width = images[0].shape[:2]
        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(filename_prefix + self.prefix_append, self.output_dir, width, height)
        shown = []
        for number, image in enumerate(images):
            text = PngInfo()
            for key, value in {**({} if prompt is None else {"prompt": prompt}), **(extra_pnginfo or {})}.items():
                text.add_text(key, json.dumps(value))
            file = f"{name.replace('%batch_num%', str(number))}_{counter + number:05}_.png"
            pixels = numpy.clip(255.0 * image.cpu().numpy(), 0, 255).astype(numpy.uint8)
            Image.fromarray(pixels).save(os.path.join(folder, file), pnginfo=text, compress_level=self.compress_level)
            shown.append({"filename": file, "subfolder": subfolder, "type": self.type})
        return {"ui": {"images": shown}}


class PreviewImage(SaveImage):
    def __init__(self):
        self.output_dir, self.type = folder_paths.get_temp_directory(), "temp"
        self.prefix_append, self.compress_level = "_temp_" + "".join(random.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(5)), 1

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"images": ("IMAGE",)}, "hidden": {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"}}


def load_custom_node(path, ignore=frozenset()):
    """Imports a pack; False, with a warning in the log, when that fails."""
    name = os.path.basename(path)
    module_name, folder, file = path.replace(".", "_x_"), path, os.path.join(path, "__init__.py")
    if os.path.isfile(path):
        name = os.path.splitext(name)[0]
        module_name, folder, file = os.path.splitext(path)[0], os.path.dirname(path), path
    try:
        spec = importlib.util.spec_from_file_location(module_name, file)
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        spec.loader.exec_module(module)
    except Exception as error:
        logging.warning(traceback.format_exc())
        if isinstance(error, ModuleNotFoundError):
            logging.warning(f"{name} needs the Python package {error.name}: install it, or the pack's requirements.txt, for {sys.executable}; "
                            "what belongs to ComfyUI itself takes a checkout (--comfyui DIR)")
        return False
    LOADED_MODULE_DIRS[name] = os.path.abspath(folder)
    web = getattr(module, "WEB_DIRECTORY", None)
    if web is not None and os.path.isdir(os.path.join(folder, web)):
        EXTENSION_WEB_DIRS[name] = os.path.abspath(os.path.join(folder, web))
    classes = getattr(module, "NODE_CLASS_MAPPINGS", None)
    if classes is None:
        if inspect.isroutine(getattr(module, "comfy_entrypoint", None)):
            logging.warning(f"{name} uses comfy_api.latest, which takes a ComfyUI checkout: start comfygo with --comfyui DIR")
        else:
            logging.warning(f"{name} has neither NODE_CLASS_MAPPINGS nor comfy_entrypoint")
        return False
    for key, cls in classes.items():
        if key not in ignore:
            NODE_CLASS_MAPPINGS[key] = cls
            cls.RELATIVE_PYTHON_MODULE = f"custom_nodes.{name}"
    NODE_DISPLAY_NAME_MAPPINGS.update(getattr(module, "NODE_DISPLAY_NAME_MAPPINGS", None) or {})
    return True
