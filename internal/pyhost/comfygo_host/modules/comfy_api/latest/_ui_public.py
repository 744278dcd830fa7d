"""What packs import as ``ui``."""

from ._ui import *  # noqa: F403
