"""comfygo's stand-in for what packs use of the executor."""
