"""What takes the place of those parts of ComfyUI that only a checkout has, so that packs can be imported and their other classes run.

Everything here can be imported, looked into and derived from. Calling it, or making an object of it, says what is missing.
"""

import importlib.abc
import importlib.machinery
import sys
import types

PACKAGES = ("comfy", "comfy_extras", "comfy_api_nodes", "comfy_execution", "latent_preview", "execution", "api_server")


class AbsentError(RuntimeError):
    """A part of ComfyUI is used that is not here."""


class AbsentType(type):
    """Makes the attributes of an absent class absent, too."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return absent(f"{cls.comfygo_name}.{name}")

    def __iter__(cls):
        return iter(())

    def __str__(cls):
        return cls.comfygo_name


class Absent(metaclass=AbsentType):
    comfygo_name = "comfy"

    def __new__(cls, *args, **kwargs):
        raise AbsentError(f"{cls.comfygo_name} is ComfyUI's own, which takes a checkout: start comfygo with --comfyui DIR")


_made = {}


def absent(name):
    """Returns the class that stands for a name of ComfyUI, the same one each time."""
    if name not in _made:
        _made[name] = AbsentType(name.rsplit(".", 1)[-1], (Absent,), {"comfygo_name": name, "__module__": name.rsplit(".", 1)[0]})
    return _made[name]


def attributes(module):
    """Makes a module's __getattr__: what it does not have is absent."""

    def get(name):
        if name.startswith("__"):
            raise AttributeError(f"module {module} has no attribute {name}")
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
