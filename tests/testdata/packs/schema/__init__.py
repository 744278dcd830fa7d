"""Nodes of the schema API, with what the packs of the field import at their top level; for a server without a ComfyUI checkout."""

import asyncio

import comfy.latent_formats
import comfy.ldm.modules.attention
import comfy.lora
import comfy.model_patcher
import comfy.ops
import comfy.utils
import latent_preview
import node_helpers
import server
from comfy import model_management
from comfy.cli_args import args
from comfy.k_diffusion.sampling import to_d
from comfy.ldm.flux.math import apply_rope
from comfy.patcher_extension import CallbacksMP, WrappersMP
from comfy.samplers import KSAMPLER, CFGGuider
from comfy.sd import VAE
from comfy_api import feature_flags
from comfy_api.input import ImageInput, VideoInput
from comfy_api.latest import ComfyExtension, InputImpl, Types, io, ui
from comfy_api.torch_helpers import set_torch_compile_wrapper
from comfy_api.v0_0_2 import ComfyAPI, ComfyAPISync
from comfy_execution.graph_utils import ExecutionBlocker, GraphBuilder
from comfy_extras.nodes_mask import composite
from nodes import MAX_RESOLUTION

IMPORTED = (comfy, latent_preview, node_helpers, server, model_management, args, to_d, apply_rope, CallbacksMP, WrappersMP, ImageInput, VideoInput, Types, composite)
NODES = []


class Guider(CFGGuider):
    """As packs derive from what only a checkout has."""


def node(cls):
    NODES.append(cls)
    return cls


def schema(name, inputs, outputs=(), **more):
    return io.Schema(node_id=name, category="tests", inputs=list(inputs), outputs=list(outputs), **more)


