"""A pack that imports another one."""
from custom_nodes.early import MARK


class NeighbourMark:
    RETURN_TYPES, FUNCTION, CATEGORY = ("STRING",), "run", "test"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    def run(self):
        return ("beside one that " + MARK,)


NODE_CLASS_MAPPINGS = {"NeighbourMark": NeighbourMark}
