"""Inputs that stand for others, which depend on the values of a prompt."""

from __future__ import annotations

import copy
from abc import ABC
from collections.abc import Callable
from typing import Any

from comfy_api.internal import prune_dict

from ._io_inputs import REQUIRED, ComfyTypeI, Input, Output, WidgetInput, comfytype, parameters


DYNAMIC_INPUT_LOOKUP: dict[str, Callable] = {}


def register_dynamic_input_func(io_type, func):
    """Has func(found, values, entry, group, path) put into found what inputs of a type stand for."""
    DYNAMIC_INPUT_LOOKUP[io_type] = func


def get_dynamic_input_func(io_type):
    return DYNAMIC_INPUT_LOOKUP[io_type]


class DynamicInput(Input, ABC):
    """An input that stands for others."""


class DynamicOutput(Output, ABC):
    """An output that stands for others."""


class _AutogrowTemplate:
    """What the inputs of an Autogrow are like."""

    def __init__(self, input, names, minimum):
        if isinstance(input, DynamicInput):
            raise AssertionError("the template of an Autogrow cannot be a dynamic input")
        if minimum < 0:
            raise AssertionError(f"an Autogrow has at least {minimum} inputs")
        self.input, self.names, self.min = copy.copy(input), names, minimum
        if isinstance(self.input, WidgetInput):
            self.input.force_input = True
        self.cached_inputs = {}
        for name in names:
            made = self.cached_inputs[name] = copy.copy(self.input)
            made.id = name

    def get_all(self):
        return list(self.cached_inputs.values())

    def as_dict(self):
        return {"input": create_input_dict_v1([self.input])}

    def validate(self):
        self.input.validate()


MOST_GROWN = 100  # inputs of one Autogrow


class _TemplatePrefix(_AutogrowTemplate):
    """Inputs named by a prefix and a number from 0."""

    def __init__(self, input, prefix, min=1, max=10):
        if not 1 <= max <= MOST_GROWN:
            raise AssertionError(f"an Autogrow has 1 to {MOST_GROWN} inputs, not {max}")
        self.prefix, self.max = prefix, max
        super().__init__(input, [f"{prefix}{number}" for number in range(max)], min)

    def as_dict(self):
        return {**super().as_dict(), "prefix": self.prefix, "min": self.min, "max": self.max}


class _TemplateNames(_AutogrowTemplate):
    """Inputs with given names."""

    def __init__(self, input, names, min=1):
        super().__init__(input, names[:MOST_GROWN], min)

    def as_dict(self):
        return {**super().as_dict(), "names": self.names, "min": self.min}


class _AutogrowInput(DynamicInput):
    PARAMETERS = parameters("id template display_name optional tooltip lazy extra_dict", template=REQUIRED)
    rawLink = advanced = None

    def as_dict(self):
        return {**super().as_dict(), "template": self.template.as_dict()}

    def get_all(self):
        return [self, *self.template.get_all()]

    def validate(self):
        self.template.validate()


@comfytype("COMFY_AUTOGROW_V3")
class Autogrow(ComfyTypeI):
    Type = dict[str, Any]
    _MaxNames = MOST_GROWN
    _AutogrowTemplate = _AutogrowTemplate
    TemplatePrefix = _TemplatePrefix
    TemplateNames = _TemplateNames
    Input = _AutogrowInput


class _Option:
    """A choice of a DynamicCombo with the inputs that it brings."""

    def __init__(self, key, inputs):
        self.key, self.inputs = key, inputs

    def as_dict(self):
        return {"key": self.key, "inputs": create_input_dict_v1(self.inputs)}


class _DynamicComboInput(DynamicInput):
    PARAMETERS = parameters("id options display_name optional tooltip lazy extra_dict", options=REQUIRED)
    rawLink = advanced = None

    def get_all(self):
        return [self, *(inner for option in self.options for inner in option.inputs)]

    def as_dict(self):
        return {**super().as_dict(), "options": [option.as_dict() for option in self.options]}

    def validate(self):
        for option in self.options:
            for inner in option.inputs:
                inner.validate()


@comfytype("COMFY_DYNAMICCOMBO_V3")
class DynamicCombo(ComfyTypeI):
    Type = dict[str, Any]
    Option = _Option
    Input = _DynamicComboInput


class _DynamicSlotInput(DynamicInput):
    """An optional input that brings others when it is connected."""

    def __init__(self, slot, inputs, display_name=None, tooltip=None, lazy=None, extra_dict=None):
        if isinstance(slot, DynamicInput):
            raise AssertionError("the slot of a DynamicSlot cannot be a dynamic input")
        self.slot, self.inputs, self.force_input = copy.copy(slot), inputs, None
        for name, value in (("display_name", display_name), ("tooltip", tooltip), ("lazy", lazy), ("extra_dict", extra_dict)):
            if getattr(slot, name) is None:
                setattr(self.slot, name, value)
        super().__init__(slot.id, self.slot.display_name, True, self.slot.tooltip, self.slot.lazy, self.slot.extra_dict)
        if isinstance(self.slot, WidgetInput):
            self.force_input = self.slot.force_input = True

    def get_all(self):
        return [self.slot, *self.inputs]

    def as_dict(self):
        own = {"slotType": str(self.slot.get_io_type()), "inputs": create_input_dict_v1(self.inputs), "forceInput": self.force_input}
        return {**super().as_dict(), **prune_dict(own)}

    def validate(self):
        for inner in self.get_all():
            inner.validate()


