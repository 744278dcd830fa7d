"""Records whole workflows that edit images, by ComfyUI 0.33.0's own server with small_sizes.py as a custom node.

usage: python record_edit.py manifests COMFYUI MODELS      the manifests of the small files, without their sums
       go run ./tools/checkpoint -o DIR MODELS/*.json.gz   (these, and those of the collection that the workflows name)
       python record_edit.py sums MODELS DIR
       python record_edit.py run COMFYUI DIR GOLDEN [CASE …]   workflows and latents into GOLDEN/pipeline/edit.*

Needs ComfyUI's requirements.
"""
import glob, gzip, json, os, shutil, subprocess, sys, tempfile, time, urllib.error, urllib.parse, urllib.request
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(here))
import record


def manifests(comfy, folder):
    sys.path[:0] = [comfy, here]
    sys.argv = ["x", "--cpu"]
    import comfy.options
    comfy.options.enable_args_parsing()
    import torch
    import comfy.ops
    from comfy.text_encoders import llama
    import small_sizes
    from comfy.clip_model import CLIPVisionModelProjection
    from comfy.ldm.hunyuan_video.model import HunyuanVideo
    from comfy.ldm.lumina.model import NextDiT
    from comfy.ldm.models.autoencoder import AutoencodingEngine
    from comfy.ldm.omnigen.omnigen2 import OmniGen2Transformer2DModel
    from comfy.ldm.qwen_image.model import QwenImageTransformer2DModel
    from comfy.ldm.wan.vae import WanVAE
    o = {"dtype": torch.float16, "device": "meta", "operations": comfy.ops.disable_weight_init}

    def write(where, name, module, **settings):
        rows = "\n".join(" ".join([k, *map(str, v.shape)]) for k, v in module.state_dict().items())
        case = {"NAME": name, "TENSORS": rows, "DTYPE": "F16", "DTYPES": {}, "GAIN": {}, **settings}
        record.manifest(case, folder, where)

    qwen = {"num_layers": 2, "attention_head_dim": 64, "num_attention_heads": 2, "joint_attention_dim": 128, "axes_dims_rope": (8, 28, 28)}
    write("diffusion_models", "qwen-image-edit", QwenImageTransformer2DModel(**qwen, **o))
    write("diffusion_models", "qwen-image-2511", QwenImageTransformer2DModel(**qwen, default_ref_method="index_timestep_zero", **o))
    write("diffusion_models", "qwen-image-layered", QwenImageTransformer2DModel(**qwen, use_additional_t_cond=True, **o))
    write("diffusion_models", "omnigen2", OmniGen2Transformer2DModel(
        hidden_size=96, num_layers=2, num_refiner_layers=2, num_attention_heads=4, num_kv_heads=2, axes_dim_rope=(8, 8, 8), text_feat_dim=128, timestep_scale=1000.0, **o))
    write("diffusion_models", "z-image-omni", NextDiT(
        in_channels=16, dim=256, n_layers=2, n_heads=2, n_kv_heads=2, axes_dims=[32, 48, 48], axes_lens=[1536, 512, 512], rope_theta=256.0, ffn_dim_multiplier=8.0 / 3.0, qk_norm=True,
        z_image_modulation=True, time_scale=1000.0, pad_tokens_multiple=32, cap_feat_dim=2560, siglip_feat_dim=1152, **o))
    write("diffusion_models", "hunyuan-image-refiner", HunyuanVideo(
        in_channels=128, out_channels=64, patch_size=[1, 1, 1], vec_in_dim=None, context_in_dim=128, hidden_size=256, mlp_ratio=4.0, num_heads=2, depth=1, depth_single_blocks=1,
        axes_dim=[16, 56, 56], theta=256, qkv_bias=True, guidance_embed=False, byt5=False, meanflow=False, use_cond_type_embedding=False, vision_in_dim=None, meanflow_sum=False, **o))
    write("text_encoders", "qwen25-7b", llama.Qwen25_7BVLI({}, torch.float16, "meta", o["operations"]))
    write("text_encoders", "qwen25-3b", llama.Qwen25_3B({}, torch.float16, "meta", o["operations"]))
    write("text_encoders", "qwen3-4b", llama.Qwen3_4B({}, torch.float16, "meta", o["operations"]), DTYPES={"embed_tokens": "F8_E4M3"})
    config = json.load(open(os.path.join(os.path.dirname(small_sizes.comfy.clip_vision.__file__), "clip_vision_siglip2_base_naflex.json")))
    write("clip_vision", "siglip2", CLIPVisionModelProjection({**config, **small_sizes.SIGLIP}, torch.float16, "meta", o["operations"]))
    with torch.device("meta"):
        write("vae", "vae-layered", WanVAE(dim=16, z_dim=16, dim_mult=[1, 2, 4, 4], num_res_blocks=2, attn_scales=[], temperal_downsample=[False, True, True], image_channels=4, conv_out_channels=4, dropout=0.0))
        engine = {"in_channels": 3, "out_channels": 3, "num_res_blocks": 2, "downsample_match_channel": True, "upsample_match_channel": True}
        for name, module, sizes in [
            ("vae-hunyuan-image", "vae", {"block_out_channels": [128, 256, 512, 512, 1024, 1024], "ffactor_spatial": 32, "z_channels": 64}),
            ("vae-hunyuan-refiner", "vae_refiner", {"block_out_channels": [128, 256, 512, 1024, 1024], "ffactor_spatial": 16, "ffactor_temporal": 4, "z_channels": 32, "refiner_vae": False}),
        ]:
            sizes = {**engine, **sizes, **small_sizes.VAES[module]}
            write("vae", name, AutoencodingEngine(
                regularizer_config={"target": "comfy.ldm.models.autoencoder.DiagonalGaussianRegularizer"},
                encoder_config={"target": f"comfy.ldm.hunyuan_video.{module}.Encoder", "params": sizes}, decoder_config={"target": f"comfy.ldm.hunyuan_video.{module}.Decoder", "params": sizes}))


