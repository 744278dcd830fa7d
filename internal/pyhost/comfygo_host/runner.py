"""Answers comfygo's requests: classes, calls of nodes, values, interrupts."""

import asyncio
import base64
import inspect
import io
import os
import sys
import threading
import traceback

from . import PROTOCOL
from .values import MARK, Unknown, Values, is_plain

PROBE = "comfygo_any_input"  # a name that no class declares
MOST_REPLAYS = 32
HIDDEN = ("PROMPT", "DYNPROMPT", "EXTRA_PNGINFO", "UNIQUE_ID", "AUTH_TOKEN_COMFY_ORG", "API_KEY_COMFY_ORG", "COMFY_USAGE_SOURCE")
OWN = os.path.dirname(os.path.abspath(__file__))  # frames of the host itself are not shown
MODULES = os.path.join(OWN, "modules")


class Runner:
    """Serves one connection. Nodes run on the thread of ``work``, classes are asked on the main thread."""

    def __init__(self, wire, hello, api, main_loop):
        self.wire = wire
        self.api = api
        self.values = Values(hello["shared"], api.is_blocker)
        self.main_loop = main_loop
        self.work_loop = asyncio.new_event_loop()
        self.instances = {}
        self.tasks = {}
        self.running = None
        self.prompts = {}
        self.replays = {}
        self.gpu = 0
        api.attach(self)

    def start(self):
        """Begins to work; call it when all classes are there."""
        threading.Thread(target=self._work, name="comfygo nodes", daemon=True).start()
        threading.Thread(target=self._read, name="comfygo messages", daemon=True).start()

    def _work(self):
        asyncio.set_event_loop(self.work_loop)
        try:
            self.work_loop.run_forever()
        except BaseException:  # a pack has broken the loop, as by closing all files
            traceback.print_exc()
        finally:
            os._exit(1)  # without this thread no node would ever run again

    def _read(self):
        try:
            while (message := self.wire.receive()) is not None:
                self._dispatch(message)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)  # comfygo has gone or has closed the connection

    def notify(self, op, **fields):
        """Tells comfygo something that it has not asked for."""
        try:
            self.wire.send({"op": op, **fields})
        except OSError:
            pass

    def _dispatch(self, message):
        op = message["op"]
        if op == "drop":
            self.values.drop(message["ids"])
            for key in message.get("instances", ()):
                self.instances.pop(key, None)
            return
        if op == "interrupt":
            self.interrupt(message["call"])
            return
        # As upstream, a prompt is checked while a node runs; the running node's thread would make it wait.
        works = op in ("export", "free") or op == "call" and message["what"] != "validate"
        loop = self.work_loop if works else self.main_loop
        loop.call_soon_threadsafe(lambda: self._begin(loop, message))

    def _begin(self, loop, message):
        task = loop.create_task(self._answer(message))
        self.tasks[message["id"]] = task
        task.add_done_callback(lambda _: self.tasks.pop(message["id"], None))

    async def _answer(self, message):
        try:
            answer = await getattr(self, "op_" + message["op"])(message)
            answer = {"id": message["id"], "ok": True, **(answer or {})}
        except (SystemExit, KeyboardInterrupt) as error:
            # A node that ends the interpreter ends upstream's server; here it is an error of that node.
            answer = {"id": message["id"], "ok": False, "error": self.problem(error)}
        except asyncio.CancelledError:
            answer = {"id": message["id"], "ok": False, "error": {"type": "InterruptProcessingException", "message": "", "interrupted": True}}
        except BaseException as error:
            answer = {"id": message["id"], "ok": False, "error": self.problem(error)}
        self.tell_memory()
        try:
            self.wire.send(answer)
        except (TypeError, ValueError) as error:
            self.wire.send({"id": message["id"], "ok": False, "error": self.problem(error)})

    def tell_memory(self):
        """Tells comfygo what torch holds of GPUs, when that has changed."""
        torch = sys.modules.get("torch")
        try:
            if not torch.cuda.is_initialized():
                return
            held = sum(torch.cuda.memory_reserved(i) for i in range(torch.cuda.device_count()))
        except Exception:  # no torch, or one without CUDA
            return
        if held != self.gpu:
            self.gpu = held
            self.notify("memory", gpu=held)

    def problem(self, error):
        cls = type(error)
        name = cls.__name__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
        frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(OWN) or f.filename.startswith(MODULES)]
        lines = traceback.format_list(frames)
        return {
            "type": name,
            "message": str(error),
            "traceback": [line[:2000] for line in lines[-50:]],
            "interrupted": self.api.is_interrupt(error),
            "foreign": isinstance(error, Unknown),
        }

    def interrupt(self, number):
        """Stops a call: a coroutine at its next await, a function where it asks."""
        task = self.tasks.get(number)
        if task is None:
            return
        self.api.interrupt()
        if self.running != number:
            self.work_loop.call_soon_threadsafe(task.cancel)

    # Classes

    async def op_info(self, message):
        """Returns what /object_info shows of classes, of all of them without a list."""
        names = message.get("classes")
        classes, failed = {}, {}
        for name in list(self.api.classes()) if names is None else names:
            try:
                classes[name] = self.describe(name)
            except Exception as error:
                failed[name] = self.problem(error)
        return {"classes": classes, "failed": failed}

    def describe(self, name):
        cls = self.api.classes()[name]
        info = jsonable(self.api.info(name))
        v3 = self.api.is_v3(cls)
        declared = {} if v3 else cls.INPUT_TYPES()
        function = getattr(cls, "FUNCTION", None)
        method = getattr(cls, function, None) if function else None
        validate = self.api.override(cls, "validate_inputs") if v3 else getattr(cls, "VALIDATE_INPUTS", None)
        fingerprint = self.api.override(cls, "fingerprint_inputs") if v3 else getattr(cls, "IS_CHANGED", None)
        lazy = self.api.override(cls, "check_lazy_status") if v3 else getattr(cls, "check_lazy_status", None)
        checked, every = [], False
        if validate is not None:
            spec = inspect.getfullargspec(validate)
            checked = [a for a in spec.args + spec.kwonlyargs if a not in ("cls", "self")]
            every = spec.varkw is not None
        return {
            "info": info,
            "v3": v3,
            "accept_all": bool(getattr(cls, "ACCEPT_ALL_INPUTS", False)) if v3 else any(takes_any(declared.get(c)) for c in ("required", "optional")),
            "async": bool(v3 and self.api.is_async(cls)) or inspect.iscoroutinefunction(method),
            "not_idempotent": bool(getattr(cls, "NOT_IDEMPOTENT", False)),
            "hidden": {n: k[0] for n, k in info["input"].get("hidden", {}).items() if k} if v3 else hidden_kinds(declared),
            "validates": checked + (["**"] if every else []),
            "fingerprints": fingerprint is not None,
            "lazy": lazy is not None,
            "core": self.api.is_core(name),
        }

    # Calls

    async def op_call(self, message):
        """Calls a method of a node once."""
        cls = self.api.classes().get(message["class"])
        if cls is None:
            raise KeyError(message["class"])
        what = message["what"]
        inputs = {name: await self.decode(value) for name, value in message["inputs"].items()}
        if "input_types" in message:
            inputs["input_types"] = message["input_types"]
        hidden = {kind: await self.decode_hidden(kind, value, message) for kind, value in message.get("hidden", {}).items()}
        target = cls
        if what in ("run", "lazy"):
            target = self.instance(cls, message.get("instance"))
        function = self.function(cls, what)
        if what == "validate":
            with self.api.context(message["prompt"], message["node"], message.get("index")):
                result = self.invoke(cls, target, function, inputs, hidden, message)
                if inspect.isawaitable(result):
                    result = await result
            return self.give_validate(cls, result)
        self.api.begin(message)
        # Only one function runs at a time: what waits has given the thread back.
        self.running = message["id"]
        try:
            with self.api.context(message["prompt"], message["node"], message.get("index")):
                if what == "run":
                    self.api.before_node()
                    self.api.graph_prefix(message["node"], message.get("index", 0))
                result = self.invoke(cls, target, function, inputs, hidden, message)
                if inspect.isawaitable(result):
                    self.running = None
                    result = await result
        finally:
            if self.running == message["id"]:
                self.running = None
        return getattr(self, "give_" + what)(cls, result)

    def function(self, cls, what):
        v3 = self.api.is_v3(cls)
        if what == "run":
            return cls.FUNCTION
        if what == "lazy":
            return "check_lazy_status"
        if what == "validate":
            return "validate_inputs" if v3 else "VALIDATE_INPUTS"
        if what == "fingerprint":
            return "fingerprint_inputs" if v3 else "IS_CHANGED"
        raise ValueError(f"calling {what}: there is no such method")

    def instance(self, cls, key):
        if key is None:
            return cls()
        held = self.instances.get(key)
        if held is None or type(held) is not cls:
            held = self.instances[key] = cls()
        return held

    def invoke(self, cls, target, function, inputs, hidden, message):
        if self.api.is_v3(cls):
            return self.api.invoke_v3(cls, target, function, inputs, hidden, message)
        if message["what"] in ("run", "lazy", "fingerprint"):
            for name, kind in hidden_kinds(cls.INPUT_TYPES()).items():
                if kind in hidden:
                    inputs[name] = hidden[kind]
        return getattr(target, function)(**inputs)

    async def decode_hidden(self, kind, value, message):
        if kind == "DYNPROMPT":
            return self.api.dynprompt(value)
        return value

    async def decode(self, form):
        """Returns the value that a form in a message stands for."""
        if isinstance(form, list):
            return [await self.decode(v) for v in form]
        if not isinstance(form, dict):
            return form
        mark = form.get(MARK)
        if mark is None:
            return {k: await self.decode(v) for k, v in form.items()}
        if mark == "handle":
            return self.values.get(form["id"])
        if mark == "tensor":
            return self.values.tensor(form)
        if mark == "dict":
            return {k: await self.decode(v) for k, v in form["items"]}
        if mark == "tuple":
            return tuple([await self.decode(v) for v in form["items"]])
        if mark == "frozenset":
            return frozenset([await self.decode(v) for v in form["items"]])
        if mark == "array":
            return self.values.tensor(form["tensor"]).numpy()
        if mark == "instance":
            return await self.decode_instance(form)
        if mark == "blocker":
            return self.api.blocker(form["message"])
        if mark == "video":
            return self.api.video(form["file"])
        if mark == "replay":
            return await self.replay(form)
        raise Unknown(f"values of the form {mark} are not known: comfygo and its host differ in version")

    async def decode_instance(self, form):
        """Makes an object of one of the API's classes of geometry, as ComfyUI's nodes give it."""
        from comfy_api.latest import Types

        return getattr(Types, form["class"])(**{k: await self.decode(v) for k, v in form["attributes"].items()})

    async def replay(self, form):
        """Computes a value of comfygo's own models again with the checkout's classes, once for each key."""
        key = form["key"]
        if key not in self.replays:
            name = form["class"]
            cls = self.api.classes().get(name)
            if cls is None:
                raise Unknown(f"making the value of {name} again in Python: the class is not there; it takes a ComfyUI checkout (--comfyui)")
            inputs = {n: await self.decode(v) for n, v in form["inputs"].items()}
            message = {"what": "run", "raw": inputs, "lists": False, "prompt": form.get("prompt", ""), "node": form.get("node", ""), "index": 0}
            result = self.invoke(cls, cls(), cls.FUNCTION, inputs, {}, message)
            if inspect.isawaitable(result):
                result = await result
            while len(self.replays) >= MOST_REPLAYS:
                self.replays.pop(next(iter(self.replays)))
            self.replays[key] = self.taken_apart(cls, result)["values"]
        else:
            self.replays[key] = self.replays.pop(key)  # the most recent at the end
        return self.replays[key][form["slot"]]

    # Results

    def taken_apart(self, cls, result):
        """Returns what a node has given: values (None without any), ui, expand and block."""
        out = {"values": None, "ui": None, "expand": None, "block": None}
        if self.api.is_output(result):
            ui = result.ui
            out["ui"] = ui if ui is None or isinstance(ui, dict) else ui.as_dict()
            out["expand"], out["values"] = result.expand, result.result
            if result.block_execution is not None:
                out["values"], out["block"] = None, {"message": result.block_execution}
            return out
        if isinstance(result, dict):
            out["ui"], out["expand"], result = result.get("ui"), result.get("expand"), result.get("result")
        if self.api.is_blocker(result):
            out["block"] = {"message": result.message}
        elif result is not None:
            out["values"] = result
        elif out["ui"] is None and out["expand"] is None and len(cls.RETURN_TYPES) > 0:
            raise TypeError(f"{cls.__name__} returned None for {len(cls.RETURN_TYPES)} outputs")
        return out

    def give_run(self, cls, result):
        parts = self.taken_apart(cls, result)
        types = cls.RETURN_TYPES
        lists = getattr(cls, "OUTPUT_IS_LIST", None) or [False] * len(types)
        values = parts["values"]
        if values is not None:
            if len(types) > 0 and isinstance(values, (str, bytes)) or not hasattr(values, "__getitem__"):
                raise TypeError(f"{cls.__name__} returned {type(values).__name__} in place of a tuple of {len(types)} values")
            values = [values[i] if i < len(values) else None for i in range(len(types))]
            if parts["expand"] is not None:
                values = [self.link_or(v) for v in values]
            else:
                values = [[self.values.encode(e) for e in v] if i < len(lists) and lists[i] and not self.api.is_blocker(v) else self.values.encode(v) for i, v in enumerate(values)]
        expand = parts["expand"]
        if expand is not None:
            expand = {node: self.graph_node(data) for node, data in expand.items()}
        return {"values": values, "ui": jsonable(parts["ui"]), "expand": expand, "block": parts["block"]}

    def link_or(self, value):
        if isinstance(value, (list, tuple)) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], (int, float)):
            return {MARK: "link", "node": value[0], "slot": int(value[1])}
        return self.values.encode(value)

    def graph_node(self, data):
        data = dict(data)
        data["inputs"] = {n: list(v) if self.is_link(v) else self.values.encode(v) for n, v in data.get("inputs", {}).items()}
        return data

    @staticmethod
    def is_link(value):
        return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], (int, float))

    def give_validate(self, cls, result):
        if result is True or self.api.is_blocker(result):
            return {"valid": True}
        return {"valid": False, "reason": "" if result is False else str(result)}

    def give_fingerprint(self, cls, result):
        return {"value": result if is_plain(result) else float("nan")}

    def give_lazy(self, cls, result):
        return {"names": [n for n in result if isinstance(n, str)] if isinstance(result, list) else []}

    # Values, memory, prompts

    async def op_export(self, message):
        return {"value": self.values.export(self.values.get(message["handle"]))}

    async def op_free(self, message):
        self.replays.clear()
        self.api.free()
        return {}

    async def op_prompt(self, message):
        """Lets packs look at a prompt and change it before comfygo checks it."""
        return {"prompt": self.api.on_prompt(message["prompt"])}

    def preview(self, image):
        """Returns a preview image as JPEG or PNG in base64, None where there is no Pillow."""
        kind, frame, largest = (tuple(image) + (None, None, None))[:3]
        try:
            if largest is not None and max(frame.size) > largest:
                frame = frame.copy()
                frame.thumbnail((largest, largest))
            buffer = io.BytesIO()
            frame.convert("RGB").save(buffer, format="PNG" if kind == "PNG" else "JPEG", quality=95)
        except Exception:
            return None
        return {"type": "png" if kind == "PNG" else "jpeg", "data": base64.b64encode(buffer.getvalue()).decode()}


