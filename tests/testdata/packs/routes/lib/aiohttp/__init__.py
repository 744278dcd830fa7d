"""As much of aiohttp as the host and this pack ask for."""

from . import web  # noqa: F401
