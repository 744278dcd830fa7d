"""What ComfyUI 0.33.0's networks of Wan compute with small weights.

usage: python networks.py COMFYUI RECIPE
"""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import torch
import comfy.ops
from comfy.ldm.wan import model as wan
from comfy.ldm.wan import model_animate, model_animate2, model_wandancer

r = recording.Recorder("wan", here)
small = dict(dim=256, ffn_dim=48, text_dim=24, num_heads=2, num_layers=2, operations=comfy.ops.disable_weight_init)
t = torch.tensor([300.0, 800.0])
x, text, image = r.normal("x", 2, 16, 3, 5, 4), r.normal("context", 2, 7, 24), r.normal("image", 2, 6, 1280)
options = {"rope_options": {"scale_x": 1.5, "scale_y": 0.5, "scale_t": 2.0, "shift_t": 2.0, "shift_x": 1.0, "shift_y": -1.0}}
frames = torch.tensor([[0.0, 300.0, 300.0], [0.0, 800.0, 400.0]])

if __name__ == "__main__":
    r.record("text", wan.WanModel(model_type="t2v", in_dim=16, **small), {
        "out": lambda m: m(x, t, text),
        "frames": lambda m: m(x, frames, text),
        "scaled": lambda m: m(x, t, text, transformer_options=options),
        "further": lambda m: m(x, t, text, time_dim_concat=r.normal("further", 2, 16, 2, 5, 4)),
        "videos": lambda m: m(x, t, text, context_latents=[r.normal("context0", 2, 16, 2, 4, 3), r.normal("context1", 2, 16, 1, 6, 4)]),
    })
    r.record("image", wan.WanModel(model_type="i2v", in_dim=36, flf_pos_embed_token_number=8, in_dim_ref_conv=16, **small), {
        "out": lambda m: m(r.normal("x36", 2, 36, 3, 5, 4), t, text, clip_fea=image),
        "blind": lambda m: m(r.normal("x36", 2, 36, 3, 5, 4), t, text),
        "ref": lambda m: m(r.normal("x36", 2, 36, 3, 6, 4), frames, text, clip_fea=image, reference_latent=r.normal("ref", 2, 16, 6, 4)),
    })
    strengths = [0.7, 1.2]
    r.record("vace", wan.VaceWanModel(in_dim=16, vace_layers=2, vace_in_dim=96, **{**small, "num_layers": 4}), {
        "out": lambda m: m(r.normal("x4", 2, 16, 3, 6, 4), t, text, vace_context=torch.stack([r.normal(f"vace{i}", 2, 96, 3, 6, 4) for i in range(2)], dim=1), vace_strength=strengths),
    })
    r.record("camera", wan.CameraWanModel(model_type="camera_2.2", in_dim=36, **small), {
        "out": lambda m: m(r.normal("x36", 2, 36, 3, 6, 4), t, text, camera_conditions=r.normal("camera", 2, 24, 3, 48, 32)),
        "still": lambda m: m(r.normal("x36", 2, 36, 3, 5, 4), t, text),
    })
    given = dict(pose_latents=r.normal("pose", 2, 20, 3, 3, 2), reference_latent=r.normal("refs", 2, 20, 2, 6, 4))
    x20 = r.normal("x20", 2, 20, 3, 6, 4)
    r.record("scail", wan.SCAILWanModel(in_dim=20, **small), {
        "out": lambda m: m(x20, t, text, clip_fea=image, **given),
        "pose": lambda m: m(x20, t, text, pose_latents=given["pose_latents"], transformer_options=options),
        "blind": lambda m: m(r.normal("x20odd", 2, 20, 3, 5, 4), t, text, clip_fea=image),
    })
    given |= dict(ref_mask_latents=r.normal("masks", 2, 28, 5, 6, 4), sam_latents=r.normal("pose_masks", 2, 28, 3, 3, 2))
    r.record("scail2", wan.SCAIL2WanModel(in_dim=20, **small), {
        "animate": lambda m: m(x20, t, text, clip_fea=image, ref_mask_flag=True, **given),
        "replace": lambda m: m(x20, t, text, clip_fea=image, ref_mask_flag=False, transformer_options=options, **given),
    })
    def humo(in_dim):
        m = wan.HumoWanModel(in_dim=in_dim, **small)
        m.audio_proj = wan.AudioProjModel(seq_len=2, blocks=3, channels=5, intermediate_dim=16, operations=comfy.ops.disable_weight_init)
        return m
    audio = r.normal("audio", 2, 3, 2, 3, 5)
    r.record("humo", humo(16), {
        "out": lambda m: m.forward(x, t, text, audio_embed=audio),
        "ref": lambda m: m.forward(r.normal("x4", 2, 16, 3, 6, 4), t, text, audio_embed=audio, reference_latent=r.normal("ref5", 2, 16, 1, 6, 4)),
        "silent": lambda m: m.forward(x, t, text),
    })
    r.record("humo17", humo(36), {
        "ref": lambda m: m.forward(r.normal("x36", 2, 36, 3, 6, 4), t, text, audio_embed=audio, reference_latent=r.normal("ref36", 2, 36, 1, 6, 4)),
    })
    music = r.normal("music", 2, 11, 35)
    dancer = model_wandancer.WanDancerModel(in_dim=36, **{**small, "num_layers": 5})
    r.record("dancer", dancer, {
        "out": lambda m: m(r.normal("x36w", 2, 36, 2, 8, 8), t, text, clip_fea=image, clip_fea_ref=r.normal("image_ref", 2, 4, 1280), audio_embed=music, audio_inject_scale=0.5),
        "global": lambda m: m(r.normal("x36w", 2, 36, 2, 8, 8), t, text, clip_fea=image, audio_embed=music, fps=7.5),
        "blind": lambda m: m(r.normal("x36", 2, 36, 3, 5, 4), t, text),
    })
    s2v = wan.WanModel_S2V(in_dim=16, audio_dim=6, num_audio_token=4, **small)
    s2v.casual_audio_encoder.weights = torch.nn.Parameter(torch.empty(1, 3, 1, 1))
    speech = dict(audio_embed=r.normal("speech", 2, 3, 6, 14), control_video=r.normal("guide", 2, 16, 3, 8, 10))
    person, before = r.normal("person", 2, 16, 1, 8, 10), r.normal("before", 2, 16, 5, 8, 10)
    big = r.normal("x8", 2, 16, 3, 8, 10)
    r.record("s2v", s2v, {
        "out": lambda m: m(big, t, text, reference_latent=person, reference_motion=before, **speech),
        "person": lambda m: m(big, t, text, reference_latent=person, transformer_options=options, **speech),
        "motion": lambda m: m(big, t, text, reference_motion=before),
        "alone": lambda m: m(big, t, text),
    })
    animate = model_animate.AnimateWanModel(in_dim=36, **{**small, "num_layers": 5})
    make = dict(operations=comfy.ops.disable_weight_init)
    app = animate.motion_encoder.enc
    app.net_app.convs = torch.nn.ModuleList([
        model_animate.ConvLayer(3, 4, 1, **make), model_animate.ResBlock(4, 6, **make), model_animate.ResBlock(6, 8, **make),
        model_animate.EqualConv2d(8, 10, 4, padding=0, bias=False, **make)])
    app.fc = torch.nn.Sequential(*[model_animate.EqualLinear(10, 10) for _ in range(4)], model_animate.EqualLinear(10, 20))
    f = animate.face_encoder
    f.conv1_local, f.conv2, f.conv3 = (model_animate.CausalConv1d(i, o, 3, stride=s, **make) for i, o, s in ((512, 32, 1), (8, 12, 2), (12, 16, 2)))
    f.out_proj = torch.nn.Linear(16, 256)
    f.norm1, f.norm2, f.norm3 = (torch.nn.LayerNorm(n, elementwise_affine=False, eps=1e-6) for n in (8, 12, 16))
    face, following = r.normal("face", 2, 3, 9, 16, 16), r.normal("follow", 2, 16, 3, 6, 4)
    x36 = r.normal("x36long", 2, 36, 5, 6, 4)
    r.record("animate", animate, {
        "out": lambda m: m(x36, t, text, clip_fea=image, face_pixel_values=face, pose_latents=following),
        "face": lambda m: m(r.normal("x36", 2, 36, 3, 6, 4), t, text, clip_fea=image, face_pixel_values=face),
        "pose": lambda m: m(r.normal("x36", 2, 36, 3, 6, 4), t, text, pose_latents=following),
        "blind": lambda m: m(r.normal("x36", 2, 36, 3, 5, 4), t, text),
    })
    pose = r.normal("pose16", 2, 16, 2, 5, 4)
    branch = dict(pose_latents=pose, clip_fea_pose=r.normal("image_pose", 2, 4, 1280), context_pose=r.normal("context_pose", 2, 5, 24))
    r.record("animate2", model_animate2.WanAnimate2Model(in_dim=36, **small), {
        "out": lambda m: m(r.normal("x36", 2, 36, 3, 5, 4), t, text, clip_fea=image, **branch),
        "scaled": lambda m: m(r.normal("x36", 2, 36, 3, 5, 4), t, text, pose_latents=pose, pose_strength=0.5, reference_strength=1.5, transformer_options=options),
        "alone": lambda m: m(r.normal("x36", 2, 36, 3, 5, 4), t, text, clip_fea=image, reference_strength=1.5),
    })
