"""Classes from the user's own ComfyUI checkout: its core classes, its partner nodes and the packs, with its real modules."""

import os
import sys

from .common import API, PackRoutes, PackTable, forward, load_packs, prestartup


class Checkout(API):
    """What the runner asks of a ComfyUI checkout."""

    def __init__(self, hello, loop, notify):
        self.hello, self.loop = hello, loop
        root = hello["checkout"]
        sys.path.insert(0, root)
        sys.argv = [os.path.join(root, "main.py"), *hello.get("arguments", [])]
        import comfy.options

        comfy.options.enable_args_parsing()
        from comfy.cli_args import args

        self.args = args
        from app.logger import setup_logger

        setup_logger(log_level="INFO", use_stdout=True)
        import folder_paths

        self.folders = folder_paths
        set_folders(folder_paths, hello["folders"])
        self.packs = PackTable(hello)
        self.packs.notify = notify
        if hello.get("custom"):
            prestartup(self.packs)
        import comfy.model_management
        import comfy.utils
        import execution
        import nodes
        import server
        from comfy_execution import graph, graph_utils, progress, utils

        self.nodes, self.management = nodes, comfy.model_management
        self.use_schemas()
        self.graph, self.builder, self.block_type = graph, graph_utils.GraphBuilder, graph_utils.ExecutionBlocker
        self.progress, self.node_context, self.executing = progress, utils.CurrentNodeContext, utils.get_executing_context
        self.binary = server.BinaryEventTypes
        self.server = server.PromptServer(loop)
        self.core = set()
        self.prompt = None
        comfy.utils.set_progress_bar_global_hook(self.on_bar)
        self.server.send_sync = self.send_sync

    def load(self):
        """Imports everything and returns what the message ready says of it."""
        core = bool(self.hello.get("core"))
        before = PackRoutes.of(self.server)
        if core:
            self.loop.run_until_complete(self.nodes.init_extra_nodes(init_custom_nodes=False, init_api_nodes=bool(self.hello.get("partner"))))
        self.core = set(self.nodes.NODE_CLASS_MAPPINGS)
        own = PackRoutes.of(self.server)
        if self.hello.get("custom"):
            load = lambda path, ignore: self.loop.run_until_complete(self.nodes.load_custom_node(path, ignore, module_parent="custom_nodes"))
            load_packs(self.packs, self.nodes, load)
        routes = PackRoutes.of(self.server).without(own if core else before)
        self.server.add_routes()
        http = None
        if routes.listed and self.hello.get("http"):
            http = self.loop.run_until_complete(self.listen(self.hello["http"]))
        return {
            "packs": self.packs.listed, "web": dict(self.nodes.EXTENSION_WEB_DIRS), "routes": routes.listed, "http": http,
            "prompts": len(self.server.on_prompt_handlers) > 0, "torch": sys.modules["torch"].__version__,
        }

    async def prepare(self):
        await self.server.setup()

    # Classes

    def is_core(self, name):
        return name in self.core

    # Calls

    def begin(self, message):
        self.server.last_prompt_id, self.server.last_node_id = message["prompt"], message["node"]
        self.server.client_id = message.get("client")
        if message["prompt"] != self.prompt and message["what"] == "run":
            self.prompt = message["prompt"]
            self.progress.reset_progress_state(self.prompt, self.graph.DynamicPrompt({}))
            self.progress.add_progress_handler(forwarder(self))

    # Interrupts and memory

    def free(self):
        import gc

        self.unload_own()
        gc.collect()
        self.management.soft_empty_cache()

    # The server that packs see

    def send_sync(self, event, data, sid=None):
        forward(self.runner, event, data, sid)


def forwarder(api):
    """Makes a handler that passes the progress on which nodes set by the API for nodes."""

    class Forward(api.progress.ProgressHandler):
        def __init__(self):
            super().__init__("comfygo")

        def update_handler(self, node_id, value, max_value, state, prompt_id, image=None):
            shown = api.runner.preview(image) if image is not None else None
            api.runner.notify("progress", prompt=prompt_id, node=node_id, value=value, max=max_value, bar=False, preview=shown)

    return Forward()


def set_folders(folder_paths, folders):
    """Puts comfygo's folders in the place of those that the checkout has found."""
    for name, kind in (("output", "output"), ("input", "input"), ("temp", "temp"), ("user", "user")):
        if folders.get(name):
            getattr(folder_paths, f"set_{kind}_directory")(folders[name])
    for kind, roots in folders.get("models", {}).items():
        known = folder_paths.folder_names_and_paths.get(kind)
        folder_paths.folder_names_and_paths[kind] = (list(roots), known[1] if known else set(folder_paths.supported_pt_extensions))
