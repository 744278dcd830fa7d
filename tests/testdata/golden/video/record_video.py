"""Records whole workflows of video and audio models that have no others, by ComfyUI 0.33.0's own server with same_noise.py as a custom node.
The small files need no help: it reads the sizes of these models from their tensors and metadata.

usage: python record_video.py manifests COMFYUI MODELS     the manifests of the small files, without their sums
       go run ./tools/checkpoint -o DIR MODELS/*.json.gz   (these, and those of the collection that the workflows name)
       python record_video.py sums MODELS DIR
       python record_video.py run COMFYUI DIR GOLDEN [CASE …]   workflows and latents into GOLDEN/pipeline/video.*

Needs ComfyUI's requirements.
"""
import json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(here), os.path.join(os.path.dirname(here), "edit")]
import record, record_edit
from record_edit import image, unet, vae


def manifests(comfy, folder):
    sys.path.insert(0, comfy)
    sys.argv = ["x", "--cpu"]
    import comfy.options
    comfy.options.enable_args_parsing()
    import torch
    import comfy.ops
    from comfy.ldm.hunyuan_video.model import HunyuanVideo
    from comfy.ldm.lightricks.av_model import LTXAVModel
    from comfy.ldm.minimax.model import MiniMaxH3Model
    from comfy.ldm.wan import ar_model, model as wan, model_animate, model_animate2, model_wandancer
    o = {"dtype": torch.float16, "device": "meta", "operations": comfy.ops.disable_weight_init}

    def write(name, module, **metadata):
        rows = "\n".join(" ".join([k, *map(str, v.shape)]) for k, v in module.state_dict().items())
        case = {"NAME": name, "TENSORS": rows, "DTYPE": "F16", "DTYPES": {}, "GAIN": {}}
        if metadata:
            case["METADATA"] = {"config": json.dumps({"transformer": metadata})}
        record.manifest(case, folder)

    small = dict(dim=256, ffn_dim=64, num_heads=2, num_layers=2, **o)
    write("wan21-camera", wan.CameraWanModel(model_type="camera", in_dim=32, **small))
    write("wan22-camera", wan.CameraWanModel(model_type="camera_2.2", in_dim=36, **small))
    write("wan-s2v", wan.WanModel_S2V(in_dim=16, **small))
    write("wan-scail", wan.SCAILWanModel(in_dim=20, **small))
    write("wan-scail2", wan.SCAIL2WanModel(in_dim=20, **small))
    write("wan-dancer", model_wandancer.WanDancerModel(in_dim=36, **{**small, "num_layers": 5}))
    write("wan-animate", model_animate.AnimateWanModel(in_dim=36, **{**small, "num_layers": 5}))
    write("wan-flowrvs", wan.WanModel(model_type="t2v", in_dim=16, **small), model_type="flow_rvs")
    write("wan-animate2", model_animate2.WanAnimate2Model(in_dim=36, **small), model_type="animate2")
    write("wan-causal", ar_model.CausalWanModel(model_type="t2v", in_dim=16, **small), causal_ar=True)
    # Half of CLIP-L's width is the text of the video, half that of the audio.
    av = dict(num_attention_heads=2, attention_head_dim=64, audio_num_attention_heads=2, audio_attention_head_dim=32, cross_attention_dim=128, audio_cross_attention_dim=64, num_layers=2,
              caption_channels=384, rope_type="split", frequencies_precision="float64", use_middle_indices_grid=True, causal_temporal_positioning=True, av_ca_timestep_scale_multiplier=1000.0,
              connector_num_attention_heads=2, connector_attention_head_dim=192)
    write("ltxav-clip", LTXAVModel(**av, **o), **av)
    write("minimax-h3", MiniMaxH3Model(hidden_size=96, num_layers=2, token_refiner_num_layers=1, num_attention_heads=3, attention_head_dim=32, ffn_hidden_size=80, latents_dim=24, audio_latents_dim=32,
                                       text_dim=768, timestep_input_dim=32, time_embed_hidden_size=24, time_embed_dim=28, rope_inv_freq_len=4, image_model="minimax_h3", **o))
    hunyuan = dict(context_in_dim=768, hidden_size=256, mlp_ratio=4.0, num_heads=2, depth=1, depth_single_blocks=1, axes_dim=[16, 56, 56], theta=256, qkv_bias=True, meanflow=False, **o)
    first = dict(out_channels=16, patch_size=[1, 2, 2], vec_in_dim=768, byt5=False, meanflow_sum=False, use_cond_type_embedding=False, vision_in_dim=None, guidance_embed=False)
    second = dict(out_channels=32, patch_size=[1, 1, 1], vec_in_dim=None, byt5=True, meanflow_sum=True, use_cond_type_embedding=True, vision_in_dim=1152, guidance_embed=False)
    write("hunyuan-video-i2v", HunyuanVideo(in_channels=33, **hunyuan, **first))
    write("hunyuan-video-skyreels", HunyuanVideo(in_channels=32, **hunyuan, **first))
    write("hunyuan-video15", HunyuanVideo(in_channels=65, **hunyuan, **second))
    write("hunyuan-video15-sr", HunyuanVideo(in_channels=98, **hunyuan, **second))


