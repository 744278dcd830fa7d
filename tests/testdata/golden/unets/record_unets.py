"""Records whole workflows on U-Nets, by ComfyUI 0.33.0's own server with small_diffusers.py as a custom node.

usage: python record_unets.py manifests COMFYUI MODELS     the manifests of the small files, without their sums
       go run ./tools/checkpoint -o DIR MODELS/*.json.gz   (these, and those of the collection that the workflows name)
       python record_unets.py sums MODELS DIR
       python record_unets.py run COMFYUI DIR GOLDEN [CASE …]   workflows and latents into GOLDEN/pipeline/unets.*

Needs ComfyUI's requirements.
"""
import math, os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(here), os.path.join(os.path.dirname(here), "edit")]
import record, record_edit
from record_edit import image, unet

COMMON = {"use_checkpoint": False, "image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 320, "use_spatial_transformer": True, "legacy": False,
          "use_temporal_attention": False, "use_temporal_resblock": False}
XL = {**COMMON, "num_classes": "sequential", "adm_in_channels": 2816, "use_linear_in_transformer": True, "context_dim": 2048, "num_head_channels": 64}


def manifests(comfy, folder):
    sys.path.insert(0, comfy)
    sys.argv = ["x", "--cpu"]
    import comfy.options
    comfy.options.enable_args_parsing()
    import torch
    import comfy.diffusers_convert, comfy.ops, comfy.utils
    from comfy.ldm.models.autoencoder import AutoencoderKL
    from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
    from comfy.t2i_adapter.adapter import Adapter

    def write(where, name, shapes, gain=1):
        rows = []
        for key, shape in shapes.items():
            if key.endswith(".bias"):
                of = [0, 0.02 * 2.0**-23]
            elif len(shape) == 1:
                of = [1 << 26, 2.0**-26]
            else:
                of = [0, math.sqrt(3 / math.prod(shape[1:])) * gain * 2.0**-23]
            rows.append([key, list(shape), "F16", "u", *of])
        record.write_json(os.path.join(folder, name + ".json.gz"), {
            "name": name, "salt": name, "folder": where, "metadata": None, "sha256": "", "params": sum(math.prod(r[1]) for r in rows), "tensors": rows})

    def shapes(module):
        return {k: v.shape for k, v in module.state_dict().items()}

    def network(**sizes):
        return shapes(UNetModel(**sizes, dtype=torch.float16, device="meta", operations=comfy.ops.disable_weight_init))

    def diffusers(**sizes):
        names = {own: other for other, own in comfy.utils.unet_to_diffusers(sizes).items() if not other.startswith("class_embedding.")}
        return {names[k]: v for k, v in network(**sizes).items()}

    write("diffusion_models", "koala-1b-small", {"model.diffusion_model." + k: v for k, v in network(
        **XL, num_res_blocks=[1, 1, 1], transformer_depth=[0, 2, 6], channel_mult=[1, 1, 1], transformer_depth_middle=1, transformer_depth_output=[0, 0, 1, 0, 1, 0]).items()})
    write("diffusion_models", "ssd-1b-small", network(
        **XL, num_res_blocks=[2, 2, 2], transformer_depth=[0, 0, 2, 2, 4, 4], channel_mult=[1, 1, 1], transformer_depth_middle=-1, transformer_depth_output=[0, 0, 0, 1, 1, 2, 10, 4, 4]))
    write("diffusion_models", "vega-wide", network(
        **XL, num_res_blocks=[2, 2, 2], transformer_depth=[0, 0, 1, 1, 2, 2], channel_mult=[1, 2, 4], transformer_depth_middle=-1, transformer_depth_output=[0] * 9))
    write("diffusion_models", "sdxl-diffusers-small", diffusers(
        **XL, num_res_blocks=[2, 2, 2], transformer_depth=[0, 0, 2, 2, 10, 10], channel_mult=[1, 1, 1], transformer_depth_middle=1, transformer_depth_output=[0, 0, 0, 1, 0, 0, 1, 0, 0]))
    write("diffusion_models", "sd15-diffusers-small", diffusers(
        **COMMON, num_classes=None, adm_in_channels=None, context_dim=768, num_heads=8, num_res_blocks=[2] * 4, transformer_depth=[1, 1, 1, 1, 1, 1, 0, 0],
        channel_mult=[1] * 4, transformer_depth_middle=1, transformer_depth_output=[1] * 9 + [0] * 3))
    with torch.device("meta"):
        write("controlnet", "t2i-xl", shapes(Adapter(cin=768, channels=[320, 640, 1280, 1280], nums_rb=2, ksize=1, sk=True, use_conv=False, xl=True)), 0.5)
        autoencoder = AutoencoderKL(embed_dim=4, ddconfig={"double_z": True, "z_channels": 4, "resolution": 256, "in_channels": 3, "out_ch": 3, "ch": 128, "ch_mult": [1, 2, 4, 4],
                                                           "num_res_blocks": 2, "attn_resolutions": [], "dropout": 0.0})
    sys.path.insert(0, here)
    import small_diffusers
    with torch.device("meta"):
        patch = shapes(small_diffusers.SmallSUPIR(dtype=torch.float16, operations=comfy.ops.disable_weight_init))
    write("model_patches", "supir-small", patch)
    own = {k.replace("control_model.", "model.control_model.").replace("project_modules.", "model.diffusion_model.project_modules."): v for k, v in patch.items()}
    encoder = {"first_stage_model.denoise_encoder." + k: v for k, v in shapes(autoencoder.encoder).items()}
    write("model_patches", "supir-encoder-small", {**own, **encoder})
    parts = [("norm.", "group_norm."), ("q.", "to_q."), ("k.", "to_k."), ("v.", "to_v."), ("proj_out.", "to_out.0.")]
    named = {}
    for key, shape in shapes(autoencoder).items():
        if not key.startswith(("encoder.", "decoder.", "quant_conv.", "post_quant_conv.")):
            continue
        for own, other in comfy.diffusers_convert.vae_conversion_map:
            key = key.replace(own, other)
        before, attention, part = key.partition("attentions.0.")
        if attention:
            own, other = next(p for p in parts if part.startswith(p[0]))
            key, shape = before + attention + other + part[len(own):], shape[:2]
        named[key] = shape
    write("vae", "vae-sd-diffusers", named)


