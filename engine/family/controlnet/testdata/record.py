"""Records what ComfyUI's own ControlNets give for small synthetic weights: controls.json.gz and controls.safetensors.

  python record.py COMFYUI [CASE ...]

COMFYUI is a checkout of ComfyUI 0.33.0; Python needs what it requires. Weights and inputs are values that the test makes
alike from their names: uniform((n + bias) * amp * 2^-23), see internal/recipe. With names, only those cases are made and
nothing is written but their largest values."""
import gzip, json, math, os, sys

HERE = os.path.dirname(os.path.abspath(__file__))
COMFY, ONLY = sys.argv[1], sys.argv[2:]
sys.argv = sys.argv[:1] + ["--cpu"]
sys.path.insert(0, COMFY)
import numpy as np, torch
import comfy.options
comfy.options.enable_args_parsing()
import comfy.cldm.cldm, comfy.controlnet, comfy.ops, comfy.t2i_adapter.adapter
import comfy.model_management
torch.set_num_threads(1)
OPS = comfy.ops.disable_weight_init
M64, GOLD = (1 << 64) - 1, 0x9E3779B97F4A7C15


def ints(name, count):
    h = 0xcbf29ce484222325
    for c in ("input:" + name).encode():
        h = ((h ^ c) * 0x100000001b3) & M64
    with np.errstate(over="ignore"):
        z = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(GOLD) + np.uint64(h)
        z ^= z >> np.uint64(30); z *= np.uint64(0xBF58476D1CE4E5B9)
        z ^= z >> np.uint64(27); z *= np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31); z >>= np.uint64(40)
    return z.view(np.int64) - (1 << 23)


def uniform(name, shape, amp=1.0, bias=0):
    n = int(np.prod(shape))
    v = (ints(name, n) + bias).astype(np.float64) * np.float64(amp * 2.0 ** -23)
    return torch.from_numpy(v.astype(np.float32).reshape(shape))


class Weights:
    """the tensors of one file, and how they are made"""
    def __init__(self, case):
        self.case, self.list, self.sd = case, [], {}

    def add(self, name, shape, amp=None, bias=0):
        shape = list(shape)
        if amp is None:
            if len(shape) == 1 and (name.endswith("weight") or name.endswith("scale")):
                amp, bias = 0.1, 10 << 23                     # scales of norms: around 1
            elif len(shape) < 2:
                amp = 0.1
            else:
                amp = 1.5 / math.sqrt(int(np.prod(shape[1:])))
        self.list.append([name, shape, amp, bias])
        self.sd[name] = uniform(self.case + "/" + name, shape, amp, bias)

    def module(self, m, name=lambda n: n):
        for n, t in m.state_dict().items():
            self.add(name(n), t.shape)


CASES, BLOBS = [], {}


