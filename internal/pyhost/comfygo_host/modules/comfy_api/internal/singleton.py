"""Classes of which there is one object."""


class SingletonMetaclass(type):
    _instances = {}

    def __call__(cls, *args, **kwargs):
        return cls.get_instance(*args, **kwargs)

    def get_instance(cls, *args, **kwargs):
        if cls not in SingletonMetaclass._instances:
            SingletonMetaclass._instances[cls] = super().__call__(*args, **kwargs)
        return SingletonMetaclass._instances[cls]

    def inject_instance(cls, instance):
        if cls in SingletonMetaclass._instances:
            raise AssertionError(f"{cls.__name__} has an instance already")
        SingletonMetaclass._instances[cls] = instance


class ProxiedSingleton(metaclass=SingletonMetaclass):
    """The base of such classes."""

    def __init__(self):
        super().__init__()
