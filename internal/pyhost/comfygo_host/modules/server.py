"""The server as packs see it: routes, messages to clients, prompts."""

import asyncio
import logging
from enum import IntEnum

from comfygo_absent import absent

try:
    from aiohttp import web
except ImportError:
    web = None


class BinaryEventTypes(IntEnum):
    PREVIEW_IMAGE = 1
    UNENCODED_PREVIEW_IMAGE = 2
    TEXT = 3
    PREVIEW_IMAGE_WITH_METADATA = 4


class Routes(list):
    """Collects routes by decorators, for an interpreter without aiohttp; nothing serves them."""

    def _add(self, method, path):
        def keep(handler):
            self.append((method, path, handler))
            return handler

        return keep

    def __getattr__(self, name):
        if name not in ("get", "post", "put", "patch", "delete", "head", "view"):
            raise AttributeError(name)
        return lambda path, **options: self._add(name.upper(), path)

    def static(self, *args, **options):
        pass


class Replacements:
    """Replacements of node classes that packs register. comfygo offers those of ComfyUI's own classes only, and says so."""

    def register(self, node_replace):
        logging.warning(f"the replacement of {node_replace.old_node_id} by {node_replace.new_node_id} is not offered to clients: comfygo knows those of ComfyUI's own classes")


class PromptServer:
    instance = None

    def __init__(self, loop):
        PromptServer.instance = self
        self.loop = loop
        self.client_id = self.last_node_id = self.last_prompt_id = None
        self.sockets, self.sockets_metadata = {}, {}
        self.messages = asyncio.Queue()
        self.number = 0
        self.on_prompt_handlers = []
        self.node_replace_manager = Replacements()
        self.prompt_queue = absent("server.PromptServer.prompt_queue")
        self.supports = ["custom_nodes_from_web"]
        self.app, self.routes = None, Routes()
        if web is not None:
            self.app, self.routes = web.Application(client_max_size=100 << 20), web.RouteTableDef()

    def send_sync(self, event, data, sid=None):
        raise RuntimeError("there is no connection yet")

    async def send(self, event, data, sid=None):
        self.send_sync(event, data, sid)

    async def send_json(self, event, data, sid=None):
        self.send_sync(event, data, sid)

    def send_progress_text(self, text, node_id, sid=None):
        self.send_sync("progress_text", {"node": node_id, "text": text}, sid)

    def add_on_prompt_handler(self, handler):
        self.on_prompt_handlers.append(handler)

    def trigger_on_prompt(self, json_data):
        for handler in self.on_prompt_handlers:
            try:
                json_data = handler(json_data)
            except Exception:
                logging.exception("a pack failed on a prompt")
        return json_data

    def add_routes(self):
        if self.app is None:
            return
        twins = web.RouteTableDef()
        for route in self.routes:
            if isinstance(route, web.RouteDef):
                twins.route(route.method, "/api" + route.path)(route.handler, **route.kwargs)
        self.app.add_routes(twins)
        self.app.add_routes(self.routes)
