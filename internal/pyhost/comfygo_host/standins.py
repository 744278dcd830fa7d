"""Packs without a ComfyUI checkout: small modules of our own stand in for what packs import of ComfyUI."""

import os
import sys

from .common import API, PackRoutes, PackTable, forward, load_packs, prestartup


class StandIns(API):
    """What the runner asks where there is no checkout."""

    def __init__(self, hello, loop, notify):
        self.hello, self.loop = hello, loop
        sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "modules"))
        sys.argv = ["main.py"]
        import folder_paths

        folder_paths.set_up(hello["folders"])
        import comfy.samplers
        import comfygo_absent

        comfy.samplers.SAMPLER_NAMES.extend(hello.get("samplers", []))
        comfy.samplers.SCHEDULER_NAMES.extend(hello.get("schedulers", []))
        comfygo_absent.natives.update(hello.get("natives", {}))
        comfygo_absent.install()
        import nodes
        from comfy.cli_args import args

        args.disable_metadata, args.cpu = ("--disable-metadata" in hello["arguments"]), ("--cpu" in hello["arguments"])
        args.base_directory = hello["folders"]["base"]
        nodes.describe_own(comfygo_absent.natives)
        self.packs = PackTable(hello)
        self.packs.notify = notify
        prestartup(self.packs)
        import comfy.model_management
        import comfy.utils
        import comfy_api.latest
        import server
        from comfy_execution import graph, graph_utils, utils

        self.nodes, self.management = nodes, comfy.model_management
        self.use_schemas()
        self.graph, self.builder, self.block_type = graph, graph_utils.GraphBuilder, graph_utils.ExecutionBlocker
        self.node_context, self.executing = utils.CurrentNodeContext, utils.get_executing_context
        self.server = server.PromptServer(loop)
        self.server.send_sync = lambda event, data, sid=None: forward(self.runner, event, data, sid)
        comfy.utils.set_progress_bar_global_hook(self.on_bar)
        comfy_api.latest.PROGRESS = self.on_progress

    def load(self):
        load = lambda path, ignore: self.loop.run_until_complete(self.nodes.load_custom_node(path, ignore))
        load_packs(self.packs, self.nodes, load)
        routes, http = [], None
        if self.server.app is not None:
            routes = PackRoutes.of(self.server).listed
            self.server.add_routes()
            if routes and self.hello.get("http"):
                http = self.loop.run_until_complete(self.listen(self.hello["http"]))
        torch = sys.modules.get("torch")
        return {
            "packs": self.packs.listed, "web": dict(self.nodes.EXTENSION_WEB_DIRS), "routes": routes, "http": http,
            "prompts": len(self.server.on_prompt_handlers) > 0, "torch": torch.__version__ if torch is not None else None,
        }

    # Classes

    def is_core(self, name):
        return False

    # Calls

    def begin(self, message):
        self.server.last_prompt_id, self.server.last_node_id = message["prompt"], message["node"]

    def free(self):
        self.unload_own()
        self.management.soft_empty_cache()

    def on_progress(self, prompt_id, node_id, value, total, image):
        shown = self.runner.preview(image) if image is not None else None
        self.runner.notify("progress", prompt=prompt_id or self.server.last_prompt_id, node=node_id, value=value, max=total, bar=False, preview=shown)
