# Calls of classes that quantize, crop by boxes and masks, draw poses and fit SeedVR2's images; see tests/nodecalls/record.py.
for dither in ["none", "floyd-steinberg", "bayer-2", "bayer-4", "bayer-8", "bayer-16"]:
    for colors in [1, 2, 7, 64, 256]:
        case("ImageQuantize", image=smooth(1, 17, 21, 3, seed=colors), colors=colors, dither=dither)
    case("ImageQuantize", image=img(2, 9, 13, 3, seed=3), colors=16, dither=dither)
# More than 65536 colors.
case("ImageQuantize", image=img(1, 300, 300, 3, seed=4), colors=250, dither="none")
case("ImageQuantize", image=const(0.5, 1, 4, 4, 3), colors=256, dither="none")
case("ImageQuantize", image=const(0.5, 1, 4, 4, 3), colors=3, dither="bayer-16")
case("ImageQuantize", image=img(1, 4, 4, 1), colors=3, dither="none")
case("ImageQuantize", image=img(1, 4, 4, 4), colors=3, dither="none")


def body(n, w, h, seed, low=0.0):
    """Keypoints [x, y, score] on a canvas."""
    u = uniform(3 * n, seed)
    return [v for i in range(n) for v in (round(float(u[3 * i]) * w, 2), round(float(u[3 * i + 1]) * h, 2), round(low + (1 - low) * float(u[3 * i + 2]), 3))]


def person(w, h, seed, low=0.0):
    return {"pose_keypoints_2d": body(18, w, h, seed, low), "foot_keypoints_2d": body(6, w, h, seed + 1, low), "face_keypoints_2d": body(70, w, h, seed + 2, low),
            "hand_right_keypoints_2d": body(21, w, h, seed + 3, low), "hand_left_keypoints_2d": body(21, w, h, seed + 4, low)}


frames = [{"canvas_width": 120, "canvas_height": 90, "people": [person(120, 90, 1), person(150, 120, 7)]}, {"canvas_width": 120, "canvas_height": 90, "people": []}]
drawn = dict(draw_body=True, draw_hands=True, draw_face=True, draw_feet=True, stick_width=4, face_point_size=3, score_threshold=0.3, draw_head=True)
case("SDPoseDrawKeypoints", keypoints=frames, **drawn)
for change in [{"draw_body": False}, {"draw_head": False}, {"draw_body": False, "draw_head": False}, {"draw_hands": False, "draw_face": False, "draw_feet": False}, {"stick_width": 1, "face_point_size": 10}, {"score_threshold": 0.0}, {"stick_width": 10, "score_threshold": 0.7}]:
    case("SDPoseDrawKeypoints", keypoints=frames[:1], **{**drawn, **change})
case("SDPoseDrawKeypoints", keypoints=[], **drawn)
case("SDPoseDrawKeypoints", keypoints=[{"canvas_width": 20, "canvas_height": 20, "people": [{"pose_keypoints_2d": [1, 2, 3]}]}], **drawn)
case("SDPoseDrawKeypoints", keypoints=[{"canvas_width": 20, "people": []}], **drawn)
for scale in [1.0, 1.5, 10.0]:
    for square in [True, False]:
        case("SDPoseFaceBBoxes", keypoints=frames, scale=scale, force_square=square)
case("SDPoseFaceBBoxes", keypoints=[], scale=1.5, force_square=True)
case("SDPoseFaceBBoxes", keypoints=[{"canvas_width": 20, "canvas_height": 20, "people": [{}, {"face_keypoints_2d": [5.0, 5.0, 1.0]}]}], scale=1.5, force_square=True)
case("SDPoseFaceBBoxes", keypoints=[{"canvas_width": 20, "canvas_height": 20, "people": [{"face_keypoints_2d": [5.0, 5.0]}]}], scale=1.5, force_square=True)


def box(x, y, w, h, **more):
    return {"x": x, "y": y, "width": w, "height": h, **more}


crop = dict(output_width=24, output_height=16, padding=0, keep_aspect="stretch")
# Means of float32 values in another order.
for boxes in [[[box(2, 3, 10, 12)]], [[box(2, 3, 10, 12), box(20, 1, 5, 5)], [], [box(0, 0, 3, 30)]], box(1, 2, 7, 8), [[box(-50, -50, 10, 10)]], [], [[]], [[box(3.7, 2.2, 4.5, 6.1)]]]:
    for change in [{}, {"padding": 4}, {"keep_aspect": "pad"}]:
        case("CropByBBoxes", 1e-6, image=smooth(3, 21, 33, 3), bboxes=boxes, **{**crop, **change})
case("CropByBBoxes", image=smooth(1, 21, 33, 3), bboxes=[box(2, 3, 10, 12)], **crop)
case("CropByBBoxes", image=smooth(1, 21, 33, 3), bboxes=[[{"x": 1}]], **crop)
case("CropByBBoxes", 1e-6, image=smooth(1, 2, 2, 3), bboxes=[[box(5, 5, 1, 1)]], **crop)

masked = dict(width=40, height=28, pad_factor=1.0, grow_mask=0, background="#000000")
for mask in [rnd(1, 30, 40, lo=-0.5, hi=1.4), rnd(1, 15, 20), const(0.0, 1, 30, 40), const(1.0, 1, 30, 40)]:
    # Lanczos through 8 bits: a product that is rounded differently falls on the other side of a step.
    for change in [{}, {"pad_factor": 1.7, "grow_mask": 2}, {"grow_mask": -1, "background": "#ff8000"}, {"width": 24, "height": 16}]:
        case("ImageCropToMask", 1.01 / 255, images=smooth(1, 30, 40, 4), masks=mask, **{**masked, **change})
case("ImageCropToMask", images=smooth(2, 30, 40, 3), masks=rnd(3, 30, 40), **masked)

for shape in [(1, 17, 5, 3), (3, 16, 4, 4), (5, 3, 4, 3), (1, 2, 6, 20, 3), (2, 7, 2, 8, 3)]:
    case("SeedVR2Preprocess", resized_images=rnd(*shape, lo=-0.2, hi=1.2))
case("SeedVR2Preprocess", resized_images=img(1, 1, 8, 3))
for method in ["lab", "wavelet", "adain", "none"]:
    for decoded, original in [((1, 18, 20, 3), (1, 17, 19, 3)), ((1, 5, 12, 12, 3), (3, 11, 12, 4)), ((2, 10, 12, 3), (2, 20, 13, 3)), ((1, 6, 8, 8, 3), (2, 3, 8, 8, 3))]:
        # Powers and sums in float32 against float64. Of lab, ranks of values that differ by less swap.
        case("SeedVR2PostProcessing", 2e-3 if method == "lab" else 2e-6, images=rnd(*decoded, seed=2), original_resized_images=rnd(*original, seed=3, lo=0.2, hi=0.9), color_correction_method=method)
case("SeedVR2PostProcessing", images=img(1, 8, 8, 3), original_resized_images=img(1, 8, 8, 3), color_correction_method="other")
