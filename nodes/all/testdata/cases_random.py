# Random calls of classes that have fewer than 20 in their packages; see tests/nodecalls/record.py. Meshes, videos and audio files have theirs in their
# packages' testdata.
exec(compile(open(os.path.join(os.path.dirname(cases_path), "../../../tests/nodecalls/random_cases.py")).read(), "random_cases.py", "exec"))
import io

LIMIT = 40  # values of a tensor that are kept
CALLS = 20
pick, real = rand.choice, lambda lo, hi, digits=3: round(rand.uniform(lo, hi), digits)
some = lambda chance, **more: more if rand.random() < chance else {}

# Sizes beyond these take more memory, and go the same way.
BOUNDS.update({"batch_size": (1, 3), "length": (1, 40), "seconds": (1, 40), "width": (1, 200), "height": (1, 200), "layers": (0, 6), "resolution": (1, 300), "trim_amount": (0, 4), "start_frame_count": (1, 6),
               "reference_frame_count": (1, 6), "shorter_edge": (1, 60), "longer_edge": (1, 60), "tile_width": (64, 90), "tile_height": (64, 90), "overlap": (0, 80), "max_length": (1, 20), "frame_rate": (0, 120),
               "columns": (1, 5), "cell_width": (32, 50), "cell_height": (32, 50), "padding": (0, 9), "x": (0, 16384), "y": (0, 16384), "video_frames": (1, 80), "segment_length": (1, 12), "num_segments": (1, 4)})
for cls, names in {"EmptyHunyuanImageLatent": ["width", "height"], "EmptyHiDreamO1LatentImage": ["width", "height"], "EmptyLTXVLatentVideo": ["width", "height"]}.items():
    BOUNDS.update({(cls, n): (64, 256) for n in names})
BOUNDS.update({(c, n): (least, 200) for c, least in [("EmptyMiniMaxH3LatentAV", 32), ("EmptySD3LatentImage", 16), ("EmptyFlux2LatentImage", 16), ("EmptyChromaRadianceLatentImage", 16), ("EmptyQwenImageLayeredLatentImage", 16),
               ("EmptyARVideoLatent", 16), ("EmptyCosmosLatentVideo", 16), ("EmptyHunyuanLatentVideo", 16), ("EmptyHunyuanVideo15Latent", 16), ("EmptyMochiLatentVideo", 16)] for n in ("width", "height")})
BOUNDS.update({("StableCascade_EmptyLatentImage", n): (256, 1024) for n in ("width", "height")})
BOUNDS.update({("PrimitiveBoundingBox", n): (1, 16384) for n in ("width", "height")} | {("EmptyMiniMaxMusic3LatentAudio", "seconds"): (0.04, 60), ("EmptyMiniMaxH3LatentAV", "length"): (5, 60), ("EmptyMochiLatentVideo", "length"): (7, 50),
              ("SplitImageToTileList", "image"): None})
LISTS.update({"images": 4, "texts": 4, "latents": 3, "conditioning": 3})

PLAIN = """AddTextPrefix AddTextSuffix AdjustBrightness AdjustContrast CenterCropImages ColorToRGBInt ConditioningStableAudio ConvertArrayToString ConvertDictionaryToString EmptyARVideoLatent EmptyAceStep1.5LatentAudio
EmptyAceStepLatentAudio EmptyChromaRadianceLatentImage EmptyCosmosLatentVideo EmptyFlux2LatentImage EmptyHiDreamO1LatentImage EmptyHunyuanImageLatent EmptyHunyuanLatentVideo EmptyHunyuanVideo15Latent EmptyLTXVLatentVideo
EmptyLatentAudio EmptyLatentHunyuan3Dv2 EmptyMiniMaxH3LatentAV EmptyMiniMaxMusic3LatentAudio EmptyMochiLatentVideo EmptyQwenImageLayeredLatentImage EmptySD3LatentImage FluxDisableGuidance FluxGuidance
FluxKontextMultiReferenceLatentMethod HiDreamO1ReferenceImages Hunyuan3Dv2Conditioning Hunyuan3Dv2ConditioningMultiView HunyuanRefinerLatent LTXVConditioning MergeImageLists MergeTextLists
NormalizeImages PrimitiveBoundingBox ReferenceLatent ReferenceTimbreAudio ReplaceText ResizeImagesByLongerEdge ResizeImagesByShorterEdge SD_4XUpscale_Conditioning SeedNode
ShuffleDataset ShuffleImageTextDataset StableCascade_EmptyLatentImage StableCascade_StageB_Conditioning StripWhitespace TextToLowercase TextToUppercase TruncateText VOIDQuadmaskPreprocess
WanDancerPadKeyframesList unCLIPConditioning ImageDeduplication ImageGrid ResolutionBucket SplitAudioChannels ImageHistogram SplitImageToTileList"""
for cls in PLAIN.split():
    randomly(cls, CALLS)

