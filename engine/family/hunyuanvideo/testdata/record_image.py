"""What ComfyUI 0.33.0's VAEs of HunyuanImage 2.1 and of its refiner compute with small weights.

usage: python record_image.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
from comfy.ldm.models.autoencoder import AutoencodingEngine


def engine(module, **config):
    config = {"in_channels": 3, "out_channels": 3, "num_res_blocks": 1, "downsample_match_channel": True, "upsample_match_channel": True, **config}
    return AutoencodingEngine(regularizer_config={"target": "comfy.ldm.models.autoencoder.DiagonalGaussianRegularizer"},
                              encoder_config={"target": f"comfy.ldm.hunyuan_video.{module}.Encoder", "params": config},
                              decoder_config={"target": f"comfy.ldm.hunyuan_video.{module}.Decoder", "params": config})


r = recording.Recorder("image21", here)
r.record("image21", engine("vae", block_out_channels=[32, 32, 64, 64, 128, 128], ffactor_spatial=32, z_channels=64), {
    "decode": lambda m: m.decode(r.normal("z", 1, 64, 2, 3)), "encode": lambda m: m.encode(r.normal("x", 1, 3, 64, 96)),
}, every=97)
r = recording.Recorder("refiner", here)
r.record("refiner", engine("vae_refiner", block_out_channels=[32, 32, 64, 64, 64], ffactor_spatial=16, ffactor_temporal=4, z_channels=32, refiner_vae=False), {
    "decode1": lambda m: m.decode(r.normal("z1", 1, 32, 1, 2, 3))[0].movedim(1, 0), "decode2": lambda m: m.decode(r.normal("z2", 1, 32, 2, 2, 3))[0].movedim(1, 0),
    "encode": lambda m: m.encode(r.normal("x", 1, 3, 32, 48)[:, :, None]),
}, every=97)
