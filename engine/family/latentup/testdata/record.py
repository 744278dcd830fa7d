"""What ComfyUI 0.33.0's upscale models of latents compute with small weights.

usage: python record.py COMFYUI RECIPE
"""
import json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import comfy.ops
from comfy.ldm.hunyuan_video.upsampler import SRModel3DV2, Upsampler
from comfy.ldm.lightricks.latent_upsampler import LatentUpsampler

EVERY = 97
SIZES = {"in_channels": 8, "mid_channels": 32, "num_blocks_per_stage": 1, "dims": 3}


class Lean(LatentUpsampler):
    """The blur of a resampler is fixed; it is not filled with weights."""

    def state_dict(self):
        return {k: v for k, v in super().state_dict().items() if not k.endswith("blur_down.kernel")}


for form, config in {
    "space": {}, "time": {"spatial_upsample": False, "temporal_upsample": True}, "both": {"temporal_upsample": True}, "ratio": {"spatial_scale": 1.5, "rational_resampler": True},
    "four": {"spatial_scale": 4.0, "rational_resampler": True}, "flat": {"dims": 2},
}.items():
    config = {**SIZES, **config}
    r = recording.Recorder(form, here)
    r.record(form, Lean.from_config(config, comfy.ops.disable_weight_init), {"out": lambda m: m(r.normal("z", 1, 8, 3, 4, 5))}, {"config": json.dumps(config)}, EVERY)
for form, m in {
    "plain": SRModel3DV2(in_channels=4, out_channels=4, hidden_channels=8, num_blocks=2),
    "stages": Upsampler(z_channels=4, out_channels=4, block_out_channels=(16, 8)),
}.items():
    r = recording.Recorder(form, here)
    r.record(form, m, {"out": lambda m: m(r.normal("z", 1, 4, 3, 4, 5))}, {}, EVERY)
