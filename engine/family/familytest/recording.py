"""Records what ComfyUI's modules compute with small weights, for familytest.Recorded (torch 2, CPU, float32).

A script beside a family's test data imports it after `prepare`, whose arguments are those of the script: COMFYUI, a checkout, and RECIPE,
the folder of recipe.py, whose normal_array makes weights and inputs.
"""
import json, math, os, sys
import numpy as np


def prepare():
    """Puts the checkout and the recipe on the path, with ComfyUI's options for the CPU."""
    sys.path[:0] = sys.argv[1:3]
    sys.argv = [sys.argv[0], "--cpu"]
    import comfy.options
    comfy.options.enable_args_parsing()


class Recorder:
    """Records modules whose weights and inputs are named after a salt, into a folder."""

    def __init__(self, salt, folder):
        self.salt, self.folder = salt, folder

    def normal(self, name, *shape):
        import recipe, torch
        return torch.from_numpy(recipe.normal_array(f"{self.salt}/{name}", list(shape)))

    def fill(self, module):
        """Fills a module with weights by familytest.Recorded's rule and returns their names and shapes."""
        import recipe, torch
        shapes = []
        for k, p in module.state_dict().items():
            v = recipe.normal_array(f"{self.salt}/{k}", list(p.shape))
            if k.endswith("running_var"):
                v = 1 + v * v / 8
            elif p.dim() > 1:
                v = v / math.sqrt(math.prod(p.shape[1:]))
            elif k.endswith("weight"):
                v = 1 + v / 8
            else:
                v = v / 10
            p.data.copy_(torch.from_numpy(np.asarray(v, dtype="float32")))
            shapes.append([k, list(p.shape)])
        return shapes

    def record(self, name, module, calls, metadata={}, every=1):
        """Fills a module with weights and stores the results of calls, or of some values every so many one, for familytest.CompareSome; metadata is
        that of the file."""
        import torch
        from safetensors.numpy import save_file
        module = module.eval()
        shapes = self.fill(module)
        with torch.no_grad():
            tensors = {key: f(module).contiguous().numpy() for key, f in calls.items()}
        if every > 1:
            tensors = {f"{k}_s{every}": v.reshape(-1)[::every].copy() for k, v in tensors.items()}
        save_file(tensors, os.path.join(self.folder, name + ".safetensors"))
        with open(os.path.join(self.folder, name + ".json"), "w") as f:
            json.dump({"shapes": shapes, **({"metadata": metadata} if metadata else {})}, f)