def text(w, c):
    return [w("CLIPTextEncode", text=t, clip=c) for t in ("a photo of a cat", "blurry, low quality")]


def sd15(w):
    c = w("CheckpointLoaderSimple", ckpt_name="sd15-small.safetensors")
    return c, *text(w, [c[0], 1])


def sdxl(w, name):
    clip = w("DualCLIPLoader", clip_name1="clip-l.safetensors", clip_name2="clip-g.safetensors", type="sdxl", device="default")
    return unet(w, name), *text(w, clip)


def sample(w, model, positive, negative, latent=None, steps=3, cfg=5.0, sampler="euler", scheduler="normal", denoise=1.0, size=(64, 64), count=1):
    latent = latent or w("EmptyLatentImage", width=size[0], height=size[1], batch_size=count)
    w("SaveLatent", filename_prefix="gl/x", samples=w("KSampler", model=model, seed=42, steps=steps, cfg=cfg, sampler_name=sampler, scheduler=scheduler,
                                                      positive=positive, negative=negative, latent_image=latent, denoise=denoise))


def control(w, positive, name, strength):
    return w("ControlNetApply", conditioning=positive, control_net=w("ControlNetLoader", control_net_name=name + ".safetensors"), image=image(w), strength=strength)


def shrink(w, model, block, factor, after):
    return w("PatchModelAddDownscale", model=model, block_number=block, downscale_factor=factor, start_percent=0.0, end_percent=0.6, downscale_after_skip=after,
             downscale_method="bicubic", upscale_method="bicubic")


def lazy(w, model, threshold, start, end):
    return w("LazyCache", model=model, reuse_threshold=threshold, start_percent=start, end_percent=end, verbose=False)