DESCRIBE["MonotoneCubicCurve"] = DESCRIBE["LinearCurve"] = lambda c: repr(c)
video = lambda frames=None: latent(rnd(pick([1, 1, 2]), pick([4, 16]), frames or rand.randint(1, 7), rand.randint(1, 4), rand.randint(1, 4), seed=seed(), lo=-2, hi=2))
BLENDS = "normal multiply screen overlay darken lighten color-dodge color-burn".split()
# Lanczos through 8 bits and coverage of letters: docs/conformance.md.
STEP, LETTER = 1.01 / 255, 7.1 / 255


def box(most=60, whole=True, **more):
    number = (lambda lo, hi: rand.randint(lo, hi)) if whole else (lambda lo, hi: real(lo, hi, 2))
    return {"x": number(-5, most), "y": number(-5, most), "width": number(1, most), "height": number(1, most), **more}


def boxes(frames, **kw):
    return pick([lambda: box(**kw), lambda: [box(**kw) for _ in range(rand.randint(0, 3))], lambda: [[box(**kw) for _ in range(rand.randint(0, 3))] for _ in range(frames)]])()


def layered(depth=0, record=False):
    inputs = dict(image=image(), name=text(), x=rand.randint(-30, 30), y=rand.randint(-30, 30), opacity=real(0, 1, 2), blend_mode=pick(BLENDS), rotation=float(rand.randint(-360, 360)), width=rand.randint(0, 40),
                  height=rand.randint(0, 40), z_index=rand.randint(-9, 9), flip_h=rand.random() < 0.5, flip_v=rand.random() < 0.5, **some(0.4, mask=VALUES["MASK"]()))
    if depth < 3 and rand.random() < 0.6:
        inputs["layers"] = layered(depth + 1)
    return case("AddLayer", **inputs) if record else call("AddLayer", **inputs)


def state(w, h):
    """What the editor of boxes keeps."""
    made = []
    for _ in range(rand.randint(0, 4)):
        meta = {k: v for k, v in {"type": pick(["obj", "text"]), "text": pick(["Sale", "", "Ä"]), "desc": pick(["a cat", "", "two words"]), "palette": ["#%06x" % rand.randrange(1 << 24) for _ in range(rand.randint(0, 3))]}.items() if rand.random() < 0.7}
        made.append({"x": rand.randint(0, w), "y": rand.randint(0, h), "width": rand.randint(1, w), "height": rand.randint(1, h), **({"metadata": meta} if meta else {})})
    return made


def keypoints():
    canvas = (rand.randint(30, 90), rand.randint(30, 90))
    def points(n):
        return [v for _ in range(n) for v in (real(-3, canvas[0] + 3, 2), real(-3, canvas[1] + 3, 2), real(0, 1))]
    people = lambda: [{k: points(n) for k, n in {"pose_keypoints_2d": 18, "foot_keypoints_2d": 6, "face_keypoints_2d": 70, "hand_right_keypoints_2d": 21, "hand_left_keypoints_2d": 21}.items() if rand.random() < 0.98} for _ in range(rand.randint(0, 2))]
    return [{"canvas_width": canvas[0], "canvas_height": canvas[1], "people": people()} for _ in range(rand.randint(1, 2))]


