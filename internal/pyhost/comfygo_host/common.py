"""What both kinds of host need: packs and their import, routes, descriptions of classes."""

import base64
import hmac
import importlib.util
import inspect
import logging
import os
import sys
import time
import traceback


class PackTable:
    """The packs of the folders of custom nodes, those that may run, and how their import went."""

    def __init__(self, hello):
        self.roots = hello["folders"].get("custom_nodes", [])
        self.off = bool(hello.get("custom_off"))
        self.allowed = hello.get("whitelist", [])
        self.skipped = hello.get("skip", [])
        self.only = hello.get("only")
        self.notify = lambda op, **fields: None
        self.listed = []
        for root in self.roots:
            parent, name = os.path.split(os.path.abspath(root))
            if name == "custom_nodes" and parent not in sys.path:
                sys.path.append(parent)  # packs import each other as custom_nodes.NAME, as in ComfyUI's folder

    def paths(self):
        for root in self.roots:
            try:
                names = sorted(os.listdir(os.path.realpath(root)))
            except OSError:
                continue
            for name in names:
                path = os.path.join(root, name)
                if name == "__pycache__" or name.startswith(".") or path.endswith(".disabled"):
                    continue
                if os.path.isfile(path) and os.path.splitext(path)[1] != ".py":
                    continue
                if self.off and name not in self.allowed:
                    continue
                if name in self.skipped or self.only is not None and name not in self.only:
                    continue
                yield name, path


def prestartup(packs):
    """Runs the packs' prestartup scripts, before anything heavy is imported."""
    for name, path in packs.paths():
        script = os.path.join(path, "prestartup_script.py")
        if not os.path.isfile(script):
            continue
        packs.notify("loading", pack=name)
        try:
            spec = importlib.util.spec_from_file_location(os.path.splitext(script)[0], script)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            logging.error(f"the prestartup script of {name} failed: {error}")
        packs.notify("loading", pack="")


def load_packs(packs, nodes, load):
    """Imports each pack; one that fails is told and the others go on."""
    base = set(nodes.NODE_CLASS_MAPPINGS)
    for name, path in packs.paths():
        before, catch, started = set(nodes.NODE_CLASS_MAPPINGS), Catch(), time.perf_counter()
        error = ""
        packs.notify("loading", pack=name)
        logging.getLogger().addHandler(catch)
        try:
            if not load(path, base):
                error = catch.text() or "the import failed"
        except (Exception, SystemExit):
            error = traceback.format_exc()
        finally:
            logging.getLogger().removeHandler(catch)
        added = [n for n in nodes.NODE_CLASS_MAPPINGS if n not in before]
        packs.notify("loading", pack="")
        packs.listed.append({"name": name, "path": path, "seconds": round(time.perf_counter() - started, 3), "error": error[-4000:], "classes": added})


class Catch(logging.Handler):
    """Keeps the warnings that the import of a pack logs."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.records = []

    def emit(self, record):
        if len(self.records) < 64:
            self.records.append(record.getMessage())

    def text(self):
        return "\n".join(self.records)


class PackRoutes:
    """Routes of the server that packs see, as pairs of method and aiohttp's pattern."""

    def __init__(self, pairs):
        self.pairs = pairs

    @classmethod
    def of(cls, server):
        pairs = [(r.method, r.path) for r in server.routes if hasattr(r, "method")]
        pairs += [("GET", r.prefix + "/{comfygo_rest:.*}") for r in server.routes if hasattr(r, "prefix")]
        for route in server.app.router.routes():
            resource = route.resource
            path = getattr(resource, "canonical", None)
            if path is None:
                continue
            if hasattr(resource, "_prefix"):
                path += "/{comfygo_rest:.*}"
            pairs.append((route.method, path))
        return cls(pairs)

    def without(self, others):
        known = set(others.pairs)
        return PackRoutes([p for p in dict.fromkeys(self.pairs) if p not in known])

    @property
    def listed(self):
        return [list(p) for p in self.pairs]


