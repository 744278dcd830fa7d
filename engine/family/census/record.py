"""Adds samples of families for which there are no goldens of whole checkpoints to samples.txt.gz: names and shapes of small models that ComfyUI 0.33.0's own
detection takes for the family. They come from what record.py of the families stored, from modules of ComfyUI built without weights, and from samples that are
there already, with other shapes. A model that ComfyUI takes for another family is an error.

usage: python record.py COMFYUI
"""
import gzip, json, logging, os, sys
here = os.path.dirname(os.path.abspath(__file__))
root = sys.argv[1]
sys.path.insert(0, root)
sys.argv = sys.argv[:1] + ["--cpu"]
import comfy.options
comfy.options.enable_args_parsing()
import torch
import comfy.model_detection, comfy.ops
from safetensors import safe_open
logging.disable(logging.CRITICAL)
NET, path = "model.diffusion_model.", os.path.join(here, "samples.txt.gz")

samples, name = {}, None
for line in gzip.open(path, "rt"):
    words = line.split()
    if words[0] == "=":
        name = words[1]
        samples[name] = (words[2:], [])
    else:
        samples[name][1].append((words[0], words[1], [int(w) for w in words[2:]]))
samples = {k: v for k, v in samples.items() if not k.startswith("own-")}


def detected(tensors):
    sd = {k: torch.zeros(s, device="meta" if torch.Size(s).numel() > 64 else "cpu") for k, _, s in tensors}
    config = comfy.model_detection.model_config_from_unet(sd, NET if any(k.startswith(NET) for k in sd) else "", use_base_if_no_match=False)
    return type(config).__name__


def add(name, family, tensors, goldens=0, workflows=0):
    got = detected(tensors)
    if got != family:
        raise SystemExit(f"{name} is taken for {got}, not for {family}")
    stored = {t for _, t, s in tensors if len(s) == 2}
    samples["own-" + name] = ([family, "0", str(goldens), str(workflows), ",".join(sorted(stored))], tensors)


for folder, file, family in [
    ("ernie", "ernie", "ErnieImage"), ("hidreamo1", "hidreamo1", "HiDreamO1"), ("ideogram4", "ideogram4", "Ideogram4"), ("joyimage", "joyimage", "JoyImage"),
    ("mageflow", "mageflow", "MageFlow"), ("pixeldit", "pixeldit", "PixelDiTT2I"), ("lens", "lens", "Lens"), ("pixeldit", "pid", "PiD"), ("pixeldit", "pid2", "PiD"), ("radiance", "linear", "ChromaRadiance"), ("radiance", "conv", "ChromaRadiance"), ("boogu", "boogu", "Boogu"),
    ("mochi", "network", "GenmoMochi"), ("cosmos", "network", "CosmosI2V"), ("wan", "humo", "WAN21_HuMo"), ("wan", "s2v", "WAN22_S2V"), ("wan", "scail", "WAN21_SCAIL"),
    ("wan", "scail2", "WAN21_SCAIL2"), ("wan", "camera", "WAN22_Camera"), ("wan", "dancer", "WAN22_WanDancer"), ("wan", "animate", "WAN22_Animate"), ("stableaudio", "three", "StableAudio3"),
    ("hunyuan3d", "two", "Hunyuan3Dv2"), ("hunyuan3d", "guided", "Hunyuan3Dv2"), ("hunyuan3d", "mini", "Hunyuan3Dv2mini"), ("hunyuan3d", "third", "Hunyuan3Dv2_1"),
    ("minimaxh3", "network", "MiniMaxH3"), ("minimaxh3", "curve", "MiniMaxH3"), ("minimaxmusic", "network", "MiniMaxMusic3"),
    ("triposplat", "flow", "TripoSplat"), ("trellis2", "flow", "Trellis2"), ("trellis2", "seen", "Trellis2"), ("trellis2", "texture_flow", "Trellis2"),
]:
    base = os.path.join(here, "..", folder, "testdata", file)
    with open(base + ".json") as f, safe_open(base + ".safetensors", "pt") as values:
        add(f"{folder}-{file}", family, [(k, "F32", s) for k, s in json.load(f)["shapes"]], 3 if folder == "hidreamo1" else len(list(values.keys())))  # of whose values four are no predictions


