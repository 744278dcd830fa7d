"""What takes the place of those parts of ComfyUI that only a checkout has, so that packs can be imported and their other classes run.

Everything here can be imported, looked into and derived from. Calling it, or making an object of it, says what is missing.
"""

import importlib.abc
import importlib.machinery
import sys
import types

PACKAGES = ("comfy", "comfy_extras", "comfy_api_nodes", "comfy_execution", "latent_preview", "execution", "api_server")


# What a node class may have; one that derives from an absent class does not have it from there.
HOOKS = frozenset((
    "INPUT_IS_LIST", "OUTPUT_IS_LIST", "RETURN_NAMES", "DESCRIPTION", "OUTPUT_TOOLTIPS", "OUTPUT_NODE", "DEPRECATED", "EXPERIMENTAL", "DEV_ONLY", "API_NODE",
    "SEARCH_ALIASES", "ESSENTIALS_CATEGORY", "HAS_INTERMEDIATE_OUTPUT", "VALIDATE_INPUTS", "IS_CHANGED", "NOT_IDEMPOTENT", "ACCEPT_ALL_INPUTS", "CATEGORY",
    "check_lazy_status",
))

# Lists of choices that packs take from a class, by the input that has them.
CHOICES = {
    "ImageScale": {"upscale_methods": "upscale_method", "crop_methods": "crop"}, "ImageScaleBy": {"upscale_methods": "upscale_method"},
    "LatentUpscale": {"upscale_methods": "upscale_method", "crop_methods": "crop"}, "LatentUpscaleBy": {"upscale_methods": "upscale_method"},
}

FUNCTIONS = ("common_ksampler", "init_extra_nodes", "init_builtin_extra_nodes", "init_builtin_api_nodes", "init_external_custom_nodes", "init_public_apis")

natives = {}  # what comfygo says of its own classes, by name


class AbsentError(RuntimeError):
    """A part of ComfyUI is used that is not here."""


class AbsentType(type):
    """Makes the attributes of an absent class absent, too."""

    def __getattr__(cls, name):
        if name.startswith("__") or name in HOOKS:
            raise AttributeError(name)
        return absent(f"{cls.comfygo_name}.{name}")

    def __iter__(cls):
        return iter(())

    def __str__(cls):
        return cls.comfygo_name


class Absent(metaclass=AbsentType):
    comfygo_name = "comfy"

    def __new__(cls, *args, **kwargs):
        raise missing(cls.comfygo_name)


def missing(name):
    return AbsentError(f"{name} is ComfyUI's own, which takes a checkout: start comfygo with --comfyui DIR")


_made = {}


def absent(name):
    """Returns the class that stands for a name of ComfyUI, the same one each time."""
    if name not in _made:
        _made[name] = described(name) or AbsentType(name.rsplit(".", 1)[-1], (Absent,), {"comfygo_name": name, "__module__": name.rsplit(".", 1)[0]})
    return _made[name]


def described(name):
    """Returns a class that describes itself as comfygo's own of that name does, and cannot run; None where comfygo has no such class."""
    module, _, short = name.rpartition(".")
    entry = natives.get(short)
    if entry is None or entry["info"].get("python_module") != module:
        return None
    if entry["v3"]:
        return schema_node(name, module, short)
    info = entry["info"]

    def input_types(cls):
        import folder_paths

        inputs = {group: dict(fields) for group, fields in info["input"].items()}
        for group in inputs.values():
            for field, folder in entry["folders"].items():
                if field in group:
                    group[field] = (folder_paths.get_filename_list(folder), *group[field][1:])
        return inputs

    own = {
        "comfygo_name": name, "__module__": module, "INPUT_TYPES": classmethod(input_types), "RETURN_TYPES": tuple(info["output"]), "CATEGORY": info["category"],
        "FUNCTION": "comfygo_absent", "DESCRIPTION": info["description"], "SEARCH_ALIASES": info["search_aliases"], **hooks(info),
    }
    for attribute, field in CHOICES.get(short, {}).items():
        own[attribute] = next(fields[field][0] for fields in info["input"].values() if field in fields)
    return AbsentType(short, (Absent,), own)


def hooks(info):
    """Returns the attributes of a class of the first API that are not as they are without being set."""
    out = {}
    if info["output_name"] != info["output"]:
        out["RETURN_NAMES"] = tuple(info["output_name"])
    if any(info["output_is_list"]):
        out["OUTPUT_IS_LIST"] = tuple(info["output_is_list"])
    for attribute, key in (("INPUT_IS_LIST", "is_input_list"), ("OUTPUT_NODE", "output_node"), ("ESSENTIALS_CATEGORY", "essentials_category"),
                           ("OUTPUT_TOOLTIPS", "output_tooltips"), ("DEPRECATED", "deprecated"), ("EXPERIMENTAL", "experimental")):
        if info.get(key):
            out[attribute] = info[key]
    return out


def schema_node(name, module, short):
    """Returns a base for nodes of the schema API that derive from one of ComfyUI's."""
    from comfy_api.latest import io

    def refuse(cls, *args, **kwargs):
        raise missing(name)

    return type(short, (io.ComfyNode,), {"__module__": module, "define_schema": classmethod(refuse), "execute": classmethod(refuse)})


def attributes(module):
    """Makes a module's __getattr__: what it does not have is absent."""

    def get(name):
        if name.startswith("__"):
            raise AttributeError(f"module {module} has no attribute {name}")
        if module == "nodes" and name not in FUNCTIONS and natives.get(name, {"info": {}})["info"].get("python_module") != module:
            raise AttributeError(f"module {module} has no attribute {name}")  # which packs ask for to see whether another pack is there
        return absent(f"{module}.{name}")

    return get


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules of ComfyUI that nothing else has."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".", 1)[0] not in PACKAGES:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return types.ModuleType(spec.name)

    def exec_module(self, module):
        module.__path__ = []
        module.__getattr__ = attributes(module.__name__)


def install():
    """Lets absent modules be imported; those of the stand-ins come first."""
    sys.meta_path.append(Finder())
    for name in ("nodes", "comfy", "comfy.utils", "comfy.model_management", "comfy.cli_args"):
        module = importlib.import_module(name)
        module.__getattr__ = attributes(name)
