"""Nodes for the tests of packs: each shows one thing that packs do."""

import os
import time

import torch
from comfy.utils import ProgressBar
from comfy_execution.graph import ExecutionBlocker
from comfy_execution.graph_utils import GraphBuilder
from server import PromptServer


class Anything(dict):
    """Inputs of every name."""

    def __contains__(self, key):
        return True

    def __getitem__(self, key):
        return ("*",)


def node(name, inputs, outputs, function, **more):
    attributes = {
        "INPUT_TYPES": classmethod(lambda cls: inputs), "RETURN_TYPES": outputs, "FUNCTION": "go", "CATEGORY": "tests", "go": function, **more,
    }
    return type(name, (), attributes)


def join(self, a, b, id, count=1):
    bar = ProgressBar(count)
    for _ in range(count):
        bar.update(1)
    PromptServer.instance.send_sync("pack.joined", {"text": a + b})
    return (f"{a}{b}@{id}",)


class Thing:
    """A value that exists in Python only."""

    def __init__(self, text):
        self.text = text


def expand(self, text):
    graph = GraphBuilder()
    inner = graph.node("PackJoin", a=text, b="!")
    return {"result": (inner.out(0),), "expand": graph.finalize()}


class Counts:
    """Keeps a number from run to run, as upstream keeps the objects of nodes."""

    INPUT_TYPES = classmethod(lambda cls: {"required": {}})
    RETURN_TYPES, FUNCTION, CATEGORY = ("INT",), "go", "tests"

    def __init__(self):
        self.n = 0

    def go(self):
        self.n += 1
        return (self.n,)

    @classmethod
    def IS_CHANGED(cls):
        return float("nan")


class Even:
    INPUT_TYPES = classmethod(lambda cls: {"required": {"n": ("INT", {"default": 0, "max": 100})}})
    RETURN_TYPES, FUNCTION, CATEGORY = ("INT",), "go", "tests"

    @classmethod
    def VALIDATE_INPUTS(cls, n):
        return True if n % 2 == 0 else f"{n} is odd"

    def go(self, n):
        return (n,)


class SlowCheck:
    """Takes long to check its input."""

    INPUT_TYPES = classmethod(lambda cls: {"required": {"seconds": ("FLOAT", {})}})
    RETURN_TYPES, FUNCTION, CATEGORY = ("FLOAT",), "go", "tests"

    @classmethod
    def VALIDATE_INPUTS(cls, seconds):
        time.sleep(seconds)
        return True

    def go(self, seconds):
        return (seconds,)


class Choose:
    INPUT_TYPES = classmethod(lambda cls: {"required": {"first": ("BOOLEAN", {}), "a": ("*", {"lazy": True}), "b": ("*", {"lazy": True})}})
    RETURN_TYPES, FUNCTION, CATEGORY = ("*",), "go", "tests"

    def check_lazy_status(self, first, a, b):
        return ["a" if first else "b"]

    def go(self, first, a, b):
        return (a if first else b,)


def show(self, value):
    return {"ui": {"text": [str(value)]}, "result": (value,)}


def endless(self, seconds):
    bar = ProgressBar(100)
    end = time.time() + seconds
    while time.time() < end:
        bar.update_absolute(1)
        time.sleep(0.01)
    return ("ended",)


def stuck(self):
    while True:
        pass


def bright(self, image, add):
    for i in range(len(image.buffer)):
        image.buffer[i] += add
    return (image,)


def add(self, **values):
    return (sum(values.values()),)


def holds(self, bytes):
    torch.cuda.held = bytes
    return (bytes,)


TEXT = ("STRING", {"default": ""})
ANY = ("*",)
NODE_CLASS_MAPPINGS = {
    "PackJoin": node("PackJoin", {"required": {"a": TEXT, "b": TEXT}, "optional": {"count": ("INT", {"default": 1})}, "hidden": {"id": "UNIQUE_ID"}}, ("STRING",), join),
    "PackThing": node("PackThing", {"required": {"text": TEXT}}, ("THING",), lambda self, text: (Thing(text),)),
    "PackThingText": node("PackThingText", {"required": {"thing": ("THING",)}}, ("STRING",), lambda self, thing: (thing.text,)),
    "PackList": node("PackList", {"required": {"n": ("INT", {"default": 3})}}, ("INT",), lambda self, n: (list(range(n)),), OUTPUT_IS_LIST=(True,)),
    "PackSum": node("PackSum", {"required": {"all": ("INT", {"forceInput": True})}}, ("INT",), lambda self, all: (sum(all),), INPUT_IS_LIST=True),
    "PackExpand": node("PackExpand", {"required": {"text": TEXT}}, ("STRING",), expand),
    "PackBlock": node("PackBlock", {"required": {"text": TEXT}}, ("STRING",), lambda self, text: (ExecutionBlocker(text),)),
    "PackCounts": Counts,
    "PackEven": Even,
    "PackChoose": Choose,
    "PackSlowCheck": SlowCheck,
    "PackAdd": node("PackAdd", {"required": {}, "optional": Anything()}, ("INT",), add),
    "PackShow": node("PackShow", {"required": {"value": ANY}}, ("*",), show, OUTPUT_NODE=True),
    "PackImage": node("PackImage", {"required": {"value": ("FLOAT", {"default": 0.5})}}, ("IMAGE",), lambda self, value: (torch.full((1, 8, 8, 3), value),)),
    "PackBright": node("PackBright", {"required": {"image": ("IMAGE",), "add": ("FLOAT", {"default": 0.0})}}, ("IMAGE",), bright),
    "PackFails": node("PackFails", {"required": {}}, ("STRING",), lambda self: (1 // 0,)),
    "PackLeaves": node("PackLeaves", {"required": {"how": (["exit", "os"],)}}, ("STRING",), lambda self, how: os._exit(3) if how == "os" else exit(3)),
    "PackEndless": node("PackEndless", {"required": {"seconds": ("FLOAT", {"default": 60.0})}}, ("STRING",), endless),
    "PackHolds": node("PackHolds", {"required": {"bytes": ("INT", {"default": 0, "max": 1 << 40})}}, ("INT",), holds),
    "PackStuck": node("PackStuck", {"required": {}}, ("STRING",), stuck),
}
NODE_DISPLAY_NAME_MAPPINGS = {"PackJoin": "Join two texts"}
