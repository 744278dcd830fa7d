"""Types of inputs under their older name."""

from comfy_api.latest._input import VideoInput

__all__ = ["VideoInput"]