def info_v1(name, cls, titles):
    """Describes a class of the first API as /object_info does."""
    inputs = cls.INPUT_TYPES()
    outputs = cls.RETURN_TYPES
    info = {
        "input": inputs,
        "input_order": {category: list(group.keys()) for category, group in inputs.items()},
        "is_input_list": getattr(cls, "INPUT_IS_LIST", False),
        "output": outputs,
        "output_is_list": cls.OUTPUT_IS_LIST if hasattr(cls, "OUTPUT_IS_LIST") else [False] * len(outputs),
        "output_name": cls.RETURN_NAMES if hasattr(cls, "RETURN_NAMES") else outputs,
        "name": name,
        "display_name": titles.get(name, name),
        "description": getattr(cls, "DESCRIPTION", ""),
        "python_module": getattr(cls, "RELATIVE_PYTHON_MODULE", "nodes"),
        "category": getattr(cls, "CATEGORY", "sd"),
        "output_node": getattr(cls, "OUTPUT_NODE", False) == True,  # noqa: E712
        "has_intermediate_output": getattr(cls, "HAS_INTERMEDIATE_OUTPUT", False) == True,  # noqa: E712
    }
    if hasattr(cls, "OUTPUT_TOOLTIPS"):
        info["output_tooltips"] = cls.OUTPUT_TOOLTIPS
    for key, attribute in (("deprecated", "DEPRECATED"), ("experimental", "EXPERIMENTAL"), ("dev_only", "DEV_ONLY")):
        if getattr(cls, attribute, False):
            info[key] = True
    if hasattr(cls, "API_NODE"):
        info["api_node"] = cls.API_NODE
    info["search_aliases"] = getattr(cls, "SEARCH_ALIASES", [])
    if hasattr(cls, "ESSENTIALS_CATEGORY"):
        info["essentials_category"] = cls.ESSENTIALS_CATEGORY
    return info


WHOLE_MACHINE = 1 << 50  # bytes; who asks for more wants all to be let go, not to be given it
ROOM_PAUSE, ROOM_WAIT = 10.0, 2.0  # seconds between two requests, and for one


def guard(secret):
    """Returns a middleware that answers none but comfygo, which knows the secret."""
    from aiohttp import web

    @web.middleware
    async def guarded(request, handler):
        if not hmac.compare_digest(request.headers.get("X-Comfygo-Secret", "").encode(), secret.encode()):
            raise web.HTTPForbidden()
        return await handler(request)

    return guarded


