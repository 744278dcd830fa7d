# Calls of classes that change conditionings; see tests/nodecalls/record.py.
DESCRIBE["HookKeyframeGroup"] = lambda g: [[float(k.strength), k.start_percent, k.guarantee_steps] for k in g.keyframes]
DESCRIBE["HookGroup"] = lambda g: [[h._strength_model, h._strength_clip, [[float(k.strength), k.start_percent, k.guarantee_steps] for k in h.hook_keyframe.keyframes]] for h in g.hooks]

c = cond((rnd(1, 3, 4, seed=1), {"pooled_output": rnd(1, 5), "guidance": 1.0}), (rnd(1, 2, 4, seed=2), {}))
d = cond((rnd(1, 3, 4, seed=3), {"strength": 0.5}))
for a in [c, d]:
    case("FluxGuidance", conditioning=a, guidance=3.5)
    case("FluxDisableGuidance", conditioning=a)
    for method in ["offset", "index", "uxo/uno", "index_timestep_zero"]:
        case("FluxKontextMultiReferenceLatentMethod", conditioning=a, reference_latents_method=method)
    case("ReferenceLatent", conditioning=a, latent=latent(rnd(1, 4, 2, 3)))
    case("ReferenceLatent", conditioning=a)
    case("StableCascade_StageB_Conditioning", conditioning=a, stage_c=latent(rnd(1, 16, 2, 3)))
    for fmt, shape in [("flux", (1, 16, 2, 3)), ("flux", (1, 128, 2, 3)), ("sd3", (2, 16, 2, 3)), ("sdxl", (1, 4, 3, 2)), ("qwenimage", (1, 16, 2, 3, 2)), ("sd3", (1, 16, 3, 2, 2))]:
        case("PiDConditioning", positive=a, latent=latent(rnd(*shape, lo=-2, hi=2)), latent_format=fmt, degrade_sigma=0.25)
    for strength in [0.0, 1.0, -0.5]:
        case("unCLIPConditioning", conditioning=a, clip_vision_output=vision(rnd(1, 2, 4)), strength=strength, noise_augmentation=0.1)
case("unCLIPConditioning", conditioning=call("unCLIPConditioning", conditioning=c, clip_vision_output=vision(rnd(1, 2, 4)), strength=1.0, noise_augmentation=0.1),
     clip_vision_output=vision(rnd(1, 2, 4, seed=2)), strength=0.5, noise_augmentation=0.0)
case("ReferenceLatent", conditioning=call("ReferenceLatent", conditioning=c, latent=latent(rnd(1, 4, 2, 3))), latent=latent(rnd(1, 4, 1, 1)))
for w, h, n in [(512, 768, 1), (64, 32, 2)]:
    case("EmptyFlux2LatentImage", width=w, height=h, batch_size=n)
    for compression in [8, 42]:
        case("StableCascade_EmptyLatentImage", width=w, height=h, compression=compression, batch_size=n)
    case("EmptyLatentHunyuan3Dv2", resolution=w, batch_size=n)
case("LotusConditioning")
case("LotusConditioning")
# Lanczos by Pillow over 8 bits: equal. Only every 14,000th value is kept.
for shape in [(1, 20, 20, 3), (2, 9, 30, 3), (1, 40, 11, 4)]:
    case("FluxKontextImageScale", 1e-6, image=smooth(*shape))
# The change of range is after the scaling, here.
for ratio in [4.0, 1.3, 0.0, 10.0]:
    case("SD_4XUpscale_Conditioning", 1e-6, images=smooth(2, 9, 12, 3), positive=c, negative=d, scale_ratio=ratio, noise_augmentation=0.1)