def hidden_kinds(declared):
    """Returns the kinds of hidden inputs by name, "*" for one without a value. Packs declare kinds by texts that equal others."""
    kinds = {}
    for name, kind in declared.get("hidden", {}).items():
        kinds[name] = "*"
        for known in HIDDEN:
            if kind == known:
                kinds[name] = known
    return kinds


def takes_any(inputs):
    """Reports whether a dictionary of inputs claims to contain every name, as packs make them for inputs without end."""
    if inputs is None or type(inputs) is dict:
        return False
    try:
        return PROBE in inputs
    except Exception:
        return False


def jsonable(value, depth=0):
    """Returns a copy of a value as JSON takes it: tuples as lists, subclasses of str as plain text, the rest as its text."""
    if depth > 64:
        return str(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, dict):
        return {k if isinstance(k, str) else str(k): jsonable(v, depth + 1) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)) or type(value).__name__ in ("dict_keys", "dict_values", "odict_keys"):
        return [jsonable(v, depth + 1) for v in value]
    return str(value)


def hello(wire):
    """Receives the first message."""
    message = wire.receive()
    if message is None:
        sys.exit(0)
    if message.get("protocol") != PROTOCOL:
        wire.send({"op": "failed", "error": f"comfygo speaks protocol {message.get('protocol')}, this host {PROTOCOL}"})
        sys.exit(1)
    return message