def lazy_cache(w):
    m, p, n = sd15(w)
    sample(w, lazy(w, m, 0.6, 0.0, 1.0), p, n, steps=10, cfg=4.0, sampler="euler_ancestral")


def lazy_cache_multistep(w):
    m, p, n = sd15(w)
    sample(w, lazy(w, m, 0.2, 0.15, 0.95), p, n, steps=12, cfg=7.0, sampler="dpmpp_2m", scheduler="karras")


def lazy_cache_areas(w):
    m, p, n = sd15(w)
    p = w("ConditioningCombine", conditioning_1=p, conditioning_2=w("ConditioningSetArea", conditioning=n, width=64, height=64, x=0, y=16, strength=1.0))
    sample(w, lazy(w, m, 0.7, 0.05, 0.9), p, n, steps=8, cfg=6.0, size=(64, 96), count=2)


def tome_shrink(w):
    m, p, n = sd15(w)
    sample(w, shrink(w, w("TomePatchModel", model=m, ratio=0.5), 2, 2.0, True), p, n, steps=4, cfg=7.0)


def shrink_tome(w):
    m, p, n = sd15(w)
    sample(w, w("TomePatchModel", model=shrink(w, m, 2, 1.5, False), ratio=0.5), p, n, steps=4, cfg=7.0, size=(96, 64))


def control_shrink(w):
    m, p, n = sd15(w)
    sample(w, shrink(w, m, 2, 2.0, True), control(w, p, "controlnet-sd15", 0.7), n, steps=4, cfg=7.0)


def control_shrink_early(w):
    m, p, n = sd15(w)
    sample(w, shrink(w, m, 1, 2.0, False), control(w, p, "controlnet-sd15", 0.7), n, steps=4, cfg=7.0, size=(64, 96))


def koala_1b(w):
    m, p, n = sdxl(w, "koala-1b-small")
    m = w("FreeU_V2", model=w("LoraLoaderModelOnly", model=m, lora_name="lora-sdxl-kohya.safetensors", strength_model=0.7), b1=1.3, b2=1.4, s1=0.9, s2=0.2)
    sample(w, m, p, n, steps=4, cfg=6.0, sampler="dpmpp_2m", scheduler="karras", size=(72, 64), count=2)


def lightning(w):
    sample(w, *sdxl(w, "sdxl-diffusers-small"), steps=4, cfg=1.0, scheduler="sgm_uniform")


def lightning_one_step(w):
    m, p, n = sdxl(w, "sdxl-diffusers-small")
    sample(w, w("ModelSamplingDiscrete", model=m, sampling="x0", zsnr=False), p, n, steps=1, cfg=1.0, scheduler="sgm_uniform")


def t2i(name):
    def case(w):
        m, p, n = sdxl(w, name)
        sample(w, m, control(w, p, "t2i-xl", 0.9), n, size=(72, 88), count=2)
    return case


def control_koala(w):
    m, p, n = sdxl(w, "koala-1b-small")
    sample(w, m, control(w, p, "controlnet-sdxl", 0.8), n, size=(72, 64), count=2)


def hyper_lcm(w):
    m, p, n = sdxl(w, "sdxl-diffusers-small")
    m = w("ModelSamplingDiscrete", model=w("LoraLoaderModelOnly", model=m, lora_name="lora-sdxl-kohya.safetensors", strength_model=1.0), sampling="lcm", zsnr=False)
    sample(w, m, p, n, steps=4, cfg=1.0, sampler="lcm", scheduler="sgm_uniform")


def hyper_one_step(w):
    m, p, n = sdxl(w, "sdxl-diffusers-small")
    sigmas = w("SDTurboScheduler", model=m, steps=1, denoise=0.8)
    out = w("SamplerCustom", model=m, add_noise=True, noise_seed=42, cfg=1.0, positive=p, negative=n, sampler=w("KSamplerSelect", sampler_name="lcm"), sigmas=sigmas,
            latent_image=w("EmptyLatentImage", width=64, height=72, batch_size=1))
    w("SaveLatent", filename_prefix="gl/x", samples=[out[0], 0])


