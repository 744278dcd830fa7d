"""What ComfyUI 0.33.0's VAE of LTX-Video 2.5 computes with small weights, in one step and in two that predict velocities.

usage: python record_diffusion.py COMFYUI RECIPE
"""
import json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
from comfy.ldm.lightricks.vae.na_diffusion_decoder import CausalDiffusionVAE

ENCODER = {"dims": 3, "in_channels": 3, "out_channels": 128, "patch_size": 4, "latent_log_var": "constant", "norm_layer": "pixel_norm", "base_channels": 8, "spatial_padding_mode": "zeros",
           "blocks": [["res_x", {"num_layers": 1}], ["compress_space_res", {"multiplier": 2}], ["compress_time_res", {"multiplier": 2}], ["compress_all_res", {"multiplier": 2}], ["compress_all_res", {"multiplier": 1}]]}
DECODER = {"in_channels": 128, "out_channels": 3, "patch_size": 4, "head_dim": 16, "stage_channels": [128, 64, 32, 32, 16], "stage_depths": [1, 1, 1, 1, 2],
           "stage_kernels": [[3, 7, 7], [3, 3, 3], [3, 5, 5], [3, 5, 5], [11, 11, 11]], "upsamples": [[[1, 2, 2], 2], [[2, 1, 1], 2], [[2, 2, 2], 1], [[2, 2, 2], 2]], "stage5_kernel": [11, 11, 11]}

for name, output, more in (("diffusion", "x0", {}), ("velocity", "v", {"default_num_inference_steps": 2, "stage5_kernel": [3, 5, 5], "stage_depths": [1, 0, 0, 0, 1], "t_emb_dim": 16})):
    config = {"model_output_type": output, "encoder": ENCODER, "decoder": {**DECODER, **more}}
    r = recording.Recorder(name, here)
    calls = {f"decode{t}": lambda vae, z=r.normal(f"z{t}", 1, 128, t, 2, 3): vae.decode(z)[0].movedim(1, 0) for t in ((3,) if name == "diffusion" else (1, 3))}
    calls["encode9"] = lambda vae: vae.encode(r.normal("x9", 9, 3, 32, 64).movedim(0, 1)[None])
    r.record(name, CausalDiffusionVAE(config=config), calls, {"config": json.dumps({"vae": config})}, 97)
