"""Writes upstream.json.gz: what ComfyUI makes of LoRA files. For each model its map of LoRA names to weights, and for each
file the adapters that were loaded, by weight, as [form, shape of each tensor or its value, …], and the keys that were not.

usage: python upstream.py COMFYUI_FOLDER MODELS_FOLDER OUT   (ComfyUI 0.33.0; MODELS_FOLDER from tools/checkpoint)
"""
import gzip
import json
import logging
import sys

comfyui, models, out = sys.argv[1:4]
sys.argv = ["main", "--cpu"]
sys.path.insert(0, comfyui)
import comfy.options

comfy.options.enable_args_parsing()
import comfy.lora
import comfy.lora_convert
import comfy.sd
import comfy.utils


class Missed(logging.Handler):
    def __init__(self):
        super().__init__()
        self.keys = []

    def emit(self, record):
        text = record.getMessage()
        if text.startswith("lora key not loaded: "):
            self.keys.append(text.split(": ", 1)[1])


def shape(w):
    return list(w.shape) if hasattr(w, "shape") else w


def record(checkpoint, loras):
    model, clip, _, _ = comfy.sd.load_checkpoint_guess_config(f"{models}/checkpoints/{checkpoint}.safetensors", output_vae=False)
    keys = comfy.lora.model_lora_keys_clip(clip.cond_stage_model, comfy.lora.model_lora_keys_unet(model.model, {}))
    found, missed = {}, {}
    for name in loras:
        file = comfy.lora_convert.convert_lora(comfy.utils.load_torch_file(f"{models}/loras/{name}.safetensors"))
        log = Missed()
        logging.getLogger().addHandler(log)
        loaded = comfy.lora.load_lora(file, keys)
        logging.getLogger().removeHandler(log)
        missed[name] = sorted(log.keys)
        found[name] = {
            key: [a.name] + [shape(w) for w in a.weights] if hasattr(a, "weights") else [a[0], [shape(w) for w in a[1]]]
            for key, a in loaded.items()
        }
    return {"keymap": keys, "loras": found, "missed": missed}


SD15 = "kohya diffusers diffusers-old generic locon conv diff misc dora loha lokr oft boft glora"
result = {
    "sd15": record("sd15-small", ["lora-" + n for n in SD15.split()]),
    "sdxl": record("sdxl-ckpt", ["lora-sdxl-kohya", "lora-sdxl-diffusers"]),
}
with open(out, "wb") as f:
    f.write(gzip.compress(json.dumps(result, sort_keys=True, separators=(",", ":")).encode(), 9, mtime=0))
