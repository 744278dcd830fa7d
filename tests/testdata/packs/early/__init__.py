"""A pack with a prestartup script; others import it."""
import os

MARK = os.environ.get("COMFYGO_TEST_EARLY", "did not run")


class EarlyMark:
    RETURN_TYPES, FUNCTION, CATEGORY = ("STRING",), "run", "test"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    def run(self):
        return (MARK,)


NODE_CLASS_MAPPINGS = {"EarlyMark": EarlyMark}
