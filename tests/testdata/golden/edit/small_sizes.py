"""A custom node that lets ComfyUI 0.33.0 load small files of models whose sizes it does not read from the file: transformers get the
sizes that the shapes of their tensors show, text encoders and image encoders those of record.py's files. It has no node."""
import functools, json, os, tempfile
import comfy.clip_vision
import comfy.model_detection
import comfy.supported_models
import comfy.ldm.hunyuan_video.vae, comfy.ldm.hunyuan_video.vae_refiner
from comfy.text_encoders import llama, qwen_vl

NODE_CLASS_MAPPINGS = {}

# The sizes of record.py's files.
TEXT = {
    "Qwen25_7BVLI_Config": {"hidden_size": 128, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 8, "num_key_value_heads": 4},
    "Qwen25_3BConfig": {"hidden_size": 128, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2},
    "Qwen3_4BConfig": {"intermediate_size": 64, "num_attention_heads": 2, "num_key_value_heads": 1},
}
TOWER = {"hidden_size": 128, "intermediate_size": 96, "num_layers": 8}
SIGLIP = {"intermediate_size": 64}
VAES = {"vae": {"block_out_channels": [32, 32, 64, 64, 128, 128]}, "vae_refiner": {"block_out_channels": [32, 32, 64, 64, 64]}}


def qwen_image(shape):
    head = shape("transformer_blocks.0.attn.norm_q.weight")[0]
    side = (head - head // 8) // 2
    return {"attention_head_dim": head, "num_attention_heads": shape("img_in.weight")[0] // head, "joint_attention_dim": shape("txt_norm.weight")[0],
            "axes_dims_rope": (head - 2 * side, side, side)}


def omnigen2(shape):
    width, head = shape("x_embedder.weight")[0], shape("noise_refiner.0.attn.norm_q.weight")[0]
    return {"hidden_size": width, "num_attention_heads": width // head, "num_kv_heads": shape("noise_refiner.0.attn.to_k.weight")[0] // head, "num_layers": 2,
            "axes_dim_rope": [head // 3] * 3, "text_feat_dim": shape("time_caption_embed.caption_embedder.0.weight")[0]}


def lumina2(shape):
    width = shape("cap_embedder.1.weight")[0]
    if width in (2304, 3840):
        return {}
    heads = width // 128
    omni = shape("siglip_embedder.0.weight")
    return {"n_heads": heads, "n_kv_heads": heads, "axes_dims": [32, 48, 48], "axes_lens": [1536, 512, 512], "rope_theta": 256.0, "ffn_dim_multiplier": 8.0 / 3.0,
            "z_image_modulation": True, "time_scale": 1000.0, "pad_tokens_multiple": 32, **({"siglip_feat_dim": omni[0]} if omni else {})}


READ = {"qwen_image": qwen_image, "omnigen2": omnigen2, "lumina2": lumina2}


def detection(of):
    def detect(state_dict, key_prefix, *args, **kwargs):
        config = of(state_dict, key_prefix, *args, **kwargs)
        read = READ.get((config or {}).get("image_model"))
        if read:
            config.update(read(lambda k: tuple(state_dict[key_prefix + k].shape) if key_prefix + k in state_dict else ()))
        return config
    return detect


def smaller(of, sizes):
    """A class whose settings are overridden, but for the small files themselves and for videos' VAEs."""
    class Smaller(of):
        def __init__(self, **o):
            super().__init__(**o if o.get("refiner_vae", True) and "ffactor_temporal" in o else {**o, **sizes})
    return Smaller


def install():
    comfy.model_detection.detect_unet_config = detection(comfy.model_detection.detect_unet_config)
    comfy.supported_models.ZImage.unet_config = {"image_model": "lumina2", "z_image_modulation": True}
    for name, sizes in TEXT.items():
        setattr(llama, name, functools.partial(getattr(llama, name), **sizes))
    tower = qwen_vl.Qwen2VLVisionTransformer
    qwen_vl.Qwen2VLVisionTransformer = lambda **o: tower(**{**o, **TOWER})
    load = comfy.clip_vision.ClipVisionModel.__init__

    def vision(self, config):
        if str(config).endswith("naflex.json"):
            sizes = {**json.load(open(config)), **SIGLIP}
            config = os.path.join(tempfile.mkdtemp(), "naflex.json")
            json.dump(sizes, open(config, "w"))
        load(self, config)
    comfy.clip_vision.ClipVisionModel.__init__ = vision
    for name, sizes in VAES.items():
        module = getattr(comfy.ldm.hunyuan_video, name)
        for half in ("Encoder", "Decoder"):
            setattr(module, half, smaller(getattr(module, half), sizes))


install()