@node
class Show(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema("PackShow", [io.AnyType.Input("value")], [io.AnyType.Output()], is_output_node=True)

    @classmethod
    def execute(cls, value):
        return io.NodeOutput(value, ui=ui.PreviewText(str(value)))


@node
class Widgets(io.ComfyNode):
    """Has every kind of widget, and hidden values."""

    @classmethod
    def define_schema(cls):
        return schema(
            "SchemaWidgets",
            [
                io.Int.Input("whole", default=3, min=0, max=9, step=1, display_mode=io.NumberDisplay.slider, control_after_generate=True, tooltip="A number."),
                io.Float.Input("part", default=0.5, min=0.0, max=1.0, step=0.01, round=0.001, display_mode=io.NumberDisplay.number),
                io.String.Input("text", default="t", multiline=True, placeholder="p", dynamic_prompts=False),
                io.Boolean.Input("yes", default=True, label_on="on", label_off="off"),
                io.Combo.Input("one", options=["a", "b"], default="b"),
                io.Color.Input("color", optional=True),
                io.MultiCombo.Input("many", options=["x", "y"], default=["x"], placeholder="choose", chip=True, optional=True),
                io.Combo.Input("file", options=[], upload=io.UploadType.image, image_folder=io.FolderType.input, optional=True),
                io.Combo.Input("far", remote=io.RemoteOptions("/far", True, timeout=5), optional=True),
                io.MultiType.Input(io.Float.Input("either", default=1.0), [io.Int, io.Image], optional=True, advanced=True),
                io.BoundingBox.Input("box", optional=True),
                io.Curve.Input("curve", optional=True),
                io.Range.Input("range", value_min=0.0, optional=True),
                io.Image.Input("image", optional=True, extra_dict={"more": 1}),
                io.Custom("SCHEMA_OWN").Input("own", optional=True, raw_link=False),
            ],
            [io.String.Output("said", tooltip="What was given."), io.Int.Output(display_name="Whole")],
            display_name="All widgets", description="Has all widgets.", search_aliases=["every"], hidden=[io.Hidden.unique_id, io.Hidden.prompt], is_experimental=True,
            essentials_category="Tests",
        )

    @classmethod
    def validate_inputs(cls, whole):
        return True if whole != 7 else "7 is not taken"

    @classmethod
    def execute(cls, whole, part, text, yes, one, **rest):
        return io.NodeOutput(f"{whole} {part} {text} {yes} {one} {cls.hidden.unique_id} {len(cls.hidden.prompt)} {cls.hidden.dynprompt}", whole)


@node
class Dynamic(io.ComfyNode):
    """Has the inputs that depend on values."""

    @classmethod
    def define_schema(cls):
        template = io.Autogrow.TemplatePrefix(io.Int.Input("n"), prefix="n", min=1, max=4)
        options = [io.DynamicCombo.Option("plain", []), io.DynamicCombo.Option("more", [io.Int.Input("x", default=1), io.Boolean.Input("y", default=False, optional=True)])]
        same = io.MatchType.Template("same", [io.String, io.Int])
        return schema(
            "SchemaDynamic",
            [
                io.Autogrow.Input("all", template=template), io.DynamicCombo.Input("mode", options=options), io.MatchType.Input("first", same, optional=True),
                io.Autogrow.Input("named", template=io.Autogrow.TemplateNames(io.String.Input("s", optional=True), names=["left", "right"], min=0)),
            ],
            [io.String.Output(), io.MatchType.Output(same, display_name="first")],
        )

    @classmethod
    def execute(cls, all, mode, named, first=None):
        return io.NodeOutput(f"{sorted(all.items())} {mode} {named}", first)


@node
class Lists(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema("SchemaLists", [io.Int.Input("n", default=1)], [io.Int.Output(is_output_list=True)], is_input_list=True)

    @classmethod
    def execute(cls, n):
        return io.NodeOutput(list(range(sum(n))))


@node
class Lazy(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema("SchemaLazy", [io.Boolean.Input("first", default=True), io.String.Input("a", lazy=True), io.String.Input("b", lazy=True)], [io.String.Output()])

    @classmethod
    def check_lazy_status(cls, first, a=None, b=None):
        wanted, value = ("a", a) if first else ("b", b)
        return [wanted] if value is None else []

    @classmethod
    def execute(cls, first, a=None, b=None):
        return io.NodeOutput(a if first else b)


@node
class Waits(io.ComfyNode):
    """Is a coroutine and tells how far it is, by the API of the latest version and of an older one."""

    @classmethod
    def define_schema(cls):
        return schema("SchemaWaits", [io.String.Input("text")], [io.String.Output()])

    @classmethod
    async def execute(cls, text):
        await ComfyAPI().execution.set_progress(1, 2)
        await asyncio.sleep(0)
        ComfyAPISync().execution.set_progress(2, 2)
        return io.NodeOutput(text + "!")


@node
class Expands(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema("SchemaExpands", [io.String.Input("text")], [io.String.Output()], enable_expand=True)

    @classmethod
    def execute(cls, text):
        graph = GraphBuilder()
        inner = graph.node("SchemaWaits", text=text)
        return io.NodeOutput(inner.out(0), expand=graph.finalize())


@node
class Other(io.ComfyNode):
    """Returns what else than a NodeOutput a node may return, or keeps to no rule."""

    @classmethod
    def define_schema(cls):
        return schema("SchemaOther", [io.String.Input("how")], [io.String.Output()], not_idempotent=True)

    @classmethod
    def fingerprint_inputs(cls, how):
        return float("nan")

    @classmethod
    def execute(cls, how):
        if how == "tuple":
            return ("of a tuple",)
        if how == "dict":
            return {"result": ("of a dictionary",)}
        if how == "block":
            return ExecutionBlocker("blocked")
        if how == "set":
            cls.kept = 1
        if how == "expand":
            return io.NodeOutput(expand={})
        if how == "guider":
            return io.NodeOutput(Guider(None))
        if how == "vae":
            return io.NodeOutput(VAE(sd={}))
        if how == "compile":
            set_torch_compile_wrapper(None, backend="inductor")
        if how == "video":
            return io.NodeOutput(InputImpl.VideoFromFile("missing.mp4").get_dimensions())
        if how == "replace":
            ComfyAPISync().node_replacement.register(io.NodeReplace("New", "Old"))
            return ("registered",)
        if how == "flags":
            return io.NodeOutput(str(feature_flags.supports_feature({}, "client", "x")) + str(MAX_RESOLUTION) + str(KSAMPLER is not None))
        return "a text"


class Extension(ComfyExtension):
    async def get_node_list(self):
        return NODES


async def comfy_entrypoint():
    return Extension()
