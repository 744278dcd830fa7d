# Calls of classes that draw text and boxes; see tests/nodecalls/record.py.
# Coverage of letters: FreeType rounds areas in its own fixed point, and of outlines it approximates the round corners by curves.
letter = 5.1 / 255
stroked = 16.0 / 255

plain = dict(text="Hello, World", font_size=12.0, color="#ffffff", position="top", align="left", outline=False)
for change in [{}, {"align": "center", "position": "bottom"}, {"align": "right", "color": "#ff800080"}, {"text": "two\\nlines and a\nthird «©»", "align": "center"}, {"text": "a very long text that does not fit at all and has to be made smaller until it does, and then some more", "font_size": 20.0},
               {"text": "Supercalifragilistic", "font_size": 30.0, "align": "right"}, {"text": "日本 ÄÖ \u0000x", "color": "red"}, {"text": "  "}, {"color": "rgb(10, 20,300)", "text": "x\ny\\tz"}, {"text": "j", "font_size": 50.0}]:
    case("TextOverlay", letter, images=smooth(1, 80, 120, 3), **{**plain, **change})
    case("TextOverlay", stroked, images=const(0.5, 1, 80, 120, 3), **{**plain, **change, "outline": True})
case("TextOverlay", letter, images=img(2, 30, 40, 1), **plain)
case("TextOverlay", images=img(1, 30, 40, 4), **plain)
case("TextOverlay", images=img(1, 30, 40, 3), **{**plain, "color": "nothing"})
case("TextOverlay", letter, images=img(1, 1, 1, 3), **plain)


def box(x, y, w, h, **more):
    return {"x": x, "y": y, "width": w, "height": h, **more}


for boxes in [[[box(2, 3, 30, 20, label="cat", score=0.876), box(10, 10, 60, 40, label="dog", score=0.5), box(1, 1, 4, 4)], [box(5, 5, 2, 9, label="person")]], [box(-5, -5, 30.5, 20.25, label="traffic light", score=1)], box(3, 4, 0, 0, label="bus"), [], [[]]]:
    case("DrawBBoxes", letter, image=smooth(2, 50, 70, 3), bboxes=boxes)
    case("DrawBBoxes", letter, bboxes=boxes if boxes not in ([], [[]]) else [[box(0, 0, 9, 8)]])
case("DrawBBoxes", letter, image=smooth(1, 20, 30, 4), bboxes=box(3, 4, 20, 10, label="zebra"))
case("DrawBBoxes", image=smooth(1, 20, 30, 1), bboxes=box(3, 4, 20, 10))
case("DrawBBoxes", image=smooth(1, 20, 30, 3), bboxes=box(3, 4, -2, 10))
case("DrawBBoxes", bboxes=box(0, 0, -4, 3))

state = [box(8, 16, 60, 40, metadata={"type": "text", "text": "Sale", "desc": "a big red sign over the door of a shop", "palette": ["#ff0000", "#00ff00", "bad", ""]}),
         box(90, 10, -30, 30, metadata={"desc": "tree", "palette": ["#102030"]}), box(0, 0, 128, 96), 5]
sized = dict(width=128, height=96)
elements = [{"type": "obj", "bbox": [100, 200, 500, 900], "desc": "a cat"}, {"type": "text", "bbox": [900, 800, 100, 100], "text": "hi", "color_palette": ["#ff0000"]}]
case("CreateBoundingBoxes", letter, editor_state=state, last_incoming=[], **sized)
case("CreateBoundingBoxes", letter, editor_state=state, background=smooth(2, 60, 80, 3), bboxes=[box(1, 2, 30, 40)], last_incoming=[], **sized)
case("CreateBoundingBoxes", letter, editor_state=state[:1], bboxes=[box(1, 2, 30, 40)], last_incoming=[box(1.0, 2, 30, 40)], **sized)
case("CreateBoundingBoxes", letter, bboxes=json.dumps(elements), background=img(1, 5, 4, 1), **sized)
case("CreateBoundingBoxes", letter, editor_state=[], width=64, height=64)
case("CreateBoundingBoxes", editor_state=[box(1, 2, 30, 40, metadata={"palette": [3]})], **sized)
case("CreateBoundingBoxes", editor_state=[box("a", 2, 30, 40)], **sized)
case("CreateBoundingBoxes", bboxes=3, **sized)
