"""Routes, and HTTP/1.1 that closes each connection after its answer."""

import asyncio
import json


class RouteDef:
    def __init__(self, method, path, handler, kwargs):
        self.method, self.path, self.handler, self.kwargs = method, path, handler, kwargs


class RouteTableDef(list):
    def route(self, method, path, **kwargs):
        def keep(handler):
            self.append(RouteDef(method, path, handler, kwargs))
            return handler

        return keep

    def get(self, path, **kwargs):
        return self.route("GET", path, **kwargs)

    def post(self, path, **kwargs):
        return self.route("POST", path, **kwargs)


class Response(Exception):
    def __init__(self, text="", status=200):
        self.text, self.status = text, status


class Endless(Response):
    """Is sent again and again, as a StreamResponse that never ends."""


class HTTPForbidden(Response):
    def __init__(self):
        super().__init__("forbidden", 403)


def json_response(value):
    return Response(json.dumps(value))


def middleware(function):
    return function


class Request:
    def __init__(self, method, path, headers):
        self.method, self.path, self.headers = method, path, headers


class Router:
    def __init__(self):
        self.known = []

    def routes(self):
        return []  # those of tables are enough


class Application:
    def __init__(self, **options):
        self.router, self.middlewares = Router(), []

    def add_routes(self, table):
        self.router.known.extend(table)

    async def answer(self, request):
        async def found(request):
            for route in self.router.known:
                if route.method == request.method and route.path == request.path:
                    return await route.handler(request)
            return Response("not found", 404)

        handler = found
        for wrap in reversed(self.middlewares):
            handler = (lambda wrap, inner: lambda request: wrap(request, inner))(wrap, handler)
        try:
            return await handler(request)
        except Response as response:
            return response


class AppRunner:
    def __init__(self, app, access_log=None):
        self.app = app

    async def setup(self):
        pass

    async def serve(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {k.title(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
        r = await self.app.answer(Request(method, target.partition("?")[0], headers))
        body = r.text.encode()
        if isinstance(r, Endless):
            writer.write(b"HTTP/1.1 200 -\r\nConnection: close\r\n\r\n")
            while not writer.is_closing():
                writer.write(body)
                await writer.drain()
                await asyncio.sleep(0.001)
            return
        writer.write(f"HTTP/1.1 {r.status} -\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()


class UnixSite:
    def __init__(self, runner, path):
        self.runner, self.path = runner, path

    async def start(self):
        self._server = await asyncio.start_unix_server(self.runner.serve, self.path)


class TCPSite:
    def __init__(self, runner, host, port):
        self.runner, self.host, self.port = runner, host, port

    async def start(self):
        self._server = await asyncio.start_server(self.runner.serve, self.host, self.port)
