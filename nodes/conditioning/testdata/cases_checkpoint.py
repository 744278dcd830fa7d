# 20 random calls of the hooks of a checkpoint; see tests/nodecalls/record.py. CHECKPOINTS in the environment is a folder with sd15-small.safetensors,
# which tools/checkpoint makes.
import random, folder_paths
folder_paths.folder_names_and_paths["checkpoints"] = ([os.environ["CHECKPOINTS"]], {".safetensors"})
import comfy.sd
_load, _memo = comfy.sd.load_checkpoint_guess_config, {}
def _cached(path, **k):
    key = (path, repr(sorted((a, b) for a, b in k.items() if isinstance(b, bool))))
    if key not in _memo: _memo[key] = _load(path, **k)
    return _memo[key]
comfy.sd.load_checkpoint_guess_config = _cached
keyframes = lambda g: [[float(k.strength), k.start_percent, k.guarantee_steps] for k in g.keyframes]
DESCRIBE["HookGroup"] = lambda g: [[float(h._strength_model), float(h._strength_clip), keyframes(h.hook_keyframe)] for h in g.hooks]
r = random.Random(16)
f = lambda: r.choice([float(r.randint(-20, 20)), round(r.uniform(-20, 20), 3)])
n = "sd15-small.safetensors"
def prev(d=0):
    if d > 1 or r.random() < 0.5: return {}
    return {"prev_hooks": call("CreateHookModelAsLoraModelOnly", ckpt_name=n, strength_model=f(), **prev(d + 1))}
for i in range(20):
    case("CreateHookModelAsLora", ckpt_name=n, strength_model=f(), strength_clip=f(), **prev())
    case("CreateHookModelAsLoraModelOnly", ckpt_name=n, strength_model=f(), **prev())
