"""The schema API of nodes is ComfyUI's own code."""

raise ImportError("this pack uses comfy_api.latest, which takes a ComfyUI checkout: start comfygo with --comfyui DIR")