def tracked(frames):
    """Packed masks [frames, objects, height, width/8] of objects that do not hide each other entirely."""
    objects, w, h = rand.randint(1, 8), 8 * rand.randint(1, 4), rand.randint(3, 12)
    bits = (uniform(frames * objects * h * (w // 8), seed()) * 256).astype(np.uint8).reshape(frames, objects, h, w // 8)
    return {"packed_masks": values(torch.from_numpy(bits)), "orig_size": [8 * rand.randint(1, 6), 8 * rand.randint(1, 6)], "n_frames": frames}


for i in range(CALLS):
    layered(record=True)
    case("BuildJsonPromptIdeogram", element=pick([[], [{"type": "obj", "bbox": [rand.randint(0, 999) for _ in range(4)], "desc": text()} for _ in range(rand.randint(1, 3))], text()]), high_level_description=text(), background=text(), aesthetics=text(), lighting=text(),
         medium=text(), color_palette=pick([None, [], ["#%06x" % rand.randrange(1 << 24) for _ in range(3)]]), **pick([{"style": "none"}, {"style": "photo", "style.photo": text()}, {"style": "art_style", "style.art_style": text()}]))
    w, h = 16 * rand.randint(4, 9), 16 * rand.randint(4, 9)
    case("CreateBoundingBoxes", LETTER, width=w, height=h, editor_state=state(w, h), **some(0.5, background=smooth(1, rand.randint(8, 60), rand.randint(8, 60), 3, seed=seed())),
         **some(0.4, bboxes=pick([[box()], json.dumps([box()]), [[box()], [box()]]])), **some(0.3, last_incoming=[box()]))
    case("CreateList", **{f"inputs.input{k}": [pick([rand.randint(-5, 5), real(-2, 2), text(), True])] * rand.randint(0, 3) for k in range(rand.randint(1, 4))})
    case("CurveEditor", curve=pick([lambda: {"points": [[real(0, 1), real(0, 1)] for _ in range(rand.randint(0, 5))], "interpolation": pick(["monotone_cubic", "linear"])}, lambda: [[real(0, 1), real(0, 1)] for _ in range(rand.randint(0, 4))]])(), **some(0.5, histogram=[rand.randint(0, 99) for _ in range(4)]))
    case("DrawBBoxes", LETTER, bboxes=boxes(2, **some(0.5, label=pick(["cat", "dog", "traffic light"]))), **some(0.8, image=smooth(pick([1, 2]), rand.randint(30, 60), rand.randint(30, 60), 3, seed=seed())))
    case("FluxKontextImageScale", STEP, image=smooth(1, rand.randint(8, 90), rand.randint(8, 90), 3, seed=seed()))
    saves("ImageCompare", compare_view=None, **some(0.8, image_a=image(3)), **some(0.8, image_b=image(3)))
    shape = (rand.randint(9, 40), rand.randint(9, 40))
    case("ImageCropToMask", STEP, images=smooth(pick([1, 1, 2]), *shape, pick([3, 4]), seed=seed()), masks=rnd(pick([1, 1, 2]), *(shape if rand.random() < 0.7 else (rand.randint(5, 40), rand.randint(5, 40))), seed=seed(), lo=-0.5, hi=1.2),
         width=8 * rand.randint(8, 12), height=8 * rand.randint(8, 12), pad_factor=real(1, 2, 2), grow_mask=rand.randint(-4, 6), background=VALUES["COLOR"]())
    case("ImageCropV2", image=image(), crop_region=box())
    w, h, tw, th, lap = rand.randint(8, 60), rand.randint(8, 60), rand.randint(8, 40), rand.randint(8, 40), rand.randint(0, 12)
    tiles = call("SplitImageToTileList", image=img(1, h, w, 3, seed=seed()), tile_width=tw, tile_height=th, overlap=lap)
    case("ImageMergeTileList", 2e-6, image_list=tiles, final_width=[w], final_height=[h], overlap=[lap])
    case("LayersFromBoundingBoxes", image=image(), bboxes=pick([lambda: boxes(1), lambda: json.dumps([box()])])(), **some(0.5, mask=VALUES["MASK"]()), **some(0.4, layers=layered()), crop_to_content=rand.random() < 0.5, canvas_width=rand.randint(0, 90),
         canvas_height=rand.randint(0, 90))
    case("PiDConditioning", TOLERANCE, positive=VALUES["CONDITIONING"](), degrade_sigma=real(0, 1, 2), **pick([{"latent_format": f, "latent": latent(rnd(1, c, rand.randint(1, 4), rand.randint(1, 4), seed=seed()))} for f, c in [("flux", 16), ("flux", 128), ("sd3", 16), ("sdxl", 4)]]
         + [{"latent_format": "qwenimage", "latent": latent(rnd(1, 16, rand.randint(1, 3), 2, 3, seed=seed()))}]))
    case("NormalizeVideoLatentStart", TOLERANCE, latent=video(), start_frame_count=rand.randint(1, 8), reference_frame_count=rand.randint(1, 8))
    case("TrimVideoLatent", samples=video(), trim_amount=rand.randint(0, 6))
    case("SCAIL2ColoredMask", driving_track_data=tracked(rand.randint(1, 3)), object_indices=pick(["", "0", "1, 0", "2,x,0", "9"]), sort_by=pick(["none", "left_to_right", "area"]), replacement_mode=rand.random() < 0.5,
         **some(0.5, ref_track_data=pick([lambda: tracked(1), lambda: rnd(rand.randint(1, 2), 5, 4, seed=seed())])()))
    case("SDPoseDrawKeypoints", keypoints=keypoints(), **{f"draw_{k}": rand.random() < 0.8 for k in ["body", "hands", "face", "feet", "head"]}, stick_width=rand.randint(1, 10), face_point_size=rand.randint(1, 10), score_threshold=real(0, 1, 2))
    case("SDPoseFaceBBoxes", 1e-9, keypoints=keypoints(), scale=real(1, 10, 1), force_square=rand.random() < 0.5)
    h, w = rand.randint(6, 20), rand.randint(6, 20)
    method = pick(["lab", "wavelet", "adain", "none"])
    n = rand.randint(1, 5)
    # Of lab, ranks of values that differ by rounding swap.
    case("SeedVR2PostProcessing", 2e-3 if method == "lab" else 5e-6, images=rnd(n, h, w, 3, seed=seed()), original_resized_images=rnd(n, h, w, pick([3, 4]), seed=seed(), lo=0.2, hi=0.9), color_correction_method=method)
    case("SeedVR2Preprocess", resized_images=rnd(rand.randint(1, 6), rand.randint(3, 20), rand.randint(3, 20), pick([3, 3, 4]), seed=seed(), lo=-0.1, hi=1.1))
    c, h, w = 16, rand.randint(1, 3), rand.randint(1, 3)
    parts = [rand.randint(2, 6)] * rand.randint(0, 3) + [rand.randint(1, 6)]
    if rand.random() < 0.9:
        parts[-1] = min(parts[0], parts[-1])
    case("SeedVR2TemporalMerge", 1e-6, latents=[latent(rnd(1, c, n, h, w, seed=seed())) for n in parts], temporal_overlap=[rand.randint(0, 4)])
    if calls[-1].get("error") == "RuntimeError":
        differs("chunks that are shorter than the overlap are merged as far as they go")
    lists = {"videos": [rand.randint(0, 99) for _ in range(rand.randint(1, 6))], "seed": [rand.randrange(2**64)]}
    case("ShuffleVideoDataset", **lists)
    case("ShuffleVideoTextDataset", texts=[text() for _ in range(len(lists["videos"]) + pick([0, 0, 0, 1]))], **lists)
    guide = lambda: cond((rnd(1, 2, 3, seed=seed()), pick([{}, {"strength": 0.5}, {"keyframe_idxs": rnd(1, 3, 6 * rand.randint(1, 3), 2, seed=seed()), "guide_attention_entries": [1]}])))
    case("LTXVCropGuides", positive=guide(), negative=guide(), latent=pick([lambda: latent(rnd(1, 4, rand.randint(1, 7), 3, 2, seed=seed())), lambda: latent(rnd(1, 4, 6, 3, 2, seed=seed()), noise_mask=rnd(1, 1, 6, 3, 2, seed=seed()))])())
    # Spectra in float32, whose quiet bands are logarithms of what is left of them.
    case("WanDancerEncodeAudio", 2e-2, audio=audio(rnd(1, pick([1, 2]), rand.randint(16000, 30000), seed=seed(), lo=-0.5, hi=0.5), pick([8000, 11025, 16000])), video_frames=rand.randint(5, 60), audio_inject_scale=real(0, 10, 2))
    ints = rand.randint(2, 9)
    case("ResolutionBucket", latents=[latent(rnd(pick([1, 2]), 4, pick([2, 3]), pick([2, 3]), seed=seed())) for _ in range(ints)], conditioning=[cond(*[(rnd(1, 2, 3, seed=seed()), {})] * 2) for _ in range(ints)])


# Files: what the classes write into folders, and read from them.
def png(mode="RGB", w=None, h=None):
    w, h = w or rand.randint(1, 9), h or rand.randint(1, 9)
    out = io.BytesIO()
    c = len(mode)
    Image.fromarray((uniform(w * h * c, seed()) * 256).astype(np.uint8).reshape((h, w, c) if c > 1 else (h, w)), mode).save(out, "PNG")
    return out.getvalue()


PREFIXES = ["p", "a/b", "x y", "ü", "t %width%"]
listdir = os.listdir
os.listdir = lambda path: sorted(listdir(path))
for i in range(CALLS):
    saves("Painter", STEP, given={"input/m.png": png(pick(["RGBA", "RGBA", "RGB"]))}, mask=pick(["", " ", "m.png", "m.png"]), bg_color=VALUES["COLOR"](), **pick([{"width": 64, "height": 64}, {"width": 64, "height": 64, "image": img(1, rand.randint(2, 9), rand.randint(2, 9), 3, seed=seed())}]))
    folder = dict(images=[img(1, rand.randint(1, 6), rand.randint(1, 6), pick([3, 3, 4]), seed=seed()) for _ in range(rand.randint(1, 3))], folder_name=[pick(["set", "a/b", "x y"])], filename_prefix=[pick(["p", "x y", "ü"])], mode=[pick(["overwrite", "increment"])])
    earlier = lambda cls, **more: [(cls, {**folder, **more})] if rand.random() < 0.5 else ()
    saves("SaveImageDataSetToFolder", before=earlier("SaveImageDataSetToFolder"), **folder)
    texts = dict(texts=[text() for _ in range(max(1, len(folder["images"]) - pick([0, 0, 1])))])
    saves("SaveImageTextDataSetToFolder", before=earlier("SaveImageTextDataSetToFolder", **texts), **folder, **texts)
    saves("SaveText", text=pick([text(), '{"a": [1, 2.0, "ü"]}', "a,b\n1,2\n"]), filename_prefix=pick(PREFIXES), format=pick(["txt", "csv", "md", "json"]), **some(0.5, before=[("SaveText", dict(text="x", filename_prefix="p", format="txt"))]), **some(0.3, prompt={"1": {"class_type": "SaveText", "inputs": {}}}))
    n = rand.randint(1, 3)
    training = dict(latents=[latent(rnd(1, 4, rand.randint(1, 3), rand.randint(1, 3), seed=seed())) for _ in range(n)], conditioning=[cond((rnd(1, 2, 3, seed=seed()), pick([{}, {"pooled_output": rnd(1, 4, seed=seed())}, {"guidance": 3.5, "area": [1, 2, 3, 4]}]))) for _ in range(max(1, n - pick([0, 0, 0, 1])))],
                    folder_name=[pick(["train", "a/b"])], shard_size=[rand.randint(1, 3)])
    saves("SaveTrainingDataset", **training)
    training["conditioning"] = (training["conditioning"] * 3)[:n]
    saves("LoadTrainingDataset", before=[("SaveTrainingDataset", training)], folder_name=pick([training["folder_name"][0], training["folder_name"][0], "missing"]))
    files = {f"input/set/{pick(['', '3_x/', 'plain/'])}{name}.png": png(pick(["RGB", "RGBA", "L"])) for name in rand.sample(["a", "b", "C", "d e", "ü"], rand.randint(1, 3))}
    files |= {k.replace(".png", ".txt"): rand.choice([" a caption\r\n", "Grüße", ""]).encode() for k in list(files) if rand.random() < 0.6}
    for cls in ["LoadImageDataSetFromFolder", "LoadImageTextDataSetFromFolder"]:
        saves(cls, given=files, folder=pick(["set", "set", "set/3_x", "none"]))
    sound = audio(rnd(pick([1, 1, 2]), pick([1, 2]), rand.randint(1, 4000), seed=seed(), lo=-1, hi=1), pick([8000, 22050, 44100, 48000]))
    more = some(0.4, prompt={"1": {}}, workflow={"nodes": []})
    saves("PreviewAudio", audio=sound, **more)
    saves("SaveAudio", audio=sound, filename_prefix=pick(["audio/x", "x", "x %batch_num%"]), **more)