class API:
    """What both kinds of host answer to the runner in the same way."""

    runner = None
    secret = ""

    def attach(self, runner):
        self.runner = runner
        self.share_memory()

    def share_memory(self):
        """Has comfygo let go of its models where packs, or ComfyUI for them, ask for memory."""
        management = self.management
        self.unload_own = management.unload_all_models
        self.asked = 0.0

        def unload_all_models():
            self.unload_own()
            self.runner.notify("unload")

        management.unload_all_models = unload_all_models
        free = getattr(management, "free_memory", None)
        if free is None:
            return

        def free_memory(memory_required, device, *arguments, **options):
            result = free(memory_required, device, *arguments, **options)
            self.make_room(memory_required, device)
            return result

        management.free_memory = free_memory

    def make_room(self, required, device):
        """Asks comfygo for its memory where that of a device does not suffice, and waits a little for it."""
        present = self.management.get_free_memory(device)
        if present >= required or required > WHOLE_MACHINE or time.monotonic() - self.asked < ROOM_PAUSE:
            return
        self.runner.notify("unload")
        end = time.monotonic() + ROOM_WAIT
        while time.monotonic() < end and self.management.get_free_memory(device) < required:
            time.sleep(0.05)
        self.asked = time.monotonic()

    async def prepare(self):
        """Does what the server that packs see needs before it serves."""

    async def listen(self, path):
        from aiohttp import web

        await self.prepare()
        if not path.startswith("tcp:"):
            app = web.AppRunner(self.server.app, access_log=None)
            await app.setup()
            await web.UnixSite(app, path).start()
            os.chmod(path, 0o600)
            return path
        self.server.app.middlewares.insert(0, guard(self.secret))
        app = web.AppRunner(self.server.app, access_log=None)
        await app.setup()
        site = web.TCPSite(app, "127.0.0.1", 0)
        await site.start()
        return "tcp:127.0.0.1:%d" % site._server.sockets[0].getsockname()[1]

    def classes(self):
        return self.nodes.NODE_CLASS_MAPPINGS

    def context(self, prompt, node, index):
        return self.node_context(prompt, node, index)

    def before_node(self):
        self.management.interrupt_current_processing(False)

    def graph_prefix(self, node, index):
        self.builder.set_default_prefix(node, index, 0)

    def dynprompt(self, form):
        prompt = self.graph.DynamicPrompt(form["original"])
        for node, entry in form.get("added", {}).items():
            prompt.add_ephemeral_node(node, entry["node"], entry["parent"], entry["display"])
        return prompt

    def is_blocker(self, value):
        return isinstance(value, self.block_type)

    def blocker(self, message):
        return self.block_type(message)

    def interrupt(self):
        self.management.interrupt_current_processing(True)

    def is_interrupt(self, error):
        return isinstance(error, self.management.InterruptProcessingException)

    def on_prompt(self, prompt):
        return self.server.trigger_on_prompt(prompt)

    # Nodes of the schema API

    def use_schemas(self):
        """Takes what it needs of comfy_api, of the checkout or of the stand-ins."""
        from comfy_api.internal import _ComfyNodeInternal, _NodeOutputInternal, first_real_override, make_locked_method_func
        from comfy_api.latest import _io

        self.io, self.node_type, self.output_type = _io, _ComfyNodeInternal, _NodeOutputInternal
        self.override, self.locked = first_real_override, make_locked_method_func

    def is_v3(self, cls):
        return isinstance(cls, type) and issubclass(cls, self.node_type)

    def is_async(self, cls):
        method = self.override(cls, "execute")
        return method is not None and inspect.iscoroutinefunction(getattr(method, "__func__", method))

    def info(self, name):
        cls = self.classes()[name]
        if self.is_v3(cls):
            return cls.GET_NODE_INFO_V1()
        return info_v1(name, cls, self.nodes.NODE_DISPLAY_NAME_MAPPINGS)

    def is_output(self, value):
        return isinstance(value, self.output_type)

    def invoke_v3(self, cls, target, function, inputs, hidden, message):
        raw = {k: v[0] if message.get("lists") and isinstance(v, list) and v else v for k, v in inputs.items()}
        _, wanted, data = self.io.get_finalized_class_inputs(cls.INPUT_TYPES(), raw)
        shown = {}
        for kind in self.io.Hidden:
            if wanted is not None and kind.name in wanted:
                shown[kind] = hidden.get(kind.value if isinstance(kind.value, str) else kind.name.upper(), hidden.get(kind.name.upper()))
        data["hidden_inputs"] = shown
        if message["what"] == "lazy":
            data["create_dynamic_tuple"] = True
        cls.VALIDATE_CLASS()
        clone = cls.PREPARE_CLASS_CLONE(data)
        if message["what"] in ("run", "lazy") or data:
            inputs = self.io.build_nested_inputs(inputs, data)
        return self.locked(cls, function, clone)(**inputs)

    def video(self, path):
        from comfy_api.latest import InputImpl

        return InputImpl.VideoFromFile(path)

    def on_bar(self, value, total, preview, prompt_id=None, node_id=None):
        """Is called by comfy.utils.ProgressBar."""
        context = self.executing()
        if context is not None:
            prompt_id, node_id = prompt_id or context.prompt_id, node_id or context.node_id
        self.management.throw_exception_if_processing_interrupted()
        prompt_id, node_id = prompt_id or self.server.last_prompt_id, node_id or self.server.last_node_id
        self.runner.notify("progress", prompt=prompt_id, node=node_id, value=value, max=total, bar=True, preview=self.runner.preview(preview) if preview is not None else None)


def forward(runner, event, data, sid):
    """Passes on what a pack sends to clients."""
    if isinstance(event, str):
        runner.notify("event", event=event, data=data, client=sid)
        return
    number = int(getattr(event, "value", event))
    if number == 2:  # a preview that is not encoded yet
        shown = runner.preview(data)
        if shown is not None:
            runner.notify("image", image=shown, client=sid)
        return
    if isinstance(data, (bytes, bytearray)):
        runner.notify("binary", number=number, data=base64.b64encode(bytes(data)).decode(), client=sid)
