# Calls of classes that stack and composite layers; see tests/nodecalls/record.py.
import comfy_api.latest._ui as _ui
from comfy_extras.compositor_blend import _LAYER_MODES

# Previews are compared by a test of their own.
_ui.ImageSaveHelper.save_images = staticmethod(lambda *a, **k: [])

plain = dict(name="", x=0, y=0, opacity=1.0, blend_mode="normal", rotation=0.0, width=0, height=0, z_index=0, flip_h=False, flip_v=False)


def layer(image, below=None, mask=None, **more):
    inputs = {**plain, **more}
    if below is not None:
        inputs["layers"] = below
    if mask is not None:
        inputs["mask"] = mask
    return call("AddLayer", image=image, **inputs)


under = layer(smooth(1, 14, 18, 3, seed=2))
for mode in _LAYER_MODES:
    # Powers and quotients in float32.
    case("ImageCompositor", 3e-5, layers=layer(rnd(1, 10, 12, 4, seed=5), under, x=2, y=1, blend_mode=mode, opacity=0.8), compositor={})
for more in [{"rotation": 30.0}, {"rotation": 90.0}, {"rotation": -180.0, "flip_h": True}, {"width": 31, "height": 9, "flip_v": True}, {"width": 5, "height": 6, "rotation": 200.0}, {"x": -7, "y": 11, "z_index": -1}, {"opacity": 0.0}, {"x": 100, "y": -100}]:
    # A value that is rounded to 8 bits the other way.
    case("ImageCompositor", 2e-2, layers=layer(smooth(2, 13, 17, 4), under, **more), compositor={})
case("ImageCompositor", 3e-5, layers=layer(smooth(2, 9, 8, 3), mask=rnd(1, 5, 4)), compositor="")
case("ImageCompositor", 3e-5, layers=layer(smooth(2, 9, 8, 3), mask=rnd(2, 9, 8)), compositor="{}")
case("ImageCompositor", layers={}, compositor={})
case("ImageCompositor", 3e-5, layers={"canvas": [9, 7], "layers": [{"image": smooth(1, 4, 5, 3)}, 3, {"image": None}]}, compositor={})
case("ImageCompositor", layers={"version": 2}, compositor={})
case("ImageCompositor", layers={"layers": [{"type": "vector"}]}, compositor={})
case("ImageCompositor", layers={"layers": [{"image": smooth(1, 4, 5, 3), "blend_mode": "no"}]}, compositor={})
case("ImageCompositor", layers=layer(smooth(51, 1, 1, 3)), compositor={})
case("ImageCompositor", layers={"canvas": [20000, 7], "layers": [{"image": smooth(1, 4, 5, 3)}]}, compositor={})

# What the editor saves, for layers of these fingerprints.
stack = layer(smooth(1, 8, 9, 4), layer(smooth(1, 6, 7, 3, seed=3)), x=1)
from comfy_extras.nodes_compositor import document_items, expand_item_frames, frame_alpha, input_fingerprints
_frames = expand_item_frames(document_items(stack.make()))
prints = input_fingerprints(_frames, [frame_alpha(f["tensor"], f["mask"]) for f in _frames])
saved = {"version": 1, "canvas": {"w": 16, "h": "12"}, "layers": [{"opacity": 0.5, "blend": "multiply", "transform": {"x": 3.5, "y": 1, "w": 8, "h": 8, "rotation": 0.3}}, {"visible": True, "flipH": True}], "inputs": prints,
         "background": {"color": "#f80", "opacity": 0.75}, "order": [1, 0]}
for change in [{}, {"order": [0, 0]}, {"background": {"visible": False}}, {"background": {"color": "red", "opacity": 3}}, {"inputs": ["x", "y"]}, {"canvas": {"w": -1, "h": 3}}, {"layers": [{"opacity": 9, "blend": 3, "transform": {"x": 1e9, "w": -4}}, 5]}, {"version": 3}]:
    case("ImageCompositor", 2e-2, layers=stack, compositor={**saved, **change})
case("ImageCompositor", 2e-2, layers=stack, compositor=json.dumps(saved))


def box(x, y, w, h, **meta):
    return {"x": x, "y": y, "width": w, "height": h, **({"metadata": meta} if meta else {})}


placed = dict(crop_to_content=True, canvas_width=0, canvas_height=0)
elements = [{"type": "obj", "bbox": [100, 200, 500, 900], "desc": "a cat"}, {"type": "text", "bbox": [900, 800, 100, 100], "text": "hi", "color_palette": ["#ff0000"]}]
for boxes in [[box(1, 2, 3, 4)], [[box(1, 2.7, 0, 4, name="a", z_index=7), box(5, 6, 7, 8, desc="b", content_rect=[1, 1, 2, 2])]], box(9, 9, 1, 1), "", json.dumps([box(1, 2, 3, 4, name="", desc="d")]), []]:
    case("LayersFromBoundingBoxes", image=img(3, 4, 5, 3), bboxes=boxes, mask=rnd(2, 4, 5), **placed)
case("LayersFromBoundingBoxes", image=img(2, 4, 5, 3), bboxes=[box(1, 1, 3, 3, content_rect=[1, 1, 2, 2])], layers=under, **{**placed, "crop_to_content": False, "canvas_width": 10, "canvas_height": 11})
case("LayersFromBoundingBoxes", image=img(2, 4, 5, 3), bboxes=elements, layers={"canvas": [3, 4], "layers": []}, **{**placed, "canvas_width": 100, "canvas_height": 50})
case("LayersFromBoundingBoxes", image=img(1, 4, 5, 3), bboxes=[], layers={"canvas": [3, 4], "layers": []}, **placed)
for bad in [elements, "{", [3], {"x": 1}, 3, [{"x": 1}], [{"bbox": [1, 2, 3, "x"]}]]:
    case("LayersFromBoundingBoxes", image=img(1, 4, 5, 3), bboxes=bad, **placed)
