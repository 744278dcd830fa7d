"""What ComfyUI 0.33.0's duration head of LTX-Video 2 predicts with small weights.

usage: python record_duration.py COMFYUI RECIPE
"""
import json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.ldm.lightricks.av_model import LTXAVModel
from comfy.ldm.lightricks.duration_head import DurationHead

CONFIG = {
    "rope_type": "split", "frequencies_precision": "float64", "caption_channels": 12, "connector_num_attention_heads": 2, "connector_attention_head_dim": 10,
    "audio_connector_attention_head_dim": 8, "caption_proj_before_connector": True, "caption_projection_first_linear": False, "connector_num_layers": 1,
    "num_attention_heads": 2, "attention_head_dim": 10, "audio_num_attention_heads": 2, "audio_attention_head_dim": 8, "cross_attention_dim": 20, "audio_cross_attention_dim": 16,
    "num_layers": 1,
}
r = recording.Recorder("duration", here)


class Both(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.model = LTXAVModel(operations=comfy.ops.disable_weight_init, **CONFIG)
        self.duration_head = DurationHead(20, 16, 16, 2, 4, 12)

    def predict(self, name, tokens, raw):
        y = self.model.preprocess_text_embeds(r.normal(name, 1, tokens, 36), unprocessed=raw)
        return self.duration_head(y[..., :20].float(), y[..., 20:].float())


r.record("duration", Both(), {"made": lambda m: m.predict("made", 9, False), "raw": lambda m: m.predict("raw", 7, True)}, {"config": json.dumps({"transformer": CONFIG})})
