"""The process in which comfygo runs Python node packs.

comfygo starts it as ``python -m comfygo_host SOCKET`` and talks to it by the protocol of docs/python-host.md. It needs
nothing but the standard library; torch and a ComfyUI checkout are used where the interpreter and the user have them.
"""

PROTOCOL = 1
