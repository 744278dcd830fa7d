"""What ComfyUI 0.33.0's networks of MiniMax H3 compute with small weights.

usage: python record.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
torch.set_num_threads(1)
import comfy.model_patcher
import comfy.nested_tensor
import comfy.ops
import comfy.sample
import comfy.supported_models

r = recording.Recorder("minimaxh3", here)
sizes = dict(image_model="minimax_h3", hidden_size=48, num_layers=2, token_refiner_num_layers=1, num_attention_heads=3, attention_head_dim=16,
             ffn_hidden_size=40, latents_dim=24, audio_latents_dim=32, text_dim=20, timestep_input_dim=32, time_embed_hidden_size=24, time_embed_dim=28,
             rope_inv_freq_len=2)


def config(**kw):
    c = comfy.supported_models.MiniMaxH3({**sizes, **kw})
    c.set_inference_dtype(torch.float32, torch.float32)
    c.custom_operations = comfy.ops.disable_weight_init
    return c


def model(**kw):
    return config(**kw).get_model({}, "")


def video(name, t, h=4, w=6):
    return r.normal(name, 1, 24, t, h, w)


def sound(name, t):
    return r.normal(name, 1, 32, 2, t)


keyframes = [{"resolved_frame_index": 0, "latent": video("first", 1)}, {"resolved_frame_index": 4, "latent": video("clip", 2), "audio_latent": sound("guide", 3)}]
refs = [{"kind": "image", "latent_h": 6, "latent_w": 4, "latent": video("ref", 1, 6, 4)},
        {"kind": "video_audio", "latent_t": 2, "latent_h": 4, "latent_w": 4, "ref_audio_t": 5, "latent": video("refvideo", 2, 4, 4), "audio_latent": sound("refsound", 5)},
        {"kind": "audio", "ref_audio_t": 4, "audio_latent": sound("refaudio", 4)}]
tags = torch.tensor([1, 0, 0, 0, 1, 1, 1])
conds = {"text": {}, "keyframes": {"minimax_keyframes": keyframes, "minimax_token_tags": tags},
         "refs": {"minimax_refs": refs, "minimax_token_tags": tags, "minimax_audio_cond_noise_aug": 0.75}}


def masks(t, ta, h=4, w=6):
    m = torch.ones(1, 1, t, h, w)
    m[:, :, 0] = 0
    m[:, :, 1, :2, :3] = 0.3
    a = torch.ones(1, 1, 2, ta)
    a[..., :4] = 0.5
    return comfy.nested_tensor.NestedTensor((m, a))


def run(inner, cond, latent, mask=None, sampler="euler", cfg=1.0):
    """A sampling run of three steps."""
    patcher = comfy.model_patcher.ModelPatcher(inner, torch.device("cpu"), torch.device("cpu"))
    noise = comfy.sample.prepare_noise(latent, 7)
    positive = [[r.normal("context", 1, 7, 20), dict(conds[cond])]]
    negative = [[r.normal("negative", 1, 5, 20), {}]]
    out = comfy.sample.sample(patcher, noise, 3, cfg, sampler, "simple", positive, negative, latent, noise_mask=mask, seed=7, disable_pbar=True)
    return torch.cat([x.flatten() for x in out.unbind()])


def latents(name=None, t=3, ta=10, h=4, w=6):
    if name is None:
        return comfy.nested_tensor.NestedTensor((torch.zeros(1, 24, t, h, w), torch.zeros(1, 32, 2, ta)))
    return comfy.nested_tensor.NestedTensor((video(name + "/v", t, h, w), sound(name + "/a", ta)))


def fixed(inner, latent):
    """What the sampling nodes make of an empty latent."""
    patcher = comfy.model_patcher.ModelPatcher(inner, torch.device("cpu"), torch.device("cpu"))
    return comfy.sample.fix_empty_latent_channels(patcher, latent)


def wrapped(inner):
    """The network alone holds the weights."""
    net = inner.diffusion_model
    net.inner = [inner]
    return net


def vaes():
    import functools
    from comfy.ldm.minimax import audio_vae, vae
    vae.ViT3DDecoder = functools.partial(vae.ViT3DDecoder, num_layers=2, heads=2)

    def clip(name, n, h, w):
        return r.normal(name, n, 3, h, w).movedim(0, 1)[None].clamp(-1, 1)

    def decode(m, n, h=2, w=3):
        return m.decode(r.normal(f"z{n}x{h}x{w}", 1, 24, n, h, w))[0].movedim(1, 0).flatten()[::13].clone()

    calls = {f"decode{n}": lambda m, n=n: decode(m, n) for n in (1, 2, 4, 7, 12)}
    calls["decodetiles"] = lambda m: decode(m, 1, 18, 20)
    calls |= {f"encode{n}": lambda m, n=n: m.encode(clip(f"p{n}", n, 32, 48)).flatten() for n in (1, 5, 22)}
    calls["encodetiles"] = lambda m: m.encode(clip("tiles", 1, 288, 272)).flatten()[::3].clone()
    # The values of a channel are those of the class, which a file may lack.
    r.record("video", without(vae.MiniMaxH3VideoVAE(ch=32, ch_mult=(1, 1, 1, 2, 2, 2), num_res_blocks=1), "latents_", "mask_token"), calls)
    # Two stages of seven: the values of more are above 1, where they are cut.
    heard = audio_vae.MiniMaxH3AudioVAE(encoder_dim=2, encoder_rates=(2, 5), latent_dim=512)
    heard.decoder = audio_vae.BigVGAN(512, 32, (5, 2), (9, 4))
    r.record("sound", heard, {
        "decode": lambda m: m.decode(sound("s", 30)).flatten(), "encode": lambda m: m.encode(r.normal("wave", 1, 2, 297).clamp(-1, 1)).flatten(),
    })


def without(module, *names):
    """The module without buffers that a file may lack."""
    keep = module.state_dict
    module.state_dict = lambda: {k: v for k, v in keep().items() if not any(n in k for n in names)}
    return module


if __name__ == "__main__":
    calls = {
        "text": lambda m: run(m.inner[0], "text", latents()),
        "cfg": lambda m: run(m.inner[0], "keyframes", latents(), sampler="dpmpp_2m", cfg=3.0),
        "odd": lambda m: run(m.inner[0], "text", latents(t=2, ta=7, h=3, w=5)),
        "bare": lambda m: run(m.inner[0], "text", fixed(m.inner[0], torch.zeros(1, 4, 1, 4, 6))),
        "refs": lambda m: run(m.inner[0], "refs", latents()),
        "mask": lambda m: run(m.inner[0], "text", latents("start"), mask=masks(3, 10)),
    }
    r.record("network", wrapped(model()), calls)
    r.record("curve", wrapped(model(adaln_curve_grid=9, time_embed_dim=6)), {"text": calls["text"]})
    vaes()
