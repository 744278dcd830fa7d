"""Records what small diffusion models of ComfyUI predict with residuals of ControlNets and with model patches: models.json.gz
and models.safetensors.

  python record_models.py COMFYUI

See record.py."""
import gzip, importlib.util, json, os, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.argv.append("none")  # no case of record.py
spec = importlib.util.spec_from_file_location("record", os.path.join(HERE, "record.py"))
R = importlib.util.module_from_spec(spec)
spec.loader.exec_module(R)
import torch
import comfy_extras.nodes_model_patch as N

OPS, Weights, values = R.OPS, R.Weights, R.values
CASES, BLOBS = [], {}


class Patcher:
    def __init__(self, model): self.model = model


class VAE:
    """stands for a VAE: means of 8 by 8 pixels, scaled by channel"""
    def __init__(self, video=False): self.video = video
    def spacial_compression_encode(self): return 8
    def encode(self, images):
        p = torch.nn.functional.avg_pool2d(images.movedim(-1, 1), 8)
        z = torch.cat([p[:, c % 3:c % 3 + 1] * ((c + 1) / 8) for c in range(16)], dim=1)
        return z.unsqueeze(2) if self.video else z


def case(name, model, inputs, out, patch=None, patch_inputs=None, strength=1.0):
    flat = out.detach().float().flatten()
    step = max(1, flat.numel() // 800)
    BLOBS[name] = flat[::step].clone()
    CASES.append({"name": name, "weights": patch.list if patch else [], "base": model.list, "strength": strength, "step": step, "shape": list(out.shape),
                  "inputs": [[k, list(s), a, b] for k, (s, a, b) in inputs.items()],
                  "patchinputs": [[k, list(s), a, b] for k, (s, a, b) in (patch_inputs or {}).items()]})


def load(name, m, rename=lambda n: n, sub="base"):
    w = Weights(name + "/" + sub if sub else name)
    w.module(m, rename)
    m.load_state_dict({k: w.sd[rename(k)] for k in m.state_dict()})
    return w


def times(n): return ([n], 0.1, 5 << 23)


def flux_model():
    import comfy.ldm.flux.model as F
    return F.Flux(image_model="flux", in_channels=16, out_channels=16, vec_in_dim=32, context_in_dim=48, hidden_size=256, mlp_ratio=4.0, num_heads=2, axes_dim=[16, 56, 56],
                  theta=10000, patch_size=2, qkv_bias=True, txt_ids_dims=[], depth=2, depth_single_blocks=2, guidance_embed=True, dtype=torch.float32, device="cpu", operations=OPS)


FLUX = {"x": ([2, 16, 6, 4], 1.7, 0), "timesteps": times(2), "context": ([2, 5, 48], 1.7, 0), "y": ([2, 32], 1.0, 0), "guidance": ([2], 3.5, 1 << 23)}


def flux():
    m = flux_model()
    w = load("steer-flux", m)
    inputs = dict(FLUX, **{"input.0": ([2, 6, 256], 1.0, 0), "output.1": ([2, 6, 256], 1.0, 0)})
    v = values("steer-flux", inputs)
    with torch.no_grad():
        out = m(v["x"], v["timesteps"], v["context"], v["y"], v["guidance"], control={"input": [v["input.0"], None], "output": [None, v["output.1"]]})
    case("steer-flux", w, inputs, out)

    m = flux_model()
    w = load("uso", m)
    p = N.SigLIPMultiFeatProjModel(siglip_token_nums=9, style_token_nums=4, siglip_token_dims=24, hidden_size=256, device="cpu", dtype=torch.float32, operations=OPS)
    pw = load("uso", p, lambda n: "feature_embedder." + n, "")
    pin = {"all": ([1, 21, 9, 24], 1.0, 0), "penultimate": ([1, 9, 24], 1.0, 0)}
    pv, v = values("uso/patch", pin), values("uso", FLUX)
    encoded = torch.stack((pv["all"][:, -20], pv["all"][:, -11], pv["penultimate"])).expand(-1, 2, -1, -1)
    patch = N.UsoStyleProjectorPatch(Patcher(p), encoded)
    with torch.no_grad():
        out = m(v["x"], v["timesteps"], v["context"], v["y"], v["guidance"], transformer_options={"patches": {"post_input": [patch]}})
    case("uso", w, FLUX, out, pw, pin)


def sd3():
    import comfy.ldm.modules.diffusionmodules.mmdit as M
    m = M.MMDiT(depth=2, in_channels=16, patch_size=2, input_size=None, adm_in_channels=32, num_patches=36, pos_embed_max_size=6, pos_embed_scaling_factor=None, qkv_bias=True,
                context_embedder_config={"target": "torch.nn.Linear", "params": {"in_features": 48, "out_features": 128}}, dtype=torch.float32, device="cpu", operations=OPS)
    w = load("steer-sd3", m)
    inputs = {"x": ([2, 16, 6, 4], 1.7, 0), "timesteps": times(2), "context": ([2, 5, 48], 1.7, 0), "y": ([2, 32], 1.0, 0), "output.0": ([2, 6, 128], 1.0, 0)}
    v = values("steer-sd3", inputs)
    with torch.no_grad():
        out = m(v["x"], v["timesteps"], context=v["context"], y=v["y"], control={"output": [v["output.0"]]})
    case("steer-sd3", w, inputs, out)


def qwen():
    import comfy.ldm.qwen_image.model as Q
    make = lambda: Q.QwenImageTransformer2DModel(patch_size=2, in_channels=64, out_channels=16, num_layers=2, num_attention_heads=2, attention_head_dim=128, joint_attention_dim=48,
                                                 axes_dims_rope=(16, 56, 56), image_model="qwen_image", dtype=torch.float32, device="cpu", operations=OPS)
    inputs = {"x": ([1, 16, 1, 5, 6], 1.7, 0), "timesteps": times(1), "context": ([1, 5, 48], 1.7, 0)}
    m = make()
    w = load("steer-qwen", m)
    steer = dict(inputs, **{"input.1": ([1, 9, 256], 1.0, 0)})
    v = values("steer-qwen", steer)
    with torch.no_grad():
        out = m(v["x"], v["timesteps"], v["context"], control={"input": [None, v["input.1"]]})
    case("steer-qwen", w, steer, out)
    for name, more, masked in (("diffsynth", 0, False), ("diffsynth-inpaint", 4, True)):
        m = make()
        w = load(name, m)
        p = N.QwenImageBlockWiseControlNet(num_layers=2, additional_in_dim=more, dim=256, device="cpu", dtype=torch.float32, operations=OPS)
        pw = load(name, p, sub="")
        pin = {"image": ([1, 30, 50, 3], 0.5, 1 << 23)}
        if masked:
            pin["mask"] = ([1, 20, 30], 0.5, 1 << 23)
        pv, v = values(name + "/patch", pin), values(name, inputs)
        # the patch's own weights are read before the image is
        patch = N.DiffSynthCnetPatch(Patcher(p), VAE(True), pv["image"], 0.7, pv["mask"].unsqueeze(1).unsqueeze(2) if masked else None)
        with torch.no_grad():
            out = m(v["x"], v["timesteps"], v["context"], transformer_options={"patches": {"double_block": [patch]}})
        case(name, w, inputs, out, pw, pin, 0.7)


def zimage():
    import comfy.ldm.lumina.model as L, comfy.ldm.lumina.controlnet as C
    common = dict(dim=256, n_heads=8, n_kv_heads=8, multiple_of=32, ffn_dim_multiplier=8.0 / 3.0, norm_eps=1e-5, qk_norm=True, dtype=torch.float32, device="cpu", operations=OPS)
    for name, layers, config, x, pin in (
            ("zimage-first", 7, dict(n_control_layers=6), [2, 16, 6, 6], ("image",)),
            ("zimage-whole", 2, dict(n_control_layers=6), [1, 16, 8, 16], ("image",)),
            ("zimage-refiner", 3, dict(n_control_layers=15, additional_in_dim=17, refiner_control=True), [1, 16, 6, 6], ("image", "inpaint", "mask")),
            ("zimage-inpaint", 3, dict(n_control_layers=15, additional_in_dim=17, refiner_control=True), [1, 16, 6, 6], ("inpaint",)),
            ("zimage-broken", 3, dict(n_control_layers=15, additional_in_dim=17, refiner_control=True, broken=True), [1, 16, 6, 6], ("image",))):
        m = L.NextDiT(patch_size=2, in_channels=16, n_layers=layers, n_refiner_layers=2, axes_dims=[8, 12, 12], axes_lens=[64, 64, 64], cap_feat_dim=24, rope_theta=256.0,
                      time_scale=1000.0, z_image_modulation=True, pad_tokens_multiple=32, **common)
        w = load(name, m)
        p = C.ZImage_Control(**common, **config)
        pw = load(name, p, sub="")
        if config.get("broken"):
            for k in ("control_noise_refiner.0.after_proj.weight",):
                pw.list = [[n, s, 0.0, 0] if n == k else [n, s, a, b] for n, s, a, b in pw.list]
                p.state_dict()[k].zero_()
        sizes = {"image": ([1, 60, 50, 3], 0.5, 1 << 23), "inpaint": ([1, 60, 50, 3], 0.5, 1 << 23), "mask": ([1, 30, 25], 0.5, 1 << 23)}
        inputs = {"x": (x, 1.7, 0), "timesteps": times(x[0]), "context": ([x[0], 5, 24], 1.7, 0)}
        pin = {k: sizes[k] for k in pin}
        pv, v = values(name + "/patch", pin), values(name, inputs)
        patch = N.ZImageControlPatch(Patcher(p), VAE(), pv.get("image"), 0.8, pv.get("inpaint"), pv["mask"].unsqueeze(1).unsqueeze(2) if "mask" in pv else None)
        with torch.no_grad():
            if x[0] > 1:  # as many as rows
                encode = patch.encode_latent_cond
                patch.encode_latent_cond = lambda a=None, b=None: encode(a, b).expand(x[0], -1, -1, -1)
                patch.encoded_image = None
            out = m(v["x"], v["timesteps"], v["context"], 5, transformer_options={"patches": {"double_block": [patch], "noise_refiner": [patch]}})
        case(name, w, inputs, out, pw, pin, 0.8)


def anima():
    import comfy.ldm.cosmos.predict2 as P, comfy.ldm.anima.lllite as L
    heads = dict(image_model="anima", max_img_h=240, max_img_w=240, max_frames=128, in_channels=16, out_channels=16, patch_spatial=2, patch_temporal=1, concat_padding_mask=True,
                 model_channels=96, num_blocks=2, num_heads=4, crossattn_emb_channels=64, pos_emb_cls="rope3d", pos_emb_learnable=True, pos_emb_interpolation="crop",
                 min_fps=1, max_fps=30, use_adaln_lora=True, adaln_lora_dim=16, rope_h_extrapolation_ratio=4.0, rope_w_extrapolation_ratio=4.0, rope_t_extrapolation_ratio=1.0,
                 extra_per_block_abs_pos_emb=False, rope_enable_fps_modulation=False, dtype=torch.float32, device="cpu", operations=OPS)
    for name, channels, aspp, masked in (("lllite", 3, False, False), ("lllite-inpaint", 4, True, True)):
        m = P.MiniTrainDIT(**heads)
        w = load(name, m)
        for n, shape in ADAPTER:
            w.add(n, shape)
        pw = Weights(name)
        emb, dim, mlp = 24, 32, 16
        c = L.AnimaLLLiteConditioning(channels, dim, emb, 1, (1, 2, 4, 8) if aspp else (), device="cpu", dtype=torch.float32, operations=OPS)
        for n, t in c.state_dict().items():
            pw.add("lllite_conditioning1." + n, t.shape)
        for block, target in ((0, "self_attn_q_proj"), (0, "self_attn_k_proj"), (0, "self_attn_v_proj"), (1, "cross_attn_q_proj"), (1, "mlp_layer1")):
            for n, t in L.AnimaLLLiteModule(96, emb, mlp, device="cpu", dtype=torch.float32, operations=OPS).state_dict().items():
                pw.add(f"lllite_dit_blocks_{block}_{target}.{n}", t.shape)
        p = L.AnimaLLLite(pw.sd, {}, device="cpu", dtype=torch.float32, operations=OPS)
        p.load_state_dict(pw.sd)
        inputs = {"x": ([2, 16, 1, 6, 4], 1.7, 0), "timesteps": times(2), "context": ([2, 5, 64], 1.7, 0)}
        pin = {"image": ([1, 60, 50, 3], 0.5, 1 << 23)}
        if masked:
            pin["mask"] = ([1, 30, 25], 0.5, 1 << 23)
        pv, v = values(name + "/patch", pin), values(name, inputs)
        patch = L.AnimaLLLitePatch(Patcher(p), pv["image"], pv.get("mask"), 0.8, 1e9, -1.0)
        attention = lambda t: L.AnimaLLLiteAttentionPatch(patch, t)
        patches = {"post_input": [patch], "attn1_patch": [attention({"q": "self_attn_q_proj", "k": "self_attn_k_proj", "v": "self_attn_v_proj"})],
                   "attn2_patch": [attention({"q": "cross_attn_q_proj"})], "mlp_patch": [L.AnimaLLLiteMLPPatch(patch)]}
        with torch.no_grad():
            out = m(v["x"], v["timesteps"], v["context"], transformer_options={"patches": patches})
        case(name, w, inputs, out, pw, pin, 0.8)


ADAPTER = [("llm_adapter.embed.weight", [8, 64]), ("llm_adapter.out_proj.weight", [64, 64]), ("llm_adapter.blocks.0.cross_attn.q_proj.weight", [64, 64]),
           ("llm_adapter.blocks.0.cross_attn.k_proj.weight", [64, 32])]  # what tells Anima from its neighbours; it is not used

flux(); sd3(); qwen(); zimage(); anima()
for k, v in BLOBS.items():
    print(k, tuple(v.shape), float(v.abs().mean()))
with open(os.path.join(HERE, "models.json.gz"), "wb") as raw, gzip.GzipFile("", "wb", 9, raw, 0) as f:
    f.write(json.dumps(CASES, separators=(",", ":")).encode())
import safetensors.torch
safetensors.torch.save_file(BLOBS, os.path.join(HERE, "models.safetensors"))