PROMPTS = ("a photo of a cat", "blurry, low quality")
SIZE = {"width": 64, "height": 64, "length": 9, "batch_size": 1}


def texts(w, type="sd3"):
    c = w("CLIPLoader", clip_name="clip-l.safetensors", type=type, device="default")
    return [w("CLIPTextEncode", text=t, clip=c) for t in PROMPTS]


def save(w, model, given, sampler="euler", scheduler="simple", steps=3, cfg=4.0):
    """Samples from a node's positive and negative conditioning and its latent."""
    positive, negative, latent = given
    w("SaveLatent", filename_prefix="gl/x", samples=w("KSampler", model=model, seed=42, steps=steps, cfg=cfg, sampler_name=sampler, scheduler=scheduler, positive=positive,
                                                      negative=negative, latent_image=latent, denoise=1.0))


def three(node):
    return [[node[0], i] for i in range(3)]


def video(w, name="pub_rgb"):
    return w("RepeatImageBatch", image=image(w, name), amount=9)


def wan(node, model, **inputs):
    """A workflow of a Wan model and the node that makes its conditioning; an input that is a function is a node."""
    def case(w):
        v = vae(w, "vae-wan21")
        p, n = texts(w)
        more = {k: f(w) if callable(f) else f for k, f in inputs.items()}
        save(w, w("ModelSamplingSD3", model=unet(w, model), shift=8.0), three(w(node, positive=p, negative=n, vae=v, **SIZE, **more)))
    return case


def path(w):
    return w("WanCameraEmbedding", camera_pose="Zoom In", width=64, height=64, length=9, speed=1.5, fx=0.5, fy=0.5, cx=0.5, cy=0.5)


def wan_causal(w):
    p, n = texts(w)
    out = w("SamplerCustom", model=unet(w, "wan-causal-small"), add_noise=True, noise_seed=42, cfg=1.0, positive=p, negative=n, sampler=w("SamplerARVideo", num_frame_per_block=1),
            sigmas=w("BasicScheduler", model=unet(w, "wan-causal-small"), scheduler="simple", steps=3, denoise=1.0), latent_image=w("EmptyARVideoLatent", **SIZE))
    w("SaveLatent", filename_prefix="gl/x", samples=out)


def wan_flowrvs(w):
    p, n = texts(w)
    v = vae(w, "vae-wan21")
    encoded = w("VAEEncode", pixels=w("ImageScale", image=video(w), upscale_method="bilinear", width=64, height=64, crop="disabled"), vae=v)
    save(w, unet(w, "wan-flowrvs-small"), (p, n, encoded), cfg=1.0)


def hunyuan_i2v(kind):
    def case(w):
        p, n = texts(w, "stable_diffusion")
        x = w("HunyuanImageToVideo", positive=p, vae=vae(w, "vae-wan21"), guidance_type=kind, start_image=image(w), **SIZE)
        save(w, unet(w, "hunyuan-video-i2v-small"), (x, n, [x[0], 1]), cfg=1.0)
    return case


def skyreels(w):
    p, n = texts(w, "stable_diffusion")
    i = w("InstructPixToPixConditioning", positive=p, negative=n, vae=vae(w, "vae-wan21"), pixels=w("ImageScale", image=image(w), upscale_method="bilinear", width=64, height=64, crop="disabled"))
    save(w, unet(w, "hunyuan-video-skyreels-small"), (i, [i[0], 1], w("EmptyHunyuanLatentVideo", **{**SIZE, "length": 1})), cfg=5.0)


def hunyuan15(w):
    p, n = texts(w, "stable_diffusion")
    save(w, unet(w, "hunyuan-video15-small"), (p, n, w("EmptyHunyuanVideo15Latent", **SIZE)))


def hunyuan15_sr(w):
    p, n = texts(w, "stable_diffusion")
    first = w("KSampler", model=unet(w, "hunyuan-video15-small"), seed=7, steps=1, cfg=1.0, sampler_name="euler", scheduler="simple", positive=p, negative=n,
              latent_image=w("EmptyHunyuanVideo15Latent", **SIZE), denoise=1.0)
    save(w, unet(w, "hunyuan-video15-sr-small"), three(w("HunyuanVideo15SuperResolution", positive=p, negative=n, latent=first, noise_augmentation=0.7)))


