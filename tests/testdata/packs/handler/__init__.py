"""Changes prompts before they are checked, and shows who it runs as and with whom."""

import os
import sys

from server import PromptServer

PROBE = "comfygo_packs_seen"
sys.modules.setdefault(PROBE, type(sys)(PROBE))
sys.modules[PROBE].handler = True
GENERATION = "first"


def on_prompt(request):
    for node in request.get("prompt", {}).values():
        text = node.get("inputs", {}).get("text")
        if text == "fail":
            raise ValueError("a handler that fails")
        if text == "change":
            node["inputs"]["text"] = "changed" + ("" if "comfygo" not in request.get("extra_data", {}) else " and seen")
    return request


PromptServer.instance.add_on_prompt_handler(on_prompt)


class Where:
    INPUT_TYPES = classmethod(lambda cls: {"required": {"text": ("STRING", {"default": ""})}})
    RETURN_TYPES, FUNCTION, CATEGORY = ("STRING",), "go", "tests"

    @classmethod
    def IS_CHANGED(cls, text):
        return float("nan")

    def go(self, text):
        if text == "user":
            return (str(os.getuid()),)
        if text == "secrets":
            return (",".join(k for k in os.environ if k.startswith(("COMFYGO_", "SECRET_"))),)
        if text == "unload":
            import comfy.model_management

            comfy.model_management.unload_all_models()
        if text == "with":
            return (str(os.getpid()) + ("+plain" if "plain" in " ".join(sys.modules) else ""),)
        return (GENERATION + " " + text,)


NODE_CLASS_MAPPINGS = {"HandlerWhere": Where}
