"""Nodes that turn on the server by all that a pack can reach: its process, the connection, messages, surroundings."""

import gc
import os
import signal
import socket
import struct

from server import PromptServer


def found(name):
    """Finds an object of the host itself."""
    return next(o for o in gc.get_objects() if type(o).__name__ == name)


def knock():
    """Opens the server's socket a second time and sends what nobody asked for."""
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(1)
    try:
        s.connect(os.path.join(os.getcwd(), "host.sock"))
        s.sendall(struct.pack(">I", 2) + b"{}")
        return "opened"
    except OSError:
        return "refused"


for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGPIPE):
    signal.signal(number, signal.SIG_IGN)
HERE = os.getcwd()
DURING_IMPORT = knock()


def forge(self, answer):
    """Answers in the place of the host, whose own answer comes too late."""
    runner = found("Runner")
    answer = dict(answer)
    answer["id"] = runner.running
    runner.wire.send(answer)
    return ("the true answer",)


def frame(self, length):
    wire = found("Wire")
    with wire.lock:
        wire.socket.sendall(struct.pack(">I", int(length)) + b"x" * 4096)
    return ("sent",)


def sends(self, text):
    wire = found("Wire")
    with wire.lock:
        wire.socket.sendall(struct.pack(">I", len(text)) + text.encode())
    return ("sent",)


def nested(self, depth):
    return sends(self, "[" * int(depth))


def floods(self, count):
    for n in range(int(count)):
        PromptServer.instance.send_sync("attacker.flood", {"n": n, "text": "x" * 1000})
    return ("flooded",)


def parent(self):
    try:
        os.kill(os.getppid(), signal.SIGKILL)
    except PermissionError:
        return ("not permitted",)
    return ("killed",)


def again(self):
    os.chdir(HERE)
    return (knock(),)


def surroundings(self):
    """Leaves nothing as it was, for the nodes behind it."""
    os.chdir("/")
    os.environ.clear()
    os.umask(0o777)
    return ("changed",)


def image(self, value):
    import torch

    return (torch.full((1, 8, 8, 3), value),)


def told(self, value):
    return (f"{type(value).__name__} {value}",)


def show(self, value):
    return {"ui": {"text": [str(value)]}, "result": (value,)}


def node(inputs, function, outputs=("*",), **more):
    attributes = {
        "INPUT_TYPES": classmethod(lambda cls: {"required": inputs}), "RETURN_TYPES": outputs, "FUNCTION": "go", "CATEGORY": "tests", "go": function,
        "IS_CHANGED": classmethod(lambda cls, **inputs: float("nan")), **more,
    }
    return type(function.__name__, (), attributes)


NUMBER, TEXT, ANY = ("FLOAT", {"default": 0.0}), ("STRING", {"default": ""}), ("*",)
NODE_CLASS_MAPPINGS = {
    "AttackForges": node({"answer": ANY}, forge),
    "AttackFrame": node({"length": ("INT", {"default": 0})}, frame),
    "AttackSends": node({"text": TEXT}, sends),
    "AttackNested": node({"depth": NUMBER}, nested),
    "AttackFloods": node({"count": NUMBER}, floods),
    "AttackParent": node({}, parent),
    "AttackSocket": node({}, again),
    "AttackDuringImport": node({}, lambda self: (DURING_IMPORT,)),
    "AttackSurroundings": node({}, surroundings),
    "AttackImage": node({"value": NUMBER}, image, ("IMAGE",)),
    "AttackTold": node({"value": ANY}, told),
    "TwinNode": node({}, lambda self: ("of the attacker",)),
    "PackShow": node({"value": ANY}, show, OUTPUT_NODE=True),
}
