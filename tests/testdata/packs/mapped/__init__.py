"""A node of the schema API that a pack offers by the table of the first API."""

from comfy_api.latest import io


class Mapped(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="MappedNode", display_name="Mapped", category="tests", inputs=[io.String.Input("text")], outputs=[io.String.Output()])

    @classmethod
    def execute(cls, text):
        return io.NodeOutput(f"{text} of {cls.__name__}")


NODE_CLASS_MAPPINGS = {"MappedNode": Mapped}
NODE_DISPLAY_NAME_MAPPINGS = {"MappedNode": "Mapped by name"}
