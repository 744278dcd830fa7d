"""Starts the host: ``python -m comfygo_host ADDRESS``."""

import asyncio
import os
import sys
import traceback

from . import PROTOCOL
from .runner import Runner, hello
from .wire import Wire


def main():
    wire = Wire(sys.argv[1])
    message = hello(wire)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        if message.get("checkout"):
            from .checkout import Checkout as API
        else:
            from .standins import StandIns as API
        api = API(message, loop, lambda op, **fields: wire.send({"op": op, **fields}))
        api.secret = wire.secret
        runner = Runner(wire, message, api, loop)
        ready = api.load()
    except BaseException as error:  # a pack may end the interpreter while it is imported
        traceback.print_exc()
        wire.send({"op": "failed", "error": f"{type(error).__name__}: {error}"})
        os._exit(1)
    runner.start()
    wire.send({"op": "ready", "protocol": PROTOCOL, "python": sys.version.split()[0], **ready})
    loop.run_forever()


if __name__ == "__main__":
    main()