def supir(w, model, name, size, start, end, restore, least):
    scaled = w("ImageScale", image=image(w), upscale_method="bilinear", width=size[0], height=size[1], crop="disabled")
    return w("SUPIRApply", model=model, model_patch=w("ModelPatchLoader", name=name + ".safetensors"), vae=w("VAELoader", vae_name="vae-sd.safetensors"), image=scaled,
             strength_start=start, strength_end=end, restore_cfg=restore, restore_cfg_s_tmin=least)


def supir_plain(w):
    m, p, n = sdxl(w, "sdxl-small")
    sample(w, supir(w, m, "supir-small", (64, 64), 1.0, 1.0, 4.0, 0.05), p, n)


def supir_fading(w):
    m, p, n = sdxl(w, "sdxl-small")
    sample(w, supir(w, m, "supir-small", (72, 64), 1.0, 0.4, 0.0, 0.05), p, n, steps=4, sampler="dpmpp_2m", scheduler="karras", size=(72, 64), count=2)


def supir_late(w):
    m, p, n = sdxl(w, "sdxl-small")
    sample(w, supir(w, m, "supir-small", (64, 96), 0.0, 0.9, 1.5, 0.8), p, n, cfg=1.0, size=(64, 96))


def supir_encoder(w):
    m, p, n = sdxl(w, "sdxl-small")
    m = w("FreeU_V2", model=m, b1=1.3, b2=1.4, s1=0.9, s2=0.2)
    sample(w, supir(w, m, "supir-encoder-small", (64, 64), 0.7, 0.7, 2.0, 0.3), control(w, p, "controlnet-sdxl", 0.6), n, steps=4)


def folder(name):
    def case(w):
        d = w("DiffusersLoader", model_path=name)
        p, n = text(w, [d[0], 1])
        sample(w, d, p, n, w("VAEEncode", pixels=image(w), vae=[d[0], 2]), cfg=7.0, denoise=0.7)
    return case


CASES = {f.__name__: f for f in (lazy_cache, lazy_cache_multistep, lazy_cache_areas, tome_shrink, shrink_tome, control_shrink, control_shrink_early, koala_1b, lightning, lightning_one_step, control_koala, hyper_lcm,
                                      hyper_one_step, supir_plain, supir_fading, supir_late, supir_encoder)}
CASES |= {"t2i_vega": t2i("vega-wide"), "t2i_koala": t2i("koala-1b-small"), "t2i_sdxl": t2i("sdxl-small"), "t2i_ssd": t2i("ssd-1b-small"), "diffusers_sd15": folder("sd15"), "diffusers_sdxl": folder("sdxl")}

# The folders of DiffusersLoader, from files of other folders.
FOLDERS = {
    "sd15": {"unet": "diffusion_models/sd15-diffusers-small", "text_encoder": "text_encoders/clip-l", "vae": "vae/vae-sd-diffusers"},
    "sdxl": {"unet": "diffusion_models/sdxl-diffusers-small", "text_encoder": "text_encoders/clip-l", "text_encoder_2": "text_encoders/clip-g", "vae": "vae/vae-sd-diffusers"},
}


def run(comfy, files, golden, *names):
    for name, parts in FOLDERS.items():
        for part, file in parts.items():
            at = os.path.join(files, "diffusers", name, part)
            os.makedirs(at, exist_ok=True)
            to = os.path.join(at, "model.safetensors" if part.startswith("text") else "diffusion_pytorch_model.safetensors")
            if not os.path.lexists(to):
                os.symlink(os.path.abspath(os.path.join(files, file + ".safetensors")), to)
        open(os.path.join(files, "diffusers", name, "model_index.json"), "w").write("{}")
    record_edit.run(comfy, files, golden, names, CASES, "unets", os.path.join(here, "small_diffusers.py"))


if __name__ == "__main__":
    what, *args = sys.argv[1:]
    {"manifests": manifests, "sums": record_edit.sums, "run": run}[what](*args)
