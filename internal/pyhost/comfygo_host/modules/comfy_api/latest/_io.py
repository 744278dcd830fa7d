"""Schemas of nodes: the types of inputs and outputs, the description of a class, and what a node returns.

The parts lie in files of their own; for packs, and for pickle, all of it is in this module.
"""

from . import _io_dynamic, _io_inputs, _io_nodes, _io_types

for _part in (_io_inputs, _io_types, _io_dynamic, _io_nodes):
    for _name, _value in list(vars(_part).items()):
        if _name.startswith("__"):
            continue
        if getattr(_value, "__module__", None) == _part.__name__:
            _value.__module__ = __name__
        globals()[_name] = _value

del _part, _name, _value

__all__ = ["InputMap", *(name for name, value in list(globals().items()) if not name.startswith("_") and getattr(value, "__module__", None) == __name__)]
