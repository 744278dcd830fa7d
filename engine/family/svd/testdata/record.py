"""What ComfyUI 0.33.0 computes for Stable Video Diffusion (torch 2, CPU, float32): the video VAE with small weights, and the vectors
of the conditioning.

usage: python record.py COMFYUI RECIPE OUT; RECIPE is the folder of recipe.py, whose normal_array makes weights and inputs. The rule of
the weights is that of familytest.Recorded, with the salt "svd".
"""
import json, math, sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
out = sys.argv[3]
sys.argv = ["x", "--cpu"]
import comfy.options
comfy.options.enable_args_parsing()
import torch, recipe
from comfy import model_base
from comfy.ldm.models.autoencoder import AutoencodingEngine
from safetensors.numpy import save_file

config = {"double_z": True, "z_channels": 4, "resolution": 256, "in_channels": 3, "out_ch": 3, "ch": 32, "ch_mult": [1, 2], "num_res_blocks": 1, "attn_resolutions": [], "dropout": 0.0}
vae = AutoencodingEngine(regularizer_config={"target": "comfy.ldm.models.autoencoder.DiagonalGaussianRegularizer"},
                         encoder_config={"target": "comfy.ldm.modules.diffusionmodules.model.Encoder", "params": config},
                         decoder_config={"target": "comfy.ldm.modules.temporal_ae.VideoDecoder", "params": dict(config, video_kernel_size=[3, 1, 1], alpha=0.0)}).eval()
shapes = []
for k, p in vae.state_dict().items():
    v = recipe.normal_array("svd/" + k, list(p.shape))
    if p.dim() > 1:
        v = v / math.sqrt(math.prod(p.shape[1:]))
    elif k.endswith("weight"):
        v = 1 + v / 8
    else:
        v = v / 10
    p.copy_(torch.from_numpy(v.astype("float32")))
    shapes.append([k, list(p.shape)])
tensors = {}
with torch.no_grad():
    for t in (1, 2, 4):
        tensors[f"decode{t}"] = vae.decode(torch.from_numpy(recipe.normal_array(f"svd/z{t}", [t, 4, 5, 6]))).contiguous().numpy()
    tensors["encode"] = vae.encode(torch.from_numpy(recipe.normal_array("svd/x", [1, 3, 8, 12]))).contiguous().numpy()


class Stub:
    embedder = model_base.Timestep(256)
    embedder_512 = model_base.Timestep(512)


noise = torch.zeros(3, 4, 2, 2)
tensors["motion"] = model_base.SVD_img2vid.encode_adm(Stub, fps=12, motion_bucket_id=40, augmentation_level=0.25).numpy()
tensors["motion.default"] = model_base.SVD_img2vid.encode_adm(Stub).numpy()
tensors["orbit"] = model_base.SV3D_u.encode_adm(Stub, augmentation_level=0.5).numpy()
tensors["camera"] = model_base.SV3D_p.encode_adm(Stub, elevation=[10.0, -20.5, 95.0], azimuth=[0.0, 120.0, 725.5], noise=noise).contiguous().numpy()
tensors["camera.fewer"] = model_base.SV3D_p.encode_adm(Stub, elevation=[10.0, -20.5], azimuth=[0.0, 120.0], augmentation_level=0.1, noise=noise).contiguous().numpy()
save_file(tensors, out + ".safetensors")
json.dump({"shapes": shapes}, open(out + ".json", "w"))
