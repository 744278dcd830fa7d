# Calls of classes that change images; see tests/nodecalls/record.py.
for i, shape in enumerate([(1, 24, 30, 3), (2, 17, 12, 3), (1, 20, 20, 1), (1, 9, 9, 4)]):
    for low, high in [(0.1, 0.3), (0.4, 0.8), (0.8, 0.4), (0.5, 0.5)]:
        case("Canny", image=smooth(*shape, seed=i), low_threshold=low, high_threshold=high)
        case("Canny", image=img(*shape, seed=i), low_threshold=low, high_threshold=high)
case("Canny", image=img(1, 2, 5, 3), low_threshold=0.1, high_threshold=0.3)

for region in [{"x": 1, "y": 2, "width": 3, "height": 2}, {"x": 50, "y": 60, "width": 3, "height": 2}, {"x": 0, "y": 0, "width": 512, "height": 512}, {}, {"x": -2, "y": 0, "width": 1, "height": 2}]:
    case("ImageCropV2", image=img(2, 6, 5, 3), crop_region=region)
for x, y, w, h in [(0, 0, 512, 512), (3, 4, 5, 6)]:
    case("PrimitiveBoundingBox", x=x, y=y, width=w, height=h)
for w, h, tw, th, overlap in [(13, 9, 6, 5, 2), (13, 9, 6, 5, 0), (10, 8, 20, 30, 3), (9, 9, 4, 4, 4), (7, 11, 7, 3, 1), (8, 8, 4, 4, 100)]:
    image = img(2, h, w, 3)
    case("SplitImageToTileList", image=image, tile_width=tw, tile_height=th, overlap=overlap)
    tiles = call("SplitImageToTileList", image=img(1, h, w, 3), tile_width=tw, tile_height=th, overlap=overlap)
    # Sines in float32; quotients of sums.
    case("ImageMergeTileList", 1e-6, image_list=tiles, final_width=[w], final_height=[h], overlap=[overlap])
case("ImageMergeTileList", 1e-6, image_list=[img(1, 4, 4, 3), img(1, 2, 3, 3, seed=2)], final_width=[10], final_height=[5], overlap=[1])
case("ImageMergeTileList", image_list=[img(1, 4, 4, 3), img(2, 4, 4, 3, seed=2)], final_width=[10], final_height=[5], overlap=[1])
for a, b in [({}, {}), ({"image_a": img(2, 3, 4, 3)}, {}), ({"image_a": img(1, 3, 4, 3)}, {"image_b": img(1, 5, 4, 4)})]:
    case("ImageCompare", compare_view=None, **a, **b)
for color in ["#ff8000", "#000", "red", "#ABCDEF"]:
    case("Painter", mask="", width=64, height=128, bg_color=color)
case("Painter", mask=" ", width=64, height=64, bg_color="#000000", image=img(2, 3, 4, 3))
for shape in [(1, 9, 8, 3), (2, 5, 5, 4), (1, 3, 3, 2)]:
    case("ImageHistogram", image=rnd(*shape, lo=-0.1, hi=1.1))
DESCRIBE["MonotoneCubicCurve"] = DESCRIBE["LinearCurve"] = lambda c: repr(c)
for points in [[[0.0, 0.0], [1.0, 1.0]], [[0.5, 0.25], [0.0, 0], [1, 1.0]], []]:
    for way in ["monotone_cubic", "linear", "other"]:
        case("CurveEditor", curve={"points": points, "interpolation": way})
    case("CurveEditor", curve=points, histogram=[1, 2, 3])
case("CurveEditor", curve={})
case("CurveEditor", curve=[[1]])
case("CurveEditor", curve=[["a", 1]])

dark, light = smooth(3, 9, 8, 3, seed=1), smooth(1, 7, 6, 3, seed=4)
two = smooth(2, 7, 6, 3, seed=3)
for stats in [{"source_stats": "per_frame"}, {"source_stats": "uniform"}, {"source_stats": "target_frame", "source_stats.target_index": 1}, {"source_stats": "target_frame", "source_stats.target_index": 9}]:
    for strength in [1.0, 0.3, 1.8, 0.0]:
        for ref in [light, two]:
            # Powers and sums in float32 against float64.
            case("ColorTransfer", 2e-5, image_target=dark, image_ref=ref, method="reinhard_lab", strength=strength, **stats)
            # Eigenvectors in float32 on top.
            case("ColorTransfer", 5e-5, image_target=dark, image_ref=ref, method="mkl_lab", strength=strength, **stats)
            case("ColorTransfer", 1e-7, image_target=dark, image_ref=ref, method="histogram", strength=strength, **stats)
case("ColorTransfer", image_target=img(1, 4, 4, 3), image_ref=const(0.5, 1, 2, 2, 3), method="histogram", source_stats="uniform", strength=1.0)

layer = dict(name="", x=0, y=0, opacity=1.0, blend_mode="normal", rotation=0.0, width=0, height=0, z_index=0, flip_h=False, flip_v=False)
case("AddLayer", image=img(1, 2, 3, 3), **layer)
case("AddLayer", image=img(2, 2, 3, 4), mask=rnd(1, 2, 3), layers=call("AddLayer", image=img(1, 1, 1, 3), **layer),
     **{**layer, "name": "top", "x": -5, "y": 7, "opacity": 0.5, "blend_mode": "screen", "rotation": 30.0, "width": 10, "height": 20, "z_index": -3, "flip_h": True, "flip_v": True})
case("AddLayer", image=img(1, 1, 1, 3), layers={"version": 1, "layers": [], "canvas": [64, 32]}, **layer)
case("AddLayer", image=img(1, 1, 1, 3), layers={"canvas": [0, 32]}, **layer)
