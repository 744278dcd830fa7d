"""What ComfyUI 0.33.0's VAEs of videos and sounds compute with small weights (torch 2, CPU, float32).

usage: python record.py COMFYUI RECIPE CASE OUT; RECIPE is the folder of recipe.py, whose normal_array makes weights and inputs, CASE a
function below. familytest.Recorded makes the same weights; the tests state their tolerances. LIMIT in the name of a case's result is
what upstream does in chunks of that size.
"""
import json, math, sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
case, out = sys.argv[3:5]
sys.argv = ["x", "--cpu"]
import comfy.options
comfy.options.enable_args_parsing()
import numpy, torch, recipe
from safetensors.numpy import save_file

tensors, shapes, metadata = {}, [], {}
EVERY = 97  # of the values that are kept


def fill(module, salt, skip=()):
    for k, p in module.state_dict().items():
        v = recipe.normal_array(salt + "/" + k, list(p.shape))
        if k.endswith("running_var"):
            v = 1 + v * v / 8
        elif len(p.shape) > 1:
            v = v / math.sqrt(math.prod(p.shape[1:]))
        elif k.endswith("weight"):
            v = 1 + v / 8
        else:
            v = v / 10
        p.copy_(torch.from_numpy(numpy.asarray(v, dtype="float32")))
        if not k.startswith(tuple(skip) or ("\0",)):
            shapes.append([k, list(p.shape)])
    return module.eval()


def normal(name, *shape):
    return torch.from_numpy(recipe.normal_array(name, list(shape)))


def video(vae, salt, channels, latents, pixels):
    """Decodes latents [frames, rows, columns] and encodes videos of such sizes."""
    for t, h, w in latents:
        tensors[f"decode{t}"] = vae.decode(normal(f"{salt}/z{t}", 1, channels, t, h, w))[0].movedim(1, 0).contiguous().numpy()
    for t, h, w in pixels:
        x = normal(f"{salt}/x{t}", t, 3, h, w)
        tensors[f"encode{t}"] = vae.encode(x.movedim(0, 1)[None]).contiguous().numpy()


def ltxv_with(salt, config):
    from comfy.ldm.lightricks.vae.causal_video_autoencoder import VideoVAE
    metadata["config"] = json.dumps({"vae": config})
    vae = fill(VideoVAE(config=config), salt)
    video(vae, salt, config["latent_channels"], [(1, 2, 3), (3, 2, 3), (5, 2, 3)], [(1, 32, 64), (9, 32, 64), (17, 32, 64)])


def ltxv():
    blocks = [["res_x", 1], ["compress_all", {}], ["res_x_y", 1], ["res_x", {"num_layers": 2}], ["compress_time", 1], ["compress_space", 1], ["compress_all", {}], ["res_x", 1]]
    ltxv_with("ltxv", {"dims": 3, "latent_channels": 128, "encoder_blocks": blocks, "decoder_blocks": blocks, "encoder_base_channels": 8, "decoder_base_channels": 8,
                       "norm_layer": "pixel_norm", "patch_size": 4, "latent_log_var": "uniform"})


def ltxv_deep():
    ltxv_with("ltxv_deep", {
        "dims": 3, "latent_channels": 128, "norm_layer": "pixel_norm", "patch_size": 4, "latent_log_var": "uniform", "encoder_base_channels": 8, "decoder_base_channels": 8,
        "encoder_blocks": [["res_x", 1], ["compress_space_res", {"multiplier": 2}], ["compress_time_res", {"multiplier": 2}], ["res_x", 1], ["compress_all_res", {"multiplier": 2}], ["compress_all_res", {"multiplier": 1}]],
        "decoder_blocks": [["res_x", 1], ["compress_all", {"residual": True, "multiplier": 2}], ["res_x", 2], ["compress_all", {"residual": True, "multiplier": 2}], ["compress_all", {"residual": True, "multiplier": 2}], ["res_x", 1]],
        "causal_decoder": True, "spatial_padding_mode": "zeros", "timestep_conditioning": True, "decode_noise_scale": 0.0})


def hunyuan15():
    from comfy.ldm.models.autoencoder import AutoencodingEngine
    config = {"block_out_channels": [8, 8, 16, 32, 32], "in_channels": 3, "out_channels": 3, "num_res_blocks": 1, "ffactor_spatial": 16, "ffactor_temporal": 4,
              "downsample_match_channel": True, "upsample_match_channel": True, "z_channels": 8}
    vae = AutoencodingEngine(regularizer_config={"target": "comfy.ldm.models.autoencoder.EmptyRegularizer"},
                             encoder_config={"target": "comfy.ldm.hunyuan_video.vae_refiner.Encoder", "params": config},
                             decoder_config={"target": "comfy.ldm.hunyuan_video.vae_refiner.Decoder", "params": config})
    video(fill(vae, "hunyuan15"), "hunyuan15", 8, [(1, 2, 3), (2, 2, 3), (4, 2, 3)], [(1, 32, 64), (5, 32, 64), (13, 32, 64)])


def oobleck():
    from comfy.ldm.audio.autoencoder import AudioOobleckVAE
    vae = fill(AudioOobleckVAE(channels=8, latent_dim=8, c_mults=[1, 2], strides=[2, 4]), "oobleck")
    tensors["decode"] = vae.decode(normal("oobleck/z", 1, 8, 150)).numpy()
    tensors["encode"] = vae.encoder(normal("oobleck/x", 1, 2, 1200)).numpy()


with torch.no_grad():
    globals()[case]()
save_file({k + f"_s{EVERY}": v.flatten()[::EVERY].copy() for k, v in tensors.items()}, out + ".safetensors")
json.dump({"shapes": shapes, "metadata": metadata}, open(out + ".json", "w"))