# The small models of tests/testdata/golden/video that need no metadata, with the workflows that name them.
golden = os.path.join(here, "..", "..", "..", "tests", "testdata", "golden")
workflows = [json.dumps(c) for c in json.load(gzip.open(os.path.join(golden, "pipeline", "video.json.gz")))["cases"].values()]
for file, family in [
    ("wan21-camera", "WAN21_Camera"), ("wan22-camera", "WAN22_Camera"), ("wan-s2v", "WAN22_S2V"), ("wan-scail", "WAN21_SCAIL"), ("wan-scail2", "WAN21_SCAIL2"), ("wan-dancer", "WAN22_WanDancer"),
    ("wan-animate", "WAN22_Animate"), ("hunyuan-video-i2v", "HunyuanVideoI2V"), ("hunyuan-video-skyreels", "HunyuanVideoSkyreelsI2V"), ("hunyuan-video15", "HunyuanVideo15"),
    ("hunyuan-video15-sr", "HunyuanVideo15_SR_Distilled"),
    ("minimax-h3", "MiniMaxH3"),
]:
    m = json.load(gzip.open(os.path.join(golden, "models", file + "-small.json.gz")))
    add(file + "-small", family, [(k, t, s) for k, s, t, *_ in m["tensors"]], workflows=sum(f'"{file}-small.safetensors"' in w for w in workflows))


def built(make):
    with torch.device("meta"):
        return [(k, "F16", list(v.shape)) for k, v in make(operations=comfy.ops.disable_weight_init, dtype=torch.float16, device="meta").state_dict().items()]


from comfy.ldm.hunyuan_video.model import HunyuanVideo
from comfy.ldm.kandinsky5.model import Kandinsky5
from comfy.ldm.lumina.model import NextDiTPixelSpace
from comfy.ldm.seedvr.model import NaDiT
for name, family, channels, out, vision in [
    ("hunyuan15", "HunyuanVideo15", 65, 32, 1152), ("hunyuan15-sr", "HunyuanVideo15_SR_Distilled", 98, 32, 1152), ("hunyuan-refiner", "HunyuanImage21Refiner", 128, 64, None),
]:
    add(name, family, built(lambda **o: HunyuanVideo(
        in_channels=channels, out_channels=out, patch_size=[1, 1, 1], vec_in_dim=None, context_in_dim=3584, hidden_size=256, mlp_ratio=4.0, num_heads=2, depth=1, depth_single_blocks=0,
        axes_dim=[16, 56, 56], theta=256, qkv_bias=True, guidance_embed=False, byt5=True, meanflow=False, use_cond_type_embedding=vision is not None, vision_in_dim=vision,
        meanflow_sum=vision is not None, **o)))
add("kandinsky5-image", "Kandinsky5Image", built(lambda **o: Kandinsky5(
    time_dim=128, model_dim=2560, ff_dim=256, visual_embed_dim=64, num_text_blocks=1, num_visual_blocks=1, axes_dims=(32, 48, 48), **o)))
add("zimage-pixels", "ZImagePixelSpace", built(lambda **o: NextDiTPixelSpace(
    patch_size=32, in_channels=3, dim=3840, n_layers=1, n_refiner_layers=1, n_heads=30, n_kv_heads=30, multiple_of=256, norm_eps=1e-5, qk_norm=True, cap_feat_dim=2560, axes_dims=[32, 48, 48],
    axes_lens=[1536, 512, 512], rope_theta=256.0, ffn_dim_multiplier=8.0 / 3.0, z_image_modulation=True, time_scale=1000.0, pad_tokens_multiple=32, decoder_hidden_size=256,
    decoder_num_res_blocks=1, decoder_max_freqs=8, **o)))

