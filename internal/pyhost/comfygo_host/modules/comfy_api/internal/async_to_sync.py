"""The API of nodes for functions that are not coroutines."""

import inspect


def run(coroutine):
    """Runs a coroutine of the API, which does not wait for anything, to its end."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise RuntimeError("this call of the API has to wait: use the asynchronous API for it")


class Synchronous:
    """Wraps an object: its coroutine functions return results, and its parts are wrapped as well."""

    def __init__(self, target):
        self._target = target

    def __getattr__(self, name):
        value = getattr(self._target, name)
        if inspect.iscoroutinefunction(value):
            return lambda *args, **kwargs: run(value(*args, **kwargs))
        return Synchronous(value) if hasattr(type(value), "inject_instance") else value


def create_sync_class(async_class, thread_pool_size=10):
    """Returns a class whose objects have the methods of async_class as plain functions."""

    class Sync(Synchronous):
        VERSION = getattr(async_class, "VERSION", None)
        STABLE = getattr(async_class, "STABLE", False)

        def __init__(self, *args, **kwargs):
            super().__init__(async_class(*args, **kwargs))

    Sync.__name__ = Sync.__qualname__ = async_class.__name__ + "Sync"
    Sync.__module__ = async_class.__module__
    return Sync
