"""Nodes that do what ends or holds up a process that is not prepared for it."""

import os
import signal
import sys
import threading
import time

for name in ("SIGTERM", "SIGINT", "SIGHUP"):
    if hasattr(signal, name):  # Windows lacks the last
        signal.signal(getattr(signal, name), lambda *arguments: None)


def prints(self, mb):
    line = "x" * 1023 + "\n"
    for _ in range(int(mb * 1024)):
        sys.stdout.write(line)
    os.write(2, b"y" * int(mb * 1024 * 16))  # a line without an end, beside Python's own files
    return ("printed",)


def leaks(self, mb):
    held = []
    for _ in range(int(mb / 16)):
        held.append(bytearray(os.urandom(1)) * (16 << 20))
        time.sleep(0.01)
    return ("leaked",)


def leaves(self, how):
    if how == "exit":
        sys.exit(3)
    if how == "os":
        os._exit(3)
    if how == "abort":
        os.abort()
    if how == "thread":  # as a crash of a library's own thread: the node has ended by then
        threading.Timer(0.05, os._exit, (3,)).start()
        return ("left",)
    if how == "close":
        os.closerange(3, 64)
    return ("stayed",)


def signals(self):
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    return ("alive",)


def works(self, text, seconds):
    time.sleep(seconds)
    return (text,)


def detaches(self):
    """Starts a process that outlives this one and holds its output open."""
    import subprocess

    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(20)"], start_new_session=True)
    os._exit(4)


def show(self, value):
    return {"ui": {"text": [str(value)]}, "result": (value,)}


def node(inputs, function, **more):
    attributes = {
        "INPUT_TYPES": classmethod(lambda cls: {"required": inputs}), "RETURN_TYPES": ("*",), "FUNCTION": "go", "CATEGORY": "tests", "go": function,
        "IS_CHANGED": classmethod(lambda cls, **inputs: float("nan")), **more,
    }
    return type(function.__name__, (), attributes)


TEXT, NUMBER = ("STRING", {"default": ""}), ("FLOAT", {"default": 0.0})
NODE_CLASS_MAPPINGS = {
    "HostilePrints": node({"mb": NUMBER}, prints),
    "HostileLeaks": node({"mb": NUMBER}, leaks),
    "HostileLeaves": node({"how": TEXT}, leaves),
    "HostileSignals": node({}, signals),
    "HostileWorks": node({"text": TEXT, "seconds": NUMBER}, works),
    "HostileDetaches": node({}, detaches),
    "PackShow": node({"value": ("*",)}, show, OUTPUT_NODE=True),
}
