"""comfygo's stand-in for ComfyUI's API of nodes."""