@comfytype("COMFY_DYNAMICSLOT_V3")
class DynamicSlot(ComfyTypeI):
    Type = dict[str, Any]
    Input = _DynamicSlotInput


class DynamicPathsDefaultValue:
    EMPTY_DICT = "empty_dict"


def _grow(found, values, entry, group, path):
    """Puts the inputs of an Autogrow into found: those that are there are nested below its own name."""
    template = entry[1]["template"]
    names = template["names"] if "names" in template else [f"{template['prefix']}{number}" for number in range(template["max"])]
    kind, model = next(((kind, next(iter(inputs.values()))) for kind, inputs in template["input"].items() if inputs), (None, None))
    if kind is None:
        raise ValueError(f"the Autogrow {'.'.join(path)} has a template without an input")
    there = {}
    for number, name in enumerate(names):
        place = "required" if kind == "required" and number < template["min"] else "optional"
        full = ".".join([*path, name])
        found[place][full] = model
        if full in values:
            there.setdefault(place, {})[name] = model
    if not there:
        own = ".".join(path)
        found["dynamic_paths"][own] = own
        found["dynamic_paths_default_value"][own] = DynamicPathsDefaultValue.EMPTY_DICT
    parse_class_inputs(found, values, there, path)


def _with_others(found, values, entry, group, path, inputs):
    """Puts inputs and the one that brings them, whose value has its own name within, into found."""
    parse_class_inputs(found, values, inputs, path)
    own = ".".join(path)
    found[group][own] = entry
    found["dynamic_paths"][own] = f"{own}.{path[-1]}"


def _choose(found, values, entry, group, path):
    own = ".".join(path)
    for option in entry[1]["options"]:
        if own in values and option["key"] == values[own]:
            _with_others(found, values, entry, group, path, option["inputs"])
            return


def _connect(found, values, entry, group, path):
    if ".".join(path) in values:
        _with_others(found, values, entry, group, path, entry[1]["inputs"])


def setup_dynamic_input_funcs():
    for kind, function in ((Autogrow, _grow), (DynamicCombo, _choose), (DynamicSlot, _connect)):
        register_dynamic_input_func(kind.io_type, function)


setup_dynamic_input_funcs()


def parse_class_inputs(out_dict, live_inputs, curr_dict, curr_prefix=None):
    """Puts declared inputs into out_dict under their full names, dynamic ones by what the values of a prompt make of them."""
    for group, inputs in curr_dict.items():
        for name, entry in inputs.items():
            path = [*(curr_prefix or ()), name]
            expand = DYNAMIC_INPUT_LOOKUP.get(entry[0]) if isinstance(entry[0], str) else None
            if expand is not None:
                expand(out_dict, live_inputs, entry, group, path)
                continue
            full = ".".join(path)
            out_dict[group][full] = entry
            if curr_prefix:
                out_dict["dynamic_paths"][full] = full


def get_finalized_class_inputs(d, live_inputs, include_hidden=False):
    """Returns the inputs that a class has with the values of a prompt, its hidden ones, and how values are nested."""
    found = {"required": {}, "optional": {}, "dynamic_paths": {}, "dynamic_paths_default_value": {}}
    hidden = d.get("hidden")
    parse_class_inputs(found, live_inputs, {group: inputs for group, inputs in d.items() if group != "hidden"})
    nesting = {key: found.pop(key) for key in ("dynamic_paths", "dynamic_paths_default_value")}
    if include_hidden and hidden is not None:
        found["hidden"] = hidden
    return found, hidden, {key: value for key, value in nesting.items() if value}


def build_nested_inputs(values, v3_data):
    """Moves the values of dynamic inputs into dictionaries, as their paths say."""
    paths = v3_data.get("dynamic_paths")
    if paths is None:
        return values
    flat, nested = dict(values), {}
    for name, path in paths.items():
        value = flat.pop(name, None)
        if value is None and v3_data.get("dynamic_paths_default_value", {}).get(name) == DynamicPathsDefaultValue.EMPTY_DICT:
            value = {}
        *above, last = path.split(".")
        place = nested
        for part in above:
            place = place.setdefault(part, {})
        place[last] = (value, name) if v3_data.get("create_dynamic_tuple") else value
    return {**flat, **nested}


def add_to_dict_v1(i, d):
    described = i.as_dict()
    described.pop("optional", None)
    d.setdefault("optional" if i.optional else "required", {})[i.id] = (i.get_io_type(), described)


def create_input_dict_v1(inputs):
    out = {"required": {}}
    for i in inputs:
        add_to_dict_v1(i, out)
    return out