# Sines and cosines in float32.
case("Hunyuan3Dv2Conditioning", clip_vision_output=vision(rnd(1, 3, 8)))
case("Hunyuan3Dv2Conditioning", clip_vision_output=vision(rnd(2, 2, 6)))
case("Hunyuan3Dv2ConditioningMultiView", 1e-6, front=vision(rnd(1, 3, 8)), left=vision(rnd(1, 3, 8, seed=2)), back=vision(rnd(1, 3, 8, seed=3)), right=vision(rnd(1, 2, 8, seed=4)))
case("Hunyuan3Dv2ConditioningMultiView", 1e-6, left=vision(rnd(1, 3, 8, seed=2)))
case("Hunyuan3Dv2ConditioningMultiView")

one = call("CreateHookKeyframe", strength_mult=0.5, start_percent=0.25)
case("CreateHookKeyframe", strength_mult=0.5, start_percent=0.25)
case("CreateHookKeyframe", strength_mult=-2.0, start_percent=0.0, prev_hook_kf=one)
case("CreateHookKeyframe", strength_mult=3.0, start_percent=0.25, prev_hook_kf=one)
for method in ["linear", "ease_in", "ease_out", "ease_in_out"]:
    for count, previous in [(2, {}), (5, {"prev_hook_kf": one}), (9, {})]:
        # Powers and cosines in float32.
        case("CreateHookKeyframesInterpolated", 5e-7, strength_start=0.2, strength_end=1.7, interpolation=method, start_percent=0.1, end_percent=0.83, keyframes_count=count, print_keyframes=False, **previous)
case("CreateHookKeyframesInterpolated", strength_start=0.2, strength_end=1.7, interpolation="cubic", start_percent=0.1, end_percent=0.83, keyframes_count=3, print_keyframes=False)
for floats in [0.75, 2, [0.1, 0.9, 0.3], [1]]:
    case("CreateHookKeyframesFromFloats", floats_strength=floats, start_percent=0.0, end_percent=1.0, print_keyframes=False)
    case("CreateHookKeyframesFromFloats", floats_strength=floats, start_percent=0.3, end_percent=0.6, print_keyframes=True, prev_hook_kf=one)
# Hooks of files are in calls_test.go.
for zero in [0.0, 0]:
    case("CreateHookLora", lora_name="none.safetensors", strength_model=zero, strength_clip=0.0)
    case("CreateHookLoraModelOnly", lora_name="none.safetensors", strength_model=zero)
empty = call("CreateHookLora", lora_name="none.safetensors", strength_model=0.0, strength_clip=0.0)
case("SetHookKeyframes", hooks=empty, hook_kf=one)
case("SetHookKeyframes", hooks=empty)
for name in ["CombineHooks2", "CombineHooks4", "CombineHooks8"]:
    case(name)
    case(name, hooks_A=empty)
    case(name, hooks_B=empty, hooks_A=empty)

# Tracks. Positions in float32.
where = dict(width=832, height=480, start_x=0.1, start_y=0.2, mid_x=0.6, mid_y=0.9, end_x=0.8, end_y=0.3, track_spread=0.025)
for bezier in [False, True]:
    for way in ["linear", "ease_in", "ease_out", "ease_in_out", "constant"]:
        case("GenerateTracks", 2e-4, num_frames=7, num_tracks=3, bezier=bezier, interpolation=way, **where)
case("GenerateTracks", 2e-4, num_frames=1, num_tracks=1, bezier=False, interpolation="linear", track_mask=rnd(4, 2, 3, lo=-1), **where)
case("GenerateTracks", 2e-4, num_frames=3, num_tracks=2, bezier=True, interpolation="linear", track_mask=const(0, 3, 2, 2), **where)
some = call("GenerateTracks", num_frames=3, num_tracks=2, bezier=False, interpolation="linear", **where)
case("WanMoveConcatTrack", 2e-4, tracks_1=some, tracks_2=call("GenerateTracks", num_frames=3, num_tracks=1, bezier=True, interpolation="ease_in", **where))
case("WanMoveConcatTrack", 2e-4, tracks_1=some)
case("WanMoveConcatTrack", tracks_1=some, tracks_2=call("GenerateTracks", num_frames=4, num_tracks=1, bezier=True, interpolation="ease_in", **where))
