"""What packs import as ``io``."""

from ._io import *  # noqa: F403