def sums(models, files):
    for path in glob.glob(os.path.join(models, "*.json.gz")):
        m = json.load(gzip.open(path))
        if not m["sha256"]:
            record.add_sum(path, os.path.join(files, m["folder"], m["name"] + ".safetensors"))


class Workflow(dict):
    """An API workflow; a node is added by its class and inputs, which may be nodes, and a link to its output comes back."""

    def __call__(self, _class, _output=0, **inputs):
        id = str(len(self) + 1)
        self[id] = {"class_type": _class, "inputs": inputs}
        return [id, _output]


def sample(w, model, positive, negative, latent, steps=2, cfg=2.5, **more):
    return w("KSampler", model=model, seed=42, steps=steps, cfg=cfg, sampler_name="euler", scheduler="simple", positive=positive, negative=negative, latent_image=latent, denoise=1.0, **more)


def save(w, latent, vae=None):
    w("SaveLatent", samples=latent, filename_prefix="gl/x")
    if vae:
        w("SaveImage", images=w("VAEDecode", samples=latent, vae=vae), filename_prefix="gi/x")


def unet(w, name):
    return w("UNETLoader", unet_name=name + ".safetensors", weight_dtype="default")


def clip(w, name, type):
    return w("CLIPLoader", clip_name=name + ".safetensors", type=type, device="default")


def vae(w, name):
    return w("VAELoader", vae_name=name + ".safetensors")


def image(w, name="pub_rgb"):
    return w("LoadImage", image=name + ".png")


PROMPT = "make the cat blue, keep the garden"


def qwen_edit(w):
    c, v, i = clip(w, "qwen25-7b-small", "qwen_image"), vae(w, "vae-wan21"), image(w)
    positive = w("TextEncodeQwenImageEdit", clip=c, prompt=PROMPT, vae=v, image=i)
    negative = w("TextEncodeQwenImageEdit", clip=c, prompt="", vae=v, image=i)
    model = w("CFGNorm", model=w("ModelSamplingAuraFlow", model=unet(w, "qwen-image-edit-small"), shift=3.0), strength=1.0)
    save(w, sample(w, model, positive, negative, w("EmptySD3LatentImage", width=64, height=48, batch_size=1)), v)


