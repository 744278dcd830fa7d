"""What a class of nodes is: its description, its methods, what it returns, and what takes the place of an old one."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import asdict, dataclass, field, make_dataclass
from enum import Enum
from typing import Any, TypedDict, Union

from comfy_api.internal import _ComfyNodeInternal, _NodeOutputInternal, classproperty, first_real_override, shallow_clone_class
from comfy_execution.graph_utils import ExecutionBlocker

from ._io_dynamic import DynamicInput, create_input_dict_v1
from ._io_types import _MatchOutput

# Hidden inputs

class Hidden(str, Enum):
    """What a node can ask for beside its inputs."""

    unique_id = "UNIQUE_ID"
    prompt = "PROMPT"
    extra_pnginfo = "EXTRA_PNGINFO"
    dynprompt = "DYNPROMPT"
    auth_token_comfy_org = "AUTH_TOKEN_COMFY_ORG"
    api_key_comfy_org = "API_KEY_COMFY_ORG"
    comfy_usage_source = "COMFY_USAGE_SOURCE"


class HiddenHolder:
    """The hidden values of a call; one that was not asked for is None."""

    def __init__(self, unique_id, prompt, extra_pnginfo, dynprompt, auth_token_comfy_org, api_key_comfy_org, comfy_usage_source=None, **kwargs):
        self.unique_id, self.prompt, self.extra_pnginfo, self.dynprompt = unique_id, prompt, extra_pnginfo, dynprompt
        self.auth_token_comfy_org, self.api_key_comfy_org, self.comfy_usage_source = auth_token_comfy_org, api_key_comfy_org, comfy_usage_source

    def __getattr__(self, key):
        return None

    @classmethod
    def from_dict(cls, d):
        return cls(**{kind.name: (d or {}).get(kind) for kind in Hidden})

    @classmethod
    def from_v3_data(cls, v3_data):
        return cls.from_dict(v3_data["hidden_inputs"] if v3_data else None)


class V3Data(TypedDict, total=False):
    hidden_inputs: dict[str, Any]
    dynamic_paths: dict[str, Any]
    dynamic_paths_default_value: dict[str, Any]
    create_dynamic_tuple: bool


# Descriptions of classes

NodeInfoV1 = make_dataclass("NodeInfoV1", [
    (name, Any, None) for name in (
        "input input_order is_input_list output output_is_list output_name output_tooltips output_matchtypes name display_name description python_module category "
        "output_node deprecated experimental dev_only api_node price_badge search_aliases essentials_category has_intermediate_output"
    ).split()
])
NodeInfoV1.__module__ = __name__


@dataclass
class PriceBadgeDepends:
    """The inputs that the price of a call depends on."""

    widgets: list = field(default_factory=list)
    inputs: list = field(default_factory=list)
    input_groups: list = field(default_factory=list)

    def validate(self):
        for name, value in vars(self).items():
            if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
                raise ValueError(f"PriceBadgeDepends.{name} takes a list of texts")

    def as_dict(self, schema_inputs):
        types = {}
        for i in schema_inputs:
            types[i.id] = i.get_io_type()
            types.update({f"{i.id}.{inner.id}": inner.get_io_type() for inner in i.get_all()[1:]})
        unknown = [name for name in self.widgets if name not in types]
        if unknown:
            raise ValueError(f"PriceBadgeDepends.widgets names {unknown[0]!r}; the node has {', '.join(types)}")
        return {"widgets": [{"name": name, "type": types[name]} for name in self.widgets], "inputs": self.inputs, "input_groups": self.input_groups}


@dataclass
class PriceBadge:
    """An expression from which a browser computes the price of a call."""

    expr: str
    depends_on: PriceBadgeDepends = field(default_factory=PriceBadgeDepends)
    engine: str = "jsonata"

    def validate(self):
        if self.engine != "jsonata":
            raise ValueError(f"PriceBadge.engine takes jsonata only, not {self.engine!r}")
        if not isinstance(self.expr, str) or not self.expr.strip():
            raise ValueError("PriceBadge.expr takes a text that is not empty")
        self.depends_on.validate()

    def as_dict(self, schema_inputs):
        return {"engine": self.engine, "depends_on": self.depends_on.as_dict(schema_inputs), "expr": self.expr}


@dataclass
class Schema:
    """The description of a node."""

    node_id: str
    display_name: str = None
    category: str = "sd"
    inputs: list = field(default_factory=list)
    outputs: list = field(default_factory=list)
    hidden: list = field(default_factory=list)
    description: str = ""
    search_aliases: list = field(default_factory=list)
    is_input_list: bool = False
    is_output_node: bool = False
    is_deprecated: bool = False
    is_experimental: bool = False
    is_dev_only: bool = False
    is_api_node: bool = False
    price_badge: PriceBadge = None
    not_idempotent: bool = False
    enable_expand: bool = False
    accept_all_inputs: bool = False
    essentials_category: str = None
    has_intermediate_output: bool = False

    def validate(self):
        """Checks that ids occur once, and each input and output."""
        lists = (
            ("Input", [inner.id for i in self.inputs if not isinstance(i, DynamicInput) for inner in i.get_all()]),
            ("Output", [o.id for o in self.outputs]),
        )
        problems = []
        for kind, ids in lists:
            twice = [name for name, count in Counter(ids).items() if count > 1]
            if twice:
                problems.append(f"{kind} ids must be unique, but {twice} are not.")
        if problems:
            raise ValueError("\n".join(problems))
        for part in (*self.inputs, *self.outputs):
            part.validate()
        if self.price_badge is not None:
            self.price_badge.validate()

    def finalize(self):
        """Adds the hidden inputs that follow from other settings, and ids of outputs without one."""
        self.inputs, self.outputs, self.hidden = self.inputs or [], self.outputs or [], self.hidden or []
        wanted = []
        if self.is_api_node:
            wanted += [Hidden.auth_token_comfy_org, Hidden.api_key_comfy_org, Hidden.comfy_usage_source]
        if self.is_output_node:
            wanted += [Hidden.prompt, Hidden.extra_pnginfo]
        self.hidden.extend(kind for kind in wanted if kind not in self.hidden)
        for number, output in enumerate(self.outputs):
            if output.id is None:
                output.id = f"_{number}_{output.io_type}_"

    def get_v1_info(self, cls):
        """Describes the class as /object_info does."""
        inputs = create_input_dict_v1(self.inputs)
        if self.hidden:
            inputs["hidden"] = {kind.name: (kind.value,) for kind in self.hidden}
        matches = [o.template.template_id if isinstance(o, _MatchOutput) else None for o in self.outputs]
        return NodeInfoV1(
            input=inputs,
            input_order={group: list(entries) for group, entries in inputs.items()},
            is_input_list=self.is_input_list,
            **output_lists(self.outputs),
            output_matchtypes=matches if any(m is not None for m in matches) else None,
            name=self.node_id,
            display_name=self.display_name,
            category=self.category,
            description=self.description,
            output_node=self.is_output_node,
            has_intermediate_output=self.has_intermediate_output,
            deprecated=self.is_deprecated,
            experimental=self.is_experimental,
            dev_only=self.is_dev_only,
            api_node=self.is_api_node,
            python_module=getattr(cls, "RELATIVE_PYTHON_MODULE", "nodes"),
            price_badge=None if self.price_badge is None else self.price_badge.as_dict(self.inputs),
            search_aliases=self.search_aliases or None,
            essentials_category=self.essentials_category,
        )


def output_lists(outputs):
    """Returns types, names, kinds and tooltips of outputs."""
    return {
        "output": [o.io_type for o in outputs],
        "output_is_list": [o.is_output_list for o in outputs],
        "output_name": [o.display_name or o.io_type for o in outputs],
        "output_tooltips": [o.tooltip or None for o in outputs],
    }


# Nodes

def _from_schema(name):
    """A property of a class that its schema gives, under the name of the first API; each class asks its schema once."""

    def get(cls):
        known = vars(cls).get("_COMFYGO_KNOWN")
        if known is None:
            cls.GET_SCHEMA()
            known = cls._COMFYGO_KNOWN
        return known[name]

    return classproperty(get)


class _ComfyNodeBaseInternal(_ComfyNodeInternal):
    """What all nodes of the schema API have."""

    RELATIVE_PYTHON_MODULE = None
    SCHEMA = None
    hidden = None

    def __init__(self):
        type(self).VALIDATE_CLASS()

    @classmethod
    @abstractmethod
    def define_schema(cls):
        raise NotImplementedError

    @classmethod
    @abstractmethod
    def execute(cls, **kwargs):
        raise NotImplementedError

    @classmethod
    def validate_inputs(cls, **kwargs):
        raise NotImplementedError

    @classmethod
    def fingerprint_inputs(cls, **kwargs):
        raise NotImplementedError

    @classmethod
    def check_lazy_status(cls, **kwargs):
        return [name for name, value in kwargs.items() if value is None]

    @classmethod
    def GET_BASE_CLASS(cls):
        return _ComfyNodeBaseInternal

    @classmethod
    def VALIDATE_CLASS(cls):
        for name in ("define_schema", "execute"):
            if first_real_override(cls, name) is None:
                raise Exception(f"No {name} function was defined for node class {cls.__name__}.")

    @classproperty
    def FUNCTION(cls):
        return "EXECUTE_NORMALIZED_ASYNC" if inspect.iscoroutinefunction(cls.execute) else "EXECUTE_NORMALIZED"

    @classmethod
    def EXECUTE_NORMALIZED(cls, *args, **kwargs):
        return cls._normalized(cls.execute(*args, **kwargs))

    @classmethod
    async def EXECUTE_NORMALIZED_ASYNC(cls, *args, **kwargs):
        return cls._normalized(await cls.execute(*args, **kwargs))

    @classmethod
    def _normalized(cls, result):
        """Makes a NodeOutput of what a node has returned."""
        if result is None:
            result = NodeOutput()
        elif isinstance(result, tuple):
            result = NodeOutput(*result)
        elif isinstance(result, dict):
            result = NodeOutput.from_dict(result)
        elif isinstance(result, ExecutionBlocker):
            result = NodeOutput(block_execution=result.message)
        elif not isinstance(result, NodeOutput):
            raise Exception(f"{cls.__name__} returned {type(result).__name__} in place of a NodeOutput")
        if result.expand is not None and not cls.SCHEMA.enable_expand:
            raise Exception(f"{cls.__name__} expands into a graph, but its schema does not have enable_expand=True")
        return result

    @classmethod
    def PREPARE_CLASS_CLONE(cls, v3_data):
        """Returns a class like this one that has the hidden values of a call."""
        clone = shallow_clone_class(cls)
        clone.hidden = HiddenHolder.from_v3_data(v3_data)
        return clone

    @classmethod
    def GET_NODE_INFO_V1(cls):
        return asdict(cls.GET_SCHEMA().get_v1_info(cls))

    @classmethod
    def INPUT_TYPES(cls):
        return cls.FINALIZE_SCHEMA().get_v1_info(cls).input

    @classmethod
    def FINALIZE_SCHEMA(cls):
        schema = cls.define_schema()
        schema.finalize()
        return schema

    @classmethod
    def GET_SCHEMA(cls):
        """Returns the checked schema, and keeps what the first API calls properties of the class."""
        cls.VALIDATE_CLASS()
        schema = cls.FINALIZE_SCHEMA()
        schema.validate()
        if "_COMFYGO_KNOWN" not in vars(cls):
            lists = output_lists(schema.outputs)
            known = {name: getattr(schema, attribute) for name, attribute in FROM_SCHEMA.items()}
            known.update(RETURN_TYPES=lists["output"], RETURN_NAMES=lists["output_name"], OUTPUT_IS_LIST=lists["output_is_list"], OUTPUT_TOOLTIPS=lists["output_tooltips"])
            type.__setattr__(cls, "_COMFYGO_KNOWN", known)
        type.__setattr__(cls, "SCHEMA", schema)
        return schema


FROM_SCHEMA = {
    "DESCRIPTION": "description", "CATEGORY": "category", "EXPERIMENTAL": "is_experimental", "DEPRECATED": "is_deprecated", "DEV_ONLY": "is_dev_only",
    "API_NODE": "is_api_node", "OUTPUT_NODE": "is_output_node", "HAS_INTERMEDIATE_OUTPUT": "has_intermediate_output", "INPUT_IS_LIST": "is_input_list",
    "NOT_IDEMPOTENT": "not_idempotent", "ACCEPT_ALL_INPUTS": "accept_all_inputs",
}
for _name in (*FROM_SCHEMA, "RETURN_TYPES", "RETURN_NAMES", "OUTPUT_IS_LIST", "OUTPUT_TOOLTIPS"):
    setattr(_ComfyNodeBaseInternal, _name, _from_schema(_name))


class ComfyNode(_ComfyNodeBaseInternal):
    """The base of a pack's nodes: define_schema and execute are its own, the other methods may be."""

    @classmethod
    def GET_BASE_CLASS(cls):
        return ComfyNode


