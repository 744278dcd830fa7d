"""Providers of cached results. comfygo has its own cache and asks no others: a provider that registers is told so in the log."""

from abc import ABC, abstractmethod
from dataclasses import dataclass


@dataclass
class CacheContext:
    node_id: str
    class_type: str
    cache_key_hash: str


@dataclass
class CacheValue:
    outputs: list
    ui: dict = None


class CacheProvider(ABC):
    @abstractmethod
    async def on_lookup(self, context):
        """Returns a CacheValue, None for one that is not known."""

    @abstractmethod
    async def on_store(self, context, value):
        """Takes a result."""

    def should_cache(self, context, value=None):
        return True

    def on_prompt_start(self, prompt_id):
        pass

    def on_prompt_end(self, prompt_id):
        pass
