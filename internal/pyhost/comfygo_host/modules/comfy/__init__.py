"""comfygo's stand-in for ComfyUI's package of models: what node packs use of it without a model."""