def qwen_edit_plus(w, model="qwen-image-edit-small", method=None):
    c, v = clip(w, "qwen25-7b-small", "qwen_image"), vae(w, "vae-wan21")
    images = {"image1": image(w), "image2": image(w, "pub_48")}
    conditions = [w("TextEncodeQwenImageEditPlus", clip=c, prompt=p, vae=v, **images) for p in (PROMPT, "")]
    if method:
        conditions = [w("FluxKontextMultiReferenceLatentMethod", conditioning=x, reference_latents_method=method) for x in conditions]
    save(w, sample(w, unet(w, model), *conditions, w("EmptySD3LatentImage", width=48, height=64, batch_size=1)))


def qwen_edit_2511(w):
    qwen_edit_plus(w, "qwen-image-2511-small")


def qwen_edit_offset(w):
    qwen_edit_plus(w, method="offset")


def qwen_layered(w):
    c, v = clip(w, "qwen25-7b-small", "qwen_image"), vae(w, "vae-layered-small")
    reference = w("VAEEncode", pixels=w("ImageScale", image=image(w, "pub_rgba"), upscale_method="lanczos", width=64, height=48, crop="disabled"), vae=v)
    conditions = [w("ReferenceLatent", conditioning=w("CLIPTextEncode", clip=c, text=p), latent=reference) for p in (PROMPT, "")]
    latent = w("EmptyQwenImageLayeredLatentImage", width=64, height=48, layers=2, batch_size=1)
    save(w, w("LatentCutToBatch", samples=sample(w, unet(w, "qwen-image-layered-small"), *conditions, latent), dim="t", slice_size=1), v)


def omnigen2(w):
    c, v = clip(w, "qwen25-3b-small", "omnigen2"), vae(w, "vae-flux16")
    latents = [w("VAEEncode", pixels=image(w, name), vae=v) for name in ("pub_rgb", "pub_48")]
    conditions = []
    for p in (PROMPT, "blurry"):
        x = w("CLIPTextEncode", clip=c, text=p)
        for z in latents:
            x = w("ReferenceLatent", conditioning=x, latent=z)
        conditions.append(x)
    guider = w("DualCFGGuider", model=unet(w, "omnigen2-small"), cond1=conditions[0], cond2=conditions[1], negative=w("CLIPTextEncode", clip=c, text="blurry"), cfg_conds=3.0, cfg_cond2_negative=2.0, style="regular")
    latent = w("SamplerCustomAdvanced", noise=w("RandomNoise", noise_seed=42), guider=guider, sampler=w("KSamplerSelect", sampler_name="euler"),
               sigmas=w("BasicScheduler", model=guider_model(w, guider), scheduler="simple", steps=2, denoise=1.0), latent_image=w("EmptySD3LatentImage", width=64, height=48, batch_size=1))
    save(w, latent, v)


def guider_model(w, guider):
    return w[guider[0]]["inputs"]["model"]


def zimage_omni(w):
    c, v = clip(w, "qwen3-4b-small", "lumina2"), vae(w, "vae-flux16")
    e = w("CLIPVisionLoader", clip_name="siglip2-small.safetensors")
    images = {"image1": image(w), "image2": image(w, "pub_48")}
    positive = w("TextEncodeZImageOmni", clip=c, prompt=PROMPT, auto_resize_images=False, image_encoder=e, vae=v, **images)
    negative = w("TextEncodeZImageOmni", clip=c, prompt="", auto_resize_images=False, image_encoder=e, vae=v, **images)
    save(w, sample(w, unet(w, "z-image-omni-small"), positive, negative, w("EmptySD3LatentImage", width=64, height=48, batch_size=1)), v)


