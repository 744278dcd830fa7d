"""Adds routes to the server, a script for browsers, and a node that sends a message to clients."""

from aiohttp import web
from server import PromptServer

WEB_DIRECTORY = "web"
routes = PromptServer.instance.routes


@routes.get("/packroutes/headers")
async def headers(request):
    return web.json_response(sorted(name.lower() for name in request.headers))


@routes.get("/packroutes/endless")
async def endless(request):
    return web.Endless("x" * 4096)


@routes.post("/packroutes/echo")
async def echo(request):
    return web.json_response(request.path)


class Sends:
    INPUT_TYPES = classmethod(lambda cls: {"required": {"text": ("STRING", {"default": ""})}})
    RETURN_TYPES, FUNCTION, CATEGORY, OUTPUT_NODE = ("STRING",), "go", "tests", True

    @classmethod
    def IS_CHANGED(cls, text):
        return float("nan")

    def go(self, text):
        PromptServer.instance.send_sync("packroutes.sent", {"text": text})
        return (text,)


NODE_CLASS_MAPPINGS = {"RoutesSends": Sends}