add("seedvr2-3b", "SeedVR2", built(lambda **o: NaDiT(
    norm_eps=1e-5, num_layers=32, vid_dim=32, txt_in_dim=5120, heads=2, head_dim=16, rope_dim=16, mlp_type="swiglu", vid_out_norm=True, **o)))

from comfy.ldm.depth_anything_3.model import DepthAnything3Net
add("depth-anything-3-small", "DepthAnything3", built(lambda **o: DepthAnything3Net(
    backbone_name="vits", out_layers=[5, 7, 9, 11], alt_start=4, qknorm_start=4, rope_start=4, cat_token=True, head_type="dualdpt", head_dim_in=768, head_output_dim=2, head_features=64,
    head_out_channels=[48, 96, 192, 384], has_cam_enc=True, has_cam_dec=True, **o)), 26)
add("depth-anything-3-mono", "DepthAnything3", built(lambda **o: DepthAnything3Net(backbone_name="vitl", head_out_channels=[256, 512, 1024, 1024], **o)), 4)


def edited(source, drop=(), more=(), beside=(), **shapes):
    """A sample without tensors whose names begin so, with others, and with other sizes of axes, by the name with __ for dots."""
    tensors = []
    for k, t, s in samples[source][1]:
        short = k.removeprefix(NET)
        if not any(short.startswith(d) for d in drop):
            axis, size = shapes.get(short.replace(".", "__"), (None, None))
            tensors.append((k, t, s if axis is None else s[:axis] + [size] + s[axis + 1:]))
    prefix = NET if any(k.startswith(NET) for k, _, _ in tensors) else ""
    return tensors + [(prefix + k, "F16", s) for k, s in more] + [(k, "F16", s) for k, s in beside]


def vector(n):
    return [("label_emb.0.0.weight", [1280, n]), ("label_emb.0.0.bias", [1280]), ("label_emb.0.2.weight", [1280, 1280]), ("label_emb.0.2.bias", [1280])]


add("longcat", "LongCatImage", edited("flux-tiny-dev", ["vector_in", "guidance_in"], txt_in__weight=(1, 3584)))
add("hunyuan-i2v", "HunyuanVideoI2V", edited("hunyuan-video-small", img_in__proj__weight=(1, 33)))
add("skyreels", "HunyuanVideoSkyreelsI2V", edited("hunyuan-video-small", img_in__proj__weight=(1, 32)))
add("cosmos2-i2v", "CosmosI2VPredict2", edited("cosmos-predict2-small", x_embedder__proj__1__weight=(1, 72)))
add("unclip-l", "SD21UnclipL", edited("sd2-eps-small", more=vector(1536)))
add("unclip-h", "SD21UnclipH", edited("sd2-eps-small", more=vector(2048)))
add("lotus", "LotusD", edited("sd2-eps-small", more=vector(4)))
add("sdxl-ip2p", "SDXL_instructpix2pix", edited("sdxl-small", input_blocks__0__0__weight=(1, 8)))
add("sv3d-u", "SV3D_u", edited("svd-small", label_emb__0__0__weight=(1, 256)))
add("sv3d-p", "SV3D_p", edited("svd-small", label_emb__0__0__weight=(1, 1280)))
add("zero123", "Stable_Zero123", edited("sd15-small", beside=[("cc_projection.weight", [768, 772]), ("cc_projection.bias", [768])], input_blocks__0__0__weight=(1, 8)))

text = "".join(f"= {name} {' '.join(head)}\n" + "".join(f"{k} {t}{''.join(f' {n}' for n in s)}\n" for k, t, s in tensors) for name, (head, tensors) in samples.items())
with open(path, "wb") as f:
    f.write(gzip.compress(text.encode(), 9, mtime=0))
print(len(samples), "samples,", os.path.getsize(path), "bytes")