class NodeOutput(_NodeOutputInternal):
    """What a node returns: its values, what clients are shown, a graph in its place, or a message that blocks what follows."""

    def __init__(self, *args, ui=None, expand=None, block_execution=None):
        self.args, self.ui, self.expand, self.block_execution = args, ui, expand, block_execution

    @property
    def result(self):
        return self.args or None

    @classmethod
    def from_dict(cls, data):
        result = data.get("result", ())
        if isinstance(result, ExecutionBlocker):
            return cls(block_execution=result.message)
        return cls(*result, ui=data.get("ui"), expand=data.get("expand"))

    def __getitem__(self, index):
        return self.args[index]


class _UIOutput(ABC):
    """What clients are shown of a node."""

    def __init__(self):
        pass

    @abstractmethod
    def as_dict(self):
        """Returns it as the message executed has it."""


# Replacements of nodes

class InputMapOldId(TypedDict):
    new_id: str
    old_id: str


class InputMapSetValue(TypedDict):
    new_id: str
    set_value: Any


InputMap = Union[InputMapOldId, InputMapSetValue]


class OutputMap(TypedDict):
    new_idx: int
    old_idx: int


class NodeReplace:
    """How a browser puts a new class in the place of an old one in a workflow."""

    def __init__(self, new_node_id, old_node_id, old_widget_ids=None, input_mapping=None, output_mapping=None):
        self.new_node_id, self.old_node_id, self.old_widget_ids = new_node_id, old_node_id, old_widget_ids
        self.input_mapping, self.output_mapping = input_mapping, output_mapping

    def as_dict(self):
        return {
            "new_node_id": self.new_node_id, "old_node_id": self.old_node_id, "old_widget_ids": self.old_widget_ids,
            "input_mapping": list(self.input_mapping) if self.input_mapping else None, "output_mapping": list(self.output_mapping) if self.output_mapping else None,
        }