def ltxav(part):
    """A workflow that samples a video with audio and keeps one of the two."""
    def case(w):
        p, n = texts(w, "stable_diffusion")
        c = w("LTXVConditioning", positive=p, negative=n, frame_rate=25.0)
        # An empty latent of ACE-Step's audio of this length has the shape of 16 steps of this model's.
        both = w("LTXVConcatAVLatent", video_latent=w("EmptyLTXVLatentVideo", width=128, height=96, length=17, batch_size=1), audio_latent=w("EmptyAceStepLatentAudio", seconds=1.5, batch_size=1))
        x = w("KSampler", model=unet(w, "ltxav-clip-small"), seed=42, steps=3, cfg=3.0, sampler_name="euler", scheduler="simple", positive=c, negative=[c[0], 1], latent_image=both, denoise=1.0)
        w("SaveLatent", filename_prefix="gl/x", samples=[w("LTXVSeparateAVLatent", av_latent=x)[0], part])
    return case


def minimax_h3(part):
    def case(w):
        p, n = texts(w, "stable_diffusion")
        empty = w("EmptyMiniMaxH3LatentAV", width=64, height=64, length=17, batch_size=1)
        x = w("KSampler", model=w("MiniMaxH3SigmaShift", model=unet(w, "minimax-h3-small"), shift_video=6.0, shift_audio=3.0), seed=42, steps=3, cfg=3.0, sampler_name="euler", scheduler="simple", positive=p,
              negative=n, latent_image=empty, denoise=1.0)
        w("SaveLatent", filename_prefix="gl/x", samples=[w("LTXVSeparateAVLatent", av_latent=x)[0], part])
    return case


def audio_again(w):
    m = w("CheckpointLoaderSimple", ckpt_name="stable-audio-ckpt.safetensors")
    p, n = texts(w, "stable_diffusion")
    first = w("KSampler", model=m, seed=42, steps=1, cfg=1.0, sampler_name="euler", scheduler="normal", positive=p, negative=n, latent_image=w("EmptyLatentAudio", seconds=1.0, batch_size=1), denoise=1.0)
    again = w("VAEEncodeAudio", audio=w("VAEDecodeAudio", samples=first, vae=[m[0], 2]), vae=[m[0], 2])
    w("SaveLatent", filename_prefix="gl/x", samples=w("KSampler", model=m, seed=42, steps=3, cfg=5.0, sampler_name="euler", scheduler="normal", positive=p, negative=n, latent_image=again, denoise=0.5))


CASES = {
    "wan21_camera": wan("WanCameraImageToVideo", "wan21-camera-small", start_image=image, camera_conditions=path),
    "wan22_camera": wan("WanCameraImageToVideo", "wan22-camera-small", start_image=image, camera_conditions=path),
    "wan_s2v": wan("WanSoundImageToVideo", "wan-s2v-small", ref_image=image, control_video=lambda w: video(w, "pub_48")),
    "wan_scail": wan("WanSCAILToVideo", "wan-scail-small", pose_video=video, reference_image=lambda w: image(w, "pub_48"), pose_strength=0.8, pose_start=0.0, pose_end=1.0, previous_frame_count=5, video_frame_offset=0),
    "wan_scail2": wan("WanSCAILToVideo", "wan-scail2-small", pose_video=video, pose_video_mask=lambda w: video(w, "pub_48"), reference_image=image, reference_image_mask=lambda w: image(w, "pub_48"),
                      replacement_mode=True, pose_strength=1.0, pose_start=0.0, pose_end=0.7, previous_frame_count=5, video_frame_offset=0),
    "wan_animate2": wan("WanAnimate2ToVideo", "wan-animate2-small", reference_image=image, pose_video=lambda w: video(w, "pub_48"), video_frame_offset=0, pose_strength=0.8, pose_start_percent=0.0,
                        pose_end_percent=0.7, reference_image_strength=1.2),
    "wan_dancer": wan("WanDancerVideo", "wan-dancer-small", start_image=image),
    "wan_animate": wan("WanAnimateToVideo", "wan-animate-small", reference_image=image, pose_video=lambda w: video(w, "pub_48"), continue_motion_max_frames=5, video_frame_offset=0),
    "wan_causal": wan_causal, "wan_flowrvs": wan_flowrvs, "hunyuan_i2v_concat": hunyuan_i2v("v1 (concat)"), "hunyuan_skyreels": skyreels,
    "hunyuan15": hunyuan15, "hunyuan15_sr": hunyuan15_sr, "audio_again": audio_again, "ltxav_video": ltxav(0), "ltxav_audio": ltxav(1), "minimax_h3_video": minimax_h3(0), "minimax_h3_audio": minimax_h3(1),
}


def run(comfy, files, golden, *names):
    record_edit.run(comfy, files, golden, names, CASES, "video", os.path.join(here, "same_noise.py"))


if __name__ == "__main__":
    what, *args = sys.argv[1:]
    {"manifests": manifests, "sums": record_edit.sums, "run": run}[what](*args)
