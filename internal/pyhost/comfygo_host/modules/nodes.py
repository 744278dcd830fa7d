"""The classes of the packs, and what packs take from ComfyUI's own file of that name."""

import importlib.util
import inspect
import logging
import os
import random
import sys
import traceback

import comfy.model_management
import comfygo_absent
import folder_paths

MAX_RESOLUTION = 16384


class ClassMappings(dict):
    """The classes of the packs; those of comfygo itself can be looked up as well, and say at the call that they take a checkout."""

    def __missing__(self, name):
        entry = comfygo_absent.natives.get(name)
        if entry is None:
            raise KeyError(name)
        return comfygo_absent.absent(f"{entry['info']['python_module']}.{name}")


NODE_CLASS_MAPPINGS = ClassMappings()
NODE_DISPLAY_NAME_MAPPINGS = {}
EXTENSION_WEB_DIRS = {}
LOADED_MODULE_DIRS = {}


def before_node_execution():
    comfy.model_management.throw_exception_if_processing_interrupted()


def interrupt_processing(value=True):
    comfy.model_management.interrupt_current_processing(value)


class SaveImage:
    """Writes images as PNG files; packs derive from it and call save_images."""

    RETURN_TYPES, RETURN_NAMES = ("IMAGE",), ("images",)
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

        from comfy.cli_args import args

        height, width = images[0].shape[:2]
        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(filename_prefix + self.prefix_append, self.output_dir, width, height)
        shown = []
        for number, image in enumerate(images):
            text = PngInfo()
            if not args.disable_metadata:
                for key, value in {**({} if prompt is None else {"prompt": prompt}), **(extra_pnginfo or {})}.items():
                    text.add_text(key, json.dumps(value))
            file = f"{name.replace('%batch_num%', str(number))}_{counter + number:05}_.png"
            pixels = numpy.clip(255.0 * image.cpu().numpy(), 0, 255).astype(numpy.uint8)
            Image.fromarray(pixels).save(os.path.join(folder, file), pnginfo=text, compress_level=self.compress_level)
            shown.append({"filename": file, "subfolder": subfolder, "type": self.type})
        return {"ui": {"images": shown}, "result": (images,)}


def describe_own(natives):
    """Gives the classes of this file what comfygo says of its own of these names, for packs that derive from them."""
    for cls in (SaveImage, PreviewImage):
        info = natives.get(cls.__name__, {"info": {}})["info"]
        for attribute, key in (("DESCRIPTION", "description"), ("SEARCH_ALIASES", "search_aliases"), ("ESSENTIALS_CATEGORY", "essentials_category")):
            if info.get(key):
                setattr(cls, attribute, info[key])


class PreviewImage(SaveImage):
    def __init__(self):
        self.output_dir, self.type = folder_paths.get_temp_directory(), "temp"
        self.prefix_append, self.compress_level = "_temp_" + "".join(random.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(5)), 1

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"images": ("IMAGE",)}, "hidden": {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"}}


async def load_custom_node(path, ignore=frozenset(), module_parent="custom_nodes"):
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
    add_web_folders(name, folder, module)
    if getattr(module, "NODE_CLASS_MAPPINGS", None) is not None:
        for key, cls in module.NODE_CLASS_MAPPINGS.items():
            add_class(name, key, cls, ignore)
        NODE_DISPLAY_NAME_MAPPINGS.update(getattr(module, "NODE_DISPLAY_NAME_MAPPINGS", None) or {})
        return True
    if hasattr(module, "comfy_entrypoint"):
        return await load_extension(name, module.comfy_entrypoint, ignore)
    logging.warning(f"{name} has neither NODE_CLASS_MAPPINGS nor comfy_entrypoint")
    return False


def add_class(name, key, cls, ignore):
    """Registers a class of a pack, unless one of ComfyUI's own has its name."""
    if key not in ignore:
        NODE_CLASS_MAPPINGS[key] = cls
        cls.RELATIVE_PYTHON_MODULE = f"custom_nodes.{name}"


async def load_extension(name, entrypoint, ignore):
    """Registers the classes of a pack of the schema API; False, with a warning in the log, when that fails."""
    from comfy_api.latest import ComfyExtension

    try:
        if not callable(entrypoint):
            raise TypeError("comfy_entrypoint is no function")
        extension = entrypoint()
        if inspect.isawaitable(extension):
            extension = await extension
        if not isinstance(extension, ComfyExtension):
            raise TypeError(f"comfy_entrypoint returned {type(extension).__name__}, not a ComfyExtension")
        await extension.on_load()
        classes = await extension.get_node_list()
        if not isinstance(classes, list):
            raise TypeError(f"get_node_list returned {type(classes).__name__}, not a list")
        for cls in classes:
            schema = cls.GET_SCHEMA()
            add_class(name, schema.node_id, cls, ignore)
            if schema.display_name is not None:
                NODE_DISPLAY_NAME_MAPPINGS[schema.node_id] = schema.display_name
    except Exception:
        logging.warning(f"{name} failed in comfy_entrypoint: {traceback.format_exc()}")
        return False
    return True


def add_web_folders(name, folder, module):
    """Registers what a pack has for browsers: the folder that its pyproject.toml names, and that of WEB_DIRECTORY."""
    project, web = project_web(folder)
    if web and os.path.isdir(os.path.join(folder, web)):
        EXTENSION_WEB_DIRS[project or name] = os.path.abspath(os.path.join(folder, web))
    web = getattr(module, "WEB_DIRECTORY", None)
    if web is not None and os.path.isdir(os.path.join(folder, web)):
        EXTENSION_WEB_DIRS[name] = os.path.abspath(os.path.join(folder, web))


def project_web(folder):
    """Returns the project's name and tool.comfy.web of pyproject.toml; nothing of one that cannot be read, or before Python 3.11."""
    try:
        import tomllib

        with open(os.path.join(folder, "pyproject.toml"), "rb") as f:
            project = tomllib.load(f)
        return project.get("project", {}).get("name"), project.get("tool", {}).get("comfy", {}).get("web")
    except (ImportError, OSError, ValueError, AttributeError):
        return None, None