def case(name, w, inputs, outputs, types=(), base=None, extra=None):
    """outputs: {"input": list by block, "middle": list, "output": list}; equal tensors are stored once"""
    out = {}
    for kind, values in outputs.items():
        refs, seen = [], {}
        for v in values:
            if v is None:
                refs.append(None)
                continue
            if id(v) not in seen:
                key = f"{name}.{kind}.{len(seen)}"
                flat = v.detach().float().flatten()
                step = max(1, flat.numel() // 500)
                BLOBS[key] = flat[::step].clone()
                seen[id(v)] = {"key": key, "shape": list(v.shape), "step": step}
            refs.append(seen[id(v)])
        out[kind] = refs
    CASES.append({"name": name, "weights": w.list, "inputs": [[k, list(s), a, b] for k, (s, a, b) in inputs.items()],
                  "types": list(types), "base": base.list if base else [], "outputs": out})


def values(name, inputs):
    return {k: uniform(name + "/in/" + k, s, a, b) for k, (s, a, b) in inputs.items()}


def wanted(name):
    return not ONLY or name in ONLY


RECORDERS = []


def recorder(f):
    RECORDERS.append(f)
    return f


UNET = dict(image_size=32, in_channels=4, hint_channels=3, num_res_blocks=[1, 1], channel_mult=(1, 2), transformer_depth=[0, 1],
            transformer_depth_middle=1, use_spatial_transformer=True, legacy=False, dtype=torch.float32, device="cpu", operations=OPS)
PIXELS = lambda s: (s, 0.5, 1 << 23)  # 0…1


def unet_case(name, config, x, context, y=None, types=(), prefix="", load=False):
    m = comfy.cldm.cldm.ControlNet(**UNET, **config)
    w = Weights(name)
    w.module(m, lambda n: prefix + n)
    if load:
        net = comfy.controlnet.load_controlnet_state_dict(dict(w.sd))
        m = net.control_model
    else:
        m.load_state_dict(w.sd)
    inputs = {"x": (x, 1.7, 0), "hint": PIXELS([x[0], 3, x[2] * 8, x[3] * 8]), "timesteps": ([x[0]], 0.0, 0), "context": (context, 1.7, 0)}
    inputs["timesteps"] = ([x[0]], 100.0, 5 << 23)
    v = dict(inputs)
    if y:
        inputs["y"] = (y, 1.0, 0)
    v = values(name, inputs)
    extra = {"y": v["y"]} if y else {}
    with torch.no_grad():
        out = m(x=v["x"], hint=v["hint"], timesteps=v["timesteps"], context=v["context"], control_type=list(types), **extra)
    case(name, w, inputs, {"middle": out["middle"], "output": out["output"]}, types)


@recorder
def sd2():
    if wanted("sd2"):
        unet_case("sd2", dict(model_channels=320, context_dim=1024, num_head_channels=64, use_linear_in_transformer=True), [2, 4, 8, 6], [2, 9, 1024], prefix="control_model.", load=True)


@recorder
def union():
    config = dict(model_channels=320, context_dim=2048, num_head_channels=64, use_linear_in_transformer=True, num_classes="sequential",
                  adm_in_channels=2816, union_controlnet_num_control_type=6)
    for name, types in (("union-auto", ()), ("union-canny", (3,))):
        if wanted(name):
            unet_case(name, config, [2, 4, 4, 6], [2, 9, 2048], [2, 2816], types)


def t2i_case(name, m, rename, hint, reverse=True):
    w = Weights(name)
    w.module(m, rename)
    net = comfy.controlnet.load_t2i_adapter(dict(w.sd))
    inputs = {"hint": PIXELS(hint)}
    with torch.no_grad():
        out = net.t2i_model(values(name, inputs)["hint"])
    case(name, w, inputs, {k: v[::-1] for k, v in out.items()})


@recorder
def t2i():
    A = comfy.t2i_adapter.adapter
    pairs = lambda n: n
    def diffusers(n):
        p = n.split(".")
        if p[0] != "body":
            return "adapter." + n
        i = int(p[1])
        if p[2] == "in_conv" or p[2] == "down_opt":
            return f"adapter.body.{i // 2}." + ".".join(p[2:])
        return f"adapter.body.{i // 2}.resnets.{i % 2}." + ".".join(p[2:])
    for name, make, rename, hint in (
            ("t2i-full", lambda: A.Adapter(cin=192, channels=[32, 64, 128, 128], nums_rb=2, ksize=1, sk=True, use_conv=False, xl=False), pairs, [2, 3, 56, 72]),
            ("t2i-strided", lambda: A.Adapter(cin=64, channels=[32, 64, 128, 128], nums_rb=2, ksize=3, sk=True, use_conv=True, xl=False), pairs, [1, 1, 56, 72]),
            ("t2i-xl", lambda: A.Adapter(cin=768, channels=[32, 64, 128, 128], nums_rb=2, ksize=1, sk=True, use_conv=False, xl=True), diffusers, [1, 3, 80, 112]),
            ("t2i-light", lambda: A.Adapter_light(cin=192, channels=[320, 640, 1280, 1280], nums_rb=4), pairs, [1, 3, 56, 40])):
        if wanted(name):
            t2i_case(name, make(), rename, hint)


def diffusers(w, sd, mapped):
    """adds a network's tensors under diffusers' names, and those of control networks under their own"""
    seen = set()
    for k, t in sorted(mapped.items()):
        key, part = (t[0], t[1]) if isinstance(t, tuple) else (t, None)
        if key not in sd or (key, part) in seen or "to_qkv_mlp_proj" in k:  # another name of fused layers
            continue
        seen.add((key, part))
        shape = list(sd[key].shape)
        if part:
            shape[part[0]] = part[2]
        w.add(k, shape)
    for k, t in sd.items():
        if k.startswith("controlnet_"):
            w.add(k, t.shape)


def transformer_case(name, w, x, hint, context, y=None, guidance=None, types=(), base=None, prepare=None, module=None):
    """a network that the loader makes of a file, or a module where the loader knows one size alone, called as
    ControlNet.get_control calls it"""
    if module is None:
        m = comfy.controlnet.load_controlnet_state_dict(dict(w.sd)).control_model.float()
    else:
        m = module
        m.load_state_dict(w.sd)
    if prepare:
        prepare(m)
    inputs = {"x": (x, 1.7, 0), "hint": hint, "timesteps": ([x[0]], 0.1, 5 << 23), "context": (context, 1.7, 0)}
    if y:
        inputs["y"] = (y, 1.0, 0)
    if guidance:
        inputs["guidance"] = ([x[0]], guidance, 1 << 23)
    v = values(name, inputs)
    extra = {k: v[k] for k in ("y", "guidance") if k in v}
    if len(x) == 5:
        v["hint"] = v["hint"].unsqueeze(2)
    with torch.no_grad():
        out = m(x=v["x"], hint=v["hint"], timesteps=v["timesteps"], context=v["context"], **({"control_type": list(types)} if types else {}), **extra)
    case(name, w, inputs, out, types, base)


@recorder
def flux():
    import comfy.ldm.flux.controlnet as F, comfy.utils
    config = dict(image_model="flux", in_channels=16, out_channels=16, vec_in_dim=32, context_in_dim=48, hidden_size=256, mlp_ratio=4.0,
                  num_heads=2, axes_dim=[16, 56, 56], theta=10000, patch_size=2, qkv_bias=True, txt_ids_dims=[], dtype=torch.float32, device="cpu", operations=OPS)
    own = lambda n: n.replace("_norm.weight", "_norm.scale")
    for name, misto in (("flux-xlabs", False), ("flux-mistoline", True)):
        if wanted(name):
            m = F.ControlNetFlux(mistoline=misto, depth=2, depth_single_blocks=1 if misto else 0, guidance_embed=True, **config)
            w = Weights(name)
            w.module(m, lambda n: own(n).replace("controlnet_single_blocks", "single_controlnet_blocks") if misto else own(n))
            transformer_case(name, w, [2, 16, 6, 4], PIXELS([2, 3, 48, 32]), [2, 5, 48], [2, 32], 3.5)
    for name, singles, channels, types, guided in (("flux-union", 1, 16, (3,), True), ("flux-plain", 0, 16, (), False), ("flux-alimama", 1, 17, (), True)):
        if wanted(name):
            params = dict(depth=2, depth_single_blocks=singles, hidden_size=256)
            m = F.ControlNetFlux(latent_input=True, num_union_modes=6 if types else 0, control_latent_channels=channels, guidance_embed=guided,
                                 **dict(config, **params))
            w = Weights(name)
            diffusers(w, m.state_dict(), comfy.utils.flux_to_diffusers(params))
            transformer_case(name, w, [2, 16, 5, 6], ([2, channels, 5, 6], 1.7, 0), [2, 5, 48], [2, 32], 3.5 if guided else None, types)


class Base:
    """tensors of a diffusion model that a network shares"""
    def __init__(self, case, m, *prefixes):
        self.w = Weights(case + "/base")
        for n, t in m.state_dict().items():
            if n.startswith(prefixes):
                self.w.add(n, t.shape)
        m.load_state_dict(self.w.sd, strict=False)


@recorder
def sd3():
    import comfy.cldm.mmdit as M, comfy.cldm.dit_embedder as D, comfy.utils
    import comfy.ldm.modules.diffusionmodules.mmdit as MM
    for name, blocks, channels, x in (("sd3-plain", 2, 16, [2, 16, 5, 6]), ("sd3-alimama", 1, 17, [1, 16, 4, 6])):
        if wanted(name):
            m = M.ControlNet(num_blocks=blocks, control_latent_channels=channels, depth=4, in_channels=16, patch_size=2, input_size=None, adm_in_channels=32,
                             context_embedder_config={"target": "torch.nn.Linear", "params": {"in_features": 48, "out_features": 256}},
                             num_patches=36, pos_embed_max_size=6, pos_embed_scaling_factor=None, qkv_bias=True, dtype=torch.float32, device="cpu", operations=OPS)
            w = Weights(name)
            sd = m.state_dict()
            diffusers(w, sd, comfy.utils.mmdit_to_diffusers({"depth": 4, "num_blocks": blocks}))
            for k, t in sd.items():
                if k.startswith("pos_embed_input"):
                    w.add(k, t.shape)
            transformer_case(name, w, x, ([x[0], channels] + x[2:], 1.7, 0), [x[0], 5, 48], [x[0], 32])
    back = {"x_embedder.proj": "pos_embed.proj", "t_embedder.mlp.0": "time_text_embed.timestep_embedder.linear_1", "t_embedder.mlp.2": "time_text_embed.timestep_embedder.linear_2",
            "y_embedder.mlp.0": "time_text_embed.text_embedder.linear_1", "y_embedder.mlp.2": "time_text_embed.text_embedder.linear_2"}
    for name, twice in (("sd35-once", False), ("sd35-twice", True)):
        if wanted(name):
            m = D.ControlNetEmbedder(img_size=None, patch_size=2, in_chans=16, num_layers=2, main_model_double=4, double_y_emb=twice, attention_head_dim=64,
                                     num_attention_heads=4, adm_in_channels=2048, dtype=torch.float32, device="cpu", operations=OPS)
            w, base = Weights(name), Weights(name + "/base")
            for k, t in m.state_dict().items():
                layer = k.rsplit(".", 1)[0]
                if k.startswith("orig_y_embedder."):
                    base.add(k[5:], t.shape)
                elif k.startswith("x_embedder.") and not twice:
                    base.add(k, t.shape)
                else:
                    w.add(k.replace(layer, back[layer]) if layer in back else k, t.shape)
            def lend(m):
                (m.orig_y_embedder if twice else m.x_embedder).load_state_dict({k.split(".", 1)[1]: v for k, v in base.sd.items()})
            transformer_case(name, w, [2, 16, 5, 6], ([2, 16, 5, 6], 1.7, 0), [2, 5, 48], [2, 2048], base=base, prepare=lend)


@recorder
def qwen():
    import comfy.ldm.qwen_image.controlnet as Q, comfy.ldm.qwen_image.model as QM
    config = dict(patch_size=2, in_channels=64, out_channels=16, num_attention_heads=2, attention_head_dim=128, joint_attention_dim=48, axes_dims_rope=(16, 56, 56),
                  dtype=torch.float32, device="cpu", operations=OPS)
    for name, extra in (("qwen-instantx", 0), ("qwen-inpaint", 4)):
        if wanted(name):
            m = Q.QwenImageControlNetModel(extra_condition_channels=extra, num_layers=2, image_model="qwen_image", **config)
            w = Weights(name)
            w.module(m)
            transformer_case(name, w, [2, 16, 1, 5, 6], ([2, 17 if extra else 16, 5, 6], 1.7, 0), [2, 5, 48], module=m)
    name = "qwen-fun"
    if wanted(name):
        base = QM.QwenImageTransformer2DModel(num_layers=0, image_model="qwen_image", final_layer=False, **config)
        b = Base(name, base, "img_in.", "txt_norm.", "txt_in.", "time_text_embed.")
        m = Q.QwenImageFunControlNetModel(control_in_features=132, inner_dim=256, num_attention_heads=2, attention_head_dim=128, num_control_blocks=5,
                                          dtype=torch.float32, device="cpu", operations=OPS)
        w = Weights(name)
        w.module(m)
        inputs = {"x": ([1, 16, 1, 5, 6], 1.7, 0), "hint": ([1, 16, 5, 6], 1.7, 0), "timesteps": ([1], 0.1, 5 << 23), "context": ([1, 5, 48], 1.7, 0)}
        v = values(name, inputs)
        net = comfy.controlnet.load_controlnet_state_dict(dict(w.sd))
        with torch.no_grad():
            out = net.control_model(x=v["x"], hint=v["hint"], timesteps=v["timesteps"], context=v["context"], base_model=base)
        case(name, w, inputs, out, (), b.w)


def main():
    for f in RECORDERS:
        f()
    for k, v in BLOBS.items():
        print(k, tuple(v.shape), float(v.abs().mean()), float(v.abs().max()))
    if ONLY:
        return
    with open(os.path.join(HERE, "controls.json.gz"), "wb") as raw, gzip.GzipFile("", "wb", 9, raw, 0) as f:
        f.write(json.dumps(CASES, separators=(",", ":")).encode())
    import safetensors.torch
    safetensors.torch.save_file({k: v.contiguous() for k, v in BLOBS.items()}, os.path.join(HERE, "controls.safetensors"))


main()
