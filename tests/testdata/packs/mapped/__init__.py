"""Nodes that a pack offers by the table of the first API: one of the schema API, and some that derive from ComfyUI's own."""

import folder_paths
import nodes
from comfy_api.latest import io
from comfy_extras.nodes_lt import LTXVAddGuide


class Mapped(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="MappedNode", display_name="Mapped", category="tests", inputs=[io.String.Input("text")], outputs=[io.String.Output()])

    @classmethod
    def execute(cls, text):
        return io.NodeOutput(f"{text} of {cls.__name__}")


class Lora(nodes.LoraLoader):
    """Adds an input to those of the class that it derives from."""

    CATEGORY = "tests"

    @classmethod
    def INPUT_TYPES(cls):
        types = super().INPUT_TYPES()
        types["required"]["more"] = ("INT", {"default": 1})
        return types

    def load_lora(self, **inputs):
        return super().load_lora(**inputs)


class Guide(LTXVAddGuide):
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="MappedGuide", category="tests", inputs=[io.Latent.Input("latent")], outputs=[io.Latent.Output()])

    @classmethod
    def execute(cls, latent):
        return LTXVAddGuide.execute(latent)


class Preview(nodes.PreviewImage):
    FUNCTION, CATEGORY = "save", "tests"


class Asks:
    """Tells whether another pack is there, and the path of a file."""

    INPUT_TYPES = classmethod(lambda cls: {"required": {"name": ("STRING", {"default": ""})}})
    RETURN_TYPES, FUNCTION, CATEGORY = ("STRING",), "go", "tests"

    def go(self, name):
        if name == "scale":
            nodes.NODE_CLASS_MAPPINGS["ImageScale"]().upscale()
        return (f"{hasattr(nodes, 'AnotherPack')} {folder_paths.exists_annotated_filepath(name)} {folder_paths.get_annotated_filepath(name)}",)


NODE_CLASS_MAPPINGS = {"MappedNode": Mapped, "MappedLora": Lora, "MappedGuide": Guide, "MappedPreview": Preview, "MappedAsks": Asks}
NODE_DISPLAY_NAME_MAPPINGS = {"MappedNode": "Mapped by name"}
