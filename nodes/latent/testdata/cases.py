# Calls of classes that make and change latents; see tests/nodecalls/record.py.
for w, h, n in [(512, 512, 1), (520, 344, 2), (16, 33, 3), (256, 272, 1)]:
    case("EmptySD3LatentImage", width=w, height=h, batch_size=n)
    case("EmptyHunyuanImageLatent", width=w, height=h, batch_size=n)
    case("EmptyQwenImageLayeredLatentImage", width=w, height=h, layers=n, batch_size=n)
    for length in [1, 8, 25, 97]:
        for name in ["EmptyHunyuanLatentVideo", "EmptyHunyuanVideo15Latent", "EmptyMochiLatentVideo", "EmptyCosmosLatentVideo", "EmptyARVideoLatent", "EmptyLTXVLatentVideo"]:
            case(name, width=w, height=h, length=length, batch_size=n)
case("EmptyHunyuanLatentVideo", width=64, height=64, length=0, batch_size=1)
case("EmptyHunyuanLatentVideo", width=64, height=64, length=-9, batch_size=1)
for w, h, n in [(32, 48, 1), (17, 16, 2)]:
    case("EmptyChromaRadianceLatentImage", width=w, height=h, batch_size=n)
    case("EmptyHiDreamO1LatentImage", width=w, height=h, batch_size=n)
for seconds in [0.04, 1.0, 3.33, 47.6, 120.0]:
    for n in [1, 2]:
        for name in ["EmptyAceStepLatentAudio", "EmptyAceStep1.5LatentAudio", "EmptyLatentAudio", "EmptyMiniMaxMusic3LatentAudio"]:
            case(name, seconds=seconds, batch_size=n)
for length in [5, 6, 22, 23, 124, 1]:
    case("EmptyMiniMaxH3LatentAV", width=64, height=96, length=length)

c = cond((rnd(1, 3, 4, seed=1), {"pooled_output": rnd(1, 5), "strength": 0.5}), (rnd(1, 2, 4, seed=2), {}))
d = cond((rnd(1, 3, 4, seed=3), {"seconds_start": 4}))
for a, b in [(c, d), (d, cond())]:
    case("ConditioningStableAudio", positive=a, negative=b, seconds_start=1.5, seconds_total=30.0)
    case("LTXVConditioning", positive=a, negative=b, frame_rate=24.5)
    case("HunyuanRefinerLatent", positive=a, negative=b, latent=latent(rnd(1, 64, 1, 2, 3)), noise_augmentation=0.1)
    case("HunyuanRefinerLatent", positive=a, negative=b, latent=latent(rnd(2, 16, 2, 3)), noise_augmentation=0.0)
    case("ReferenceTimbreAudio", conditioning=a, latent=latent(rnd(1, 64, 5)))
    case("ReferenceTimbreAudio", conditioning=a)
    case("HiDreamO1ReferenceImages", positive=a, negative=b, **{"images.image_1": img(1, 2, 2, 3), "images.image_3": img(1, 3, 2, 3, seed=2)})
case("ReferenceTimbreAudio", conditioning=call("ReferenceTimbreAudio", conditioning=c, latent=latent(rnd(1, 64, 5))), latent=latent(rnd(1, 64, 2)))

video = latent(rnd(2, 4, 5, 3, 2, seed=4), batch_index=[3, 4])
for trim in [0, 1, 4, 5, 9]:
    case("TrimVideoLatent", samples=video, trim_amount=trim)
case("TrimVideoLatent", samples=latent(rnd(1, 4, 5, 3)), trim_amount=2)
case("TrimVideoLatent", samples=latent(rnd(4)), trim_amount=2)

# Sums over many values in another order than torch's.
for start, reference in [(1, 1), (2, 5), (4, 1), (5, 2), (9, 9)]:
    case("NormalizeVideoLatentStart", 2e-6, latent=video, start_frame_count=start, reference_frame_count=reference)
case("NormalizeVideoLatentStart", latent=latent(rnd(1, 4, 1, 3, 2)), start_frame_count=1, reference_frame_count=1)

guided = cond((rnd(1, 3, 4, seed=1), {"keyframe_idxs": rnd(1, 3, 12, 2), "guide_attention_entries": [1]}))
plain = cond((rnd(1, 3, 4, seed=1), {}))
for a in [guided, plain, cond((rnd(1, 3, 4), {"keyframe_idxs": None}))]:
    case("LTXVCropGuides", positive=a, negative=plain, latent=video)
    case("LTXVCropGuides", positive=a, negative=guided, latent=latent(rnd(1, 4, 6, 3, 2), noise_mask=rnd(1, 1, 6, 3, 2)))

# Blending: cosines in float32.
parts = [latent(rnd(1, 16, 5, 2, 3, seed=1), batch_index=[0]), latent(rnd(1, 16, 5, 2, 3, seed=2)), latent(rnd(1, 16, 3, 2, 3, seed=3), noise_mask=rnd(1, 1, 2, 3))]
for overlap in [0, 1, 2, 4, 9]:
    case("SeedVR2TemporalMerge", 2e-7, latents=parts, temporal_overlap=[overlap])
    case("SeedVR2TemporalMerge", 2e-7, latents=parts[2:], temporal_overlap=[overlap])
case("SeedVR2TemporalMerge", latents=[parts[2], parts[0], parts[0]], temporal_overlap=[1])
case("SeedVR2TemporalMerge", latents=parts, temporal_overlap=[-1])
case("SeedVR2TemporalMerge", latents=[latent(rnd(1, 16, 2, 3))], temporal_overlap=[1])
