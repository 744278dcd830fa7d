"""Devices, memory and interrupts as packs ask for them; this process has no models of its own."""

import gc
import sys
import threading


class InterruptProcessingException(Exception):
    """Ends a node when the user interrupts its job."""


_interrupted = False
_lock = threading.RLock()


def interrupt_current_processing(value=True):
    global _interrupted
    with _lock:
        _interrupted = value


def processing_interrupted():
    with _lock:
        return _interrupted


def throw_exception_if_processing_interrupted():
    global _interrupted
    with _lock:
        if _interrupted:
            _interrupted = False
            raise InterruptProcessingException()


def _torch():
    import torch

    return torch


def get_torch_device():
    torch = _torch()
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    if hasattr(torch.backends, "mps") and torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def intermediate_device():
    return _torch().device("cpu")


def intermediate_dtype():
    return _torch().float32


def cpu_device():
    return _torch().device("cpu")


unet_offload_device = text_encoder_offload_device = vae_offload_device = intermediate_device
text_encoder_device = vae_device = get_torch_device


def get_free_memory(dev=None, torch_free_too=False):
    torch = _torch()
    dev = dev or get_torch_device()
    if dev.type == "cuda":
        free = torch.cuda.mem_get_info(dev)[0]
    else:
        try:
            with open("/proc/meminfo") as f:
                free = next(int(line.split()[1]) * 1024 for line in f if line.startswith("MemAvailable"))
        except (OSError, StopIteration):
            free = 1 << 32
    return (free, free) if torch_free_too else free


def is_device_cpu(device):
    return getattr(device, "type", device) == "cpu"


def should_use_fp16(*args, **kwargs):
    return False


def should_use_bf16(*args, **kwargs):
    return False


def unload_all_models():
    gc.collect()


def soft_empty_cache(force=False):
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def load_models_gpu(models, *args, **kwargs):
    raise RuntimeError("models are loaded by a ComfyUI checkout only: start comfygo with --comfyui DIR")


def load_model_gpu(model):
    return load_models_gpu([model])
