"""What ComfyUI 0.33.0's text encoder of LTX-Video 2 makes of the states of Gemma 3, with small weights.

usage: python record_text.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.text_encoders.lt import DualLinearProjection, LTXAVTEModel

WIDTH, LAYERS, TOKENS = 6, 4, 9


class Model(LTXAVTEModel):
    """The model without its language model, which gives recorded states of which the last tokens are no padding."""

    def __init__(self, kind, projection, states):
        torch.nn.Module.__init__(self)
        self.compat_mode, self.text_projection_type, self.text_encoder_key = False, kind, "states"
        self.execution_device, self.text_embedding_projection = torch.device("cpu"), projection
        mask = torch.tensor([[0, 0, 1, 1, 1, 1, 1, 1, 1]])
        self.gemma3_12b = type("States", (), {"encode_token_weights": lambda self, tokens: (states, None, {"attention_mask": mask})})()

    def state_dict(self):
        sd = self.text_embedding_projection.state_dict()
        keys = {"weight": "aggregate_embed.weight"}
        return {"text_embedding_projection." + keys.get(k, k): v for k, v in sd.items()}


ops = comfy.ops.disable_weight_init
for name, kind, projection in [
    ("text20", "single_linear", ops.Linear(WIDTH * LAYERS, 10, bias=False)),
    ("text23", "dual_linear", DualLinearProjection(WIDTH * LAYERS, 10, 8, operations=ops)),
]:
    r = recording.Recorder(name, here)
    states = r.normal("states", 1, LAYERS, TOKENS, WIDTH)
    r.record(name, Model(kind, projection, states), {"out": lambda m: m.encode_token_weights({"states": None})[0]})
