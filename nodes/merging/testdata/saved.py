"""Writes saved.json.gz: names, shapes and metadata of the files that ComfyUI's savers write of small models.

usage: python saved.py COMFYUI_FOLDER MODELS_FOLDER OUT   (ComfyUI 0.33.0); MODELS has the checkpoints of the goldens:
go run ./tools/checkpoint -o MODELS tests/testdata/golden/models/{sd15-small,sdxl-small,clip-l,clip-g}.json.gz
"""
import gzip
import json
import os
import sys
import tempfile

comfyui, models, out = sys.argv[1:4]
sys.argv = ["main", "--cpu"]
sys.path.insert(0, comfyui)
import comfy.options

comfy.options.enable_args_parsing()
import torch
import folder_paths
import comfy.sd
import comfy.utils

folder_paths.set_output_directory(tempfile.mkdtemp())
import nodes
from comfy_extras import nodes_model_merging as merging

done, family = {}, ""


def write(sd, path, metadata=None):
    """Stands in for the writing of files: what would be written is noted."""
    name = f"{family}/{os.path.basename(path)}"
    done[name] = {"tensors": {k: list(v.shape) for k, v in sd.items()}, "metadata": metadata}


comfy.utils.save_torch_file = write
path = lambda kind, name: os.path.join(models, kind, name + ".safetensors")
with torch.no_grad():
    family = "sd15"
    model, clip, vae = comfy.sd.load_checkpoint_guess_config(path("checkpoints", "sd15-small"), output_vae=True, output_clip=True)[:3]
    merging.CheckpointSave().save(model, clip, vae, "checkpoint")
    merging.ModelSave().save(model, "model")
    merging.CLIPSave().save(clip, "clip")
    merging.VAESave().save(vae, "vae")
    family = "sdxl"
    model = comfy.sd.load_diffusion_model(path("diffusion_models", "sdxl-small"))
    clip = comfy.sd.load_clip([path("text_encoders", "clip-l"), path("text_encoders", "clip-g")], clip_type=comfy.sd.CLIPType.STABLE_DIFFUSION)
    merging.CheckpointSave().save(model, clip, vae, "checkpoint")
    merging.CLIPSave().save(clip, "clip")
with gzip.GzipFile(out, "wb", mtime=0) as f:
    f.write(json.dumps(done, separators=(",", ":")).encode())
