package image

import (
	"context"
	"fmt"
	"slices"

	"comfygo/engine/tensor"
	"comfygo/internal/coco"
	"comfygo/internal/draw"
	"comfygo/internal/imaging"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&DrawBBoxes{})
}

// DrawBBoxes draws bounding boxes with their labels.
type DrawBBoxes struct {
	Bboxes any            `in:"bboxes" type:"BOUNDING_BOX" default:"{\"x\": 0, \"y\": 0, \"width\": 512, \"height\": 512}" socketless:"true" forceInput:"true"`
	Image  *tensor.Tensor `in:"image" type:"IMAGE" optional:"true"`
}

// Spec implements nodes.Node.
func (*DrawBBoxes) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "DrawBBoxes", DisplayName: "Draw BBoxes", Category: "image/detection",
		Module: "comfy_extras.nodes_rtdetr", V3: true,
		Outputs:       []nodes.Output{{Type: "IMAGE", Name: "out_image"}},
		SearchAliases: []string{"bbox", "bounding box", "object detection", "rt_detr", "visualize detections", "coco"},
		Uses:          nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer. Without an image the boxes give the size.
func (*DrawBBoxes) Sizes(s *nodes.Sizing) nodes.Images {
	if s.Has("image") {
		return s.Kept()
	}
	return nodes.UnknownImages()
}

// labelColors are the colors of classes in turn.
var labelColors = [][]byte{{255, 0, 0}, {0, 200, 0}, {0, 0, 255}, {255, 165, 0}, {128, 0, 128}, {0, 255, 255}, {255, 20, 147}, {100, 149, 237}}

// detection is a box with what was found in it.
type detection struct {
	rect

	x2, y2 float64
	class  int // -1 where it has no label of COCO
	score  float64
}

// Run implements nodes.Node. One list of boxes applies to all images; images beyond the lists have no boxes.
func (n *DrawBBoxes) Run(ctx *nodes.Context) (nodes.Result, error) {
	b := 1
	if n.Image != nil {
		if !isImage(n.Image) {
			return nodes.Result{}, errNoImage("image")
		}
		if c := n.Image.Shape[3]; c != 3 && c != 4 {
			return nodes.Result{}, nodes.Errorf("TypeError", "drawing boxes: the image has %d channels, want 3 or 4", c)
		}
		b = n.Image.Shape[0]
	}
	frames, err := detections(n.Bboxes, b)
	if err != nil {
		return nodes.Result{}, err
	}
	image := n.Image
	if image == nil {
		if image, err = blankFor(frames); err != nil {
			return nodes.Result{}, err
		}
	}
	h, w, c := image.Shape[1], image.Shape[2], image.Shape[3]
	if err := imaging.CheckSize("images with boxes", b, h, w, c); err != nil {
		return nodes.Result{}, err
	}
	out := tensor.New(b, h, w, c)
	const size = 10
	face := draw.NewFace(size)
	for i := range b {
		canvas := &draw.Canvas{Pix: imaging.ToBytes(image.Index(i).Data), Width: w, Height: h, Channels: c}
		for _, d := range frames[i] {
			if err := context.Cause(ctx); err != nil {
				return nodes.Result{}, err
			}
			if d.x2 < d.x || d.y2 < d.y {
				return nodes.Result{}, nodes.Errorf("ValueError", "drawing boxes: a box has a width of %g and a height of %g", d.width, d.height)
			}
			const border, margin = 3, 2
			color := slices.Concat(labelColors[max(d.class, 0)%len(labelColors)], []byte{255})[:c]
			canvas.Outline(int(d.x), int(d.y), int(d.x2), int(d.y2), border, color)
			if d.class >= 0 {
				text := fmt.Sprintf("%s %.2f", coco.Classes[d.class], d.score)
				canvas.Text(draw.Text{Face: face, Text: text}, d.x+margin, d.y+margin, color, nil)
			}
		}
		imaging.FromBytes(out.Index(i).Data, canvas.Pix)
	}
	return nodes.Out(out), nil
}

// detections are the boxes of each of b images, those of the lowest score first.
func detections(v any, b int) ([][]detection, error) {
	var lists []any
	switch v := v.(type) {
	case *pyjson.Object:
		lists = []any{[]any{v}}
	case []any:
		if lists = v; len(v) > 0 {
			if _, flat := v[0].(*pyjson.Object); flat {
				lists = []any{v}
			}
		}
	}
	out := make([][]detection, b)
	for i := range out {
		k := i
		if len(lists) == 1 {
			k = 0
		}
		if k >= len(lists) {
			continue
		}
		list, ok := lists[k].([]any)
		if !ok {
			return nil, nodes.Errorf("TypeError", "drawing boxes: the boxes of an image are a %s, want a list", pyjson.TypeName(lists[k]))
		}
		var err error
		if out[i], err = detectionsOf(list); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func detectionsOf(list []any) ([]detection, error) {
	rects, err := rectsOf("bboxes", list)
	if err != nil {
		return nil, err
	}
	out := make([]detection, len(list))
	whole := true
	for i, r := range rects {
		box := list[i].(*pyjson.Object)
		score, ok := number(gotten(box, "score", 1.0))
		if !ok {
			return nil, nodes.Errorf("TypeError", "drawing boxes: the score of a box is no number")
		}
		label, _ := gotten(box, "label", nil).(string)
		out[i] = detection{rect: r, x2: r.x + r.width, y2: r.y + r.height, class: slices.Index(coco.Classes, label), score: float64(float32(score))}
		for _, key := range []string{"x", "y", "width", "height"} {
			v, _ := box.Get(key)
			_, isFloat := v.(float64)
			whole = whole && !isFloat
		}
	}
	if !whole { // boxes with a fraction make all of them float32
		for i := range out {
			d := &out[i]
			d.x, d.y, d.x2, d.y2 = float64(float32(d.x)), float64(float32(d.y)), float64(float32(d.x2)), float64(float32(d.y2))
		}
	}
	slices.SortStableFunc(out, func(a, b detection) int {
		switch {
		case a.score < b.score:
			return -1
		case a.score > b.score:
			return 1
		}
		return 0
	})
	return out, nil
}

// blankFor is a black image that holds all boxes.
func blankFor(frames [][]detection) (*tensor.Tensor, error) {
	w, h, any := 0, 0, false
	for _, f := range frames {
		for _, d := range f {
			if x, y := int(d.rect.x+d.width), int(d.rect.y+d.height); any {
				w, h = max(w, x), max(h, y)
			} else {
				w, h, any = x, y, true
			}
		}
	}
	if !any {
		const side = 640
		w, h = side, side
	}
	if w < 1 || h < 1 {
		return nil, nodes.Errorf("RuntimeError", "drawing boxes: without an image they give the size, which is %dx%d", w, h)
	}
	if err := imaging.CheckSize("an image for boxes", len(frames), h, w, 3); err != nil {
		return nil, err
	}
	return tensor.New(len(frames), h, w, 3), nil
}