def hunyuan_refiner(w):
    c, v, r = clip(w, "qwen25-7b-small", "hunyuan_image"), vae(w, "vae-hunyuan-image-small"), vae(w, "vae-hunyuan-refiner-small")
    x = w("VAEDecode", samples=w("VAEEncode", pixels=w("ImageScale", image=image(w), upscale_method="bilinear", width=64, height=64, crop="disabled"), vae=v), vae=v)
    positive, negative = [w("CLIPTextEncode", clip=c, text=p) for p in (PROMPT, "blurry")]
    n = w("HunyuanRefinerLatent", positive=positive, negative=negative, latent=w("VAEEncode", pixels=x, vae=r), noise_augmentation=0.1)
    save(w, sample(w, unet(w, "hunyuan-image-refiner-small"), n, [n[0], 1], [n[0], 2]), r)


CASES = {f.__name__: f for f in (qwen_edit, qwen_edit_plus, qwen_edit_2511, qwen_edit_offset, qwen_layered, omnigen2, zimage_omni, hunyuan_refiner)}


def tensors(data):
    from safetensors.numpy import load
    return load(data)


def run(comfy, files, golden, names, cases=None, kind="edit", node=None):
    cases = cases or CASES
    from safetensors.numpy import save_file
    base = tempfile.mkdtemp()
    os.makedirs(os.path.join(base, "custom_nodes"))
    shutil.copy(node or os.path.join(here, "small_sizes.py"), os.path.join(base, "custom_nodes"))
    os.symlink(os.path.abspath(files), os.path.join(base, "models"))
    shutil.copytree(os.path.join(os.path.dirname(here), "inputs"), os.path.join(base, "input"))
    port = os.environ.get("PORT", "8391")
    address = "http://127.0.0.1:" + port
    server = subprocess.Popen([sys.executable, "main.py", "--cpu", "--force-fp32", "--fp32-vae", "--fp32-text-enc", "--disable-auto-launch", "--port", port, "--base-directory", base],
                              cwd=comfy, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=open(os.path.join(base, "log"), "w"), stderr=subprocess.STDOUT)
    index, values = {}, {}
    stored = os.path.join(golden, "pipeline", kind)
    if names and os.path.exists(stored + ".json.gz"):
        index, values = json.load(gzip.open(stored + ".json.gz"))["cases"], tensors(open(stored + ".safetensors", "rb").read())
    try:
        get = lambda path, **o: urllib.request.urlopen(urllib.request.Request(address + path, **o)).read()
        for _ in range(600):
            try:
                get("/system_stats")
                break
            except OSError:
                time.sleep(0.5)
        for name in names or cases:
            w = Workflow()
            cases[name](w)
            try:
                id = json.loads(get("/prompt", data=json.dumps({"prompt": w}).encode(), headers={"Content-Type": "application/json"}))["prompt_id"]
            except urllib.error.HTTPError as e:
                raise SystemExit(f"{name}: {e.read().decode()}")
            while id not in (history := json.loads(get("/history/" + id))):
                time.sleep(0.2)
            if history[id]["status"]["status_str"] != "success":
                raise SystemExit(f"{name}: {json.dumps(history[id]['status']['messages'][-1])[:3000]}")
            case = {"workflow": w, "png": [], "latents": {}}
            for output, list_name in (("images", "png"), ("latents", "latents")):
                for place in sorted(history[id]["outputs"], key=int):
                    for i, f in enumerate(history[id]["outputs"][place].get(output, [])):
                        data = get("/view?" + urllib.parse.urlencode(f))
                        if output == "latents":
                            case["latents"]["gl"] = {}
                            z = tensors(data)["latent_tensor"]
                            values[name + "/gl"] = z
                            print(name, z.shape, float(z.std()), float(abs(z).max()))
                        else:
                            file = f"{kind}_{name}_{i}.png"
                            open(os.path.join(golden, "pipeline", file), "wb").write(data)
                            case["png"].append({"file": file})
            index[name] = case
            save_file(values, stored + ".safetensors")
            record.write_json(stored + ".json.gz", {"cases": index})
    finally:
        server.terminate()
        server.wait()
        print(open(os.path.join(base, "log")).read()[-4000:] if sys.exc_info()[0] else "")
        shutil.rmtree(base)


if __name__ == "__main__":
    what, *args = sys.argv[1:]
    {"manifests": manifests, "sums": sums, "run": lambda c, f, g, *names: run(c, f, g, names)}[what](*args)
