package image

import (
	"math"
	"strings"

	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&CreateBoundingBoxes{})
}

// CreateBoundingBoxes gives the boxes that were drawn in the editor.
type CreateBoundingBoxes struct {
	Width        int            `in:"width" default:"1024" min:"64" max:"16384" step:"16" tooltip:"Width of the canvas in pixels."`
	Height       int            `in:"height" default:"1024" min:"64" max:"16384" step:"16" tooltip:"Height of the canvas in pixels."`
	EditorState  any            `in:"editor_state" type:"BOUNDING_BOXES" default:"[]" socketless:"false" tooltip:"Boxes drawn in the editor, each with a type, text, description and palette. The background comes first, the foreground last."`
	Background   *tensor.Tensor `in:"background" type:"IMAGE" optional:"true" tooltip:"Image behind the boxes, in the editor and the preview."`
	Bboxes       any            `in:"bboxes" type:"BOUNDING_BOX,ARRAY,STRING" optional:"true" tooltip:"Boxes to begin with: bounding boxes, prompt elements or JSON of either. New ones replace what was drawn."`
	LastIncoming any            `in:"last_incoming" type:"BOUNDING_BOXES" optional:"true" default:"[]" socketless:"true" tooltip:"Set by the editor: the value of bboxes that the canvas began with."`
}

// Spec implements nodes.Node.
func (*CreateBoundingBoxes) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CreateBoundingBoxes", DisplayName: "Create Bounding Boxes", Category: "utilities",
		Module: "comfy_extras.nodes_bounding_boxes", V3: true,
		Outputs:      []nodes.Output{{Type: "IMAGE", Name: "preview"}, {Type: "BOUNDING_BOX", Name: "bboxes"}, {Type: "ARRAY", Name: "elements"}},
		OutputNode:   true,
		Experimental: true,
		Description:  "Draws bounding boxes on a canvas. Gives them in pixels, as elements of an Ideogram prompt, and as a preview.",
		Uses:         nodes.UsesNothing,
	}
}

// previewSide bounds the longer side of previews of boxes, in pixels.
const previewSide = 1024

// Sizes implements nodes.Sizer.
func (*CreateBoundingBoxes) Sizes(s *nodes.Sizing) nodes.Images {
	p := s.In.Of(previewSide, previewSide)
	p.Count = p.Lists
	return p
}

// region is a box in fractions of the canvas with its content.
type region struct {
	x, y, w, h              float64
	kind, text, desc, color any
}

// Run implements nodes.Node.
func (n *CreateBoundingBoxes) Run(ctx *nodes.Context) (nodes.Result, error) {
	const most = 1 << 20
	if n.Width < 0 || n.Height < 0 || n.Width > most || n.Height > most {
		return nodes.Result{}, nodes.Errorf("ValueError", "drawing bounding boxes: the canvas is %dx%d", n.Width, n.Height)
	}
	incoming, err := boxesFrom(n.Bboxes, n.Width, n.Height)
	if err != nil {
		return nodes.Result{}, err
	}
	given := make([]any, len(incoming))
	for i, b := range incoming {
		given[i] = b
	}
	applied, _ := n.LastIncoming.([]any)
	source, _ := n.EditorState.([]any)
	if len(given) > 0 && !equalValues(given, applied) {
		source = given
	}
	regions, err := regionsOf(source, n.Width, n.Height)
	if err != nil {
		return nodes.Result{}, err
	}
	preview, err := n.preview(ctx, regions)
	if err != nil {
		return nodes.Result{}, err
	}
	r := nodes.Out(preview, pixelBoxes(regions, n.Width, n.Height), promptElements(regions)).AddUI("dims", []any{int64(n.Width), int64(n.Height)})
	if len(given) > 0 {
		r = r.AddUI("input_bboxes", given)
	}
	return r, nil
}

// equalValues compares JSON values as Python does: numbers by value, the keys of objects in any order.
func equalValues(a, b any) bool {
	if x, ok := number(a); ok {
		y, ok := number(b)
		return ok && x == y
	}
	switch a := a.(type) {
	case []any:
		list, ok := b.([]any)
		if !ok || len(list) != len(a) {
			return false
		}
		for i := range a {
			if !equalValues(a[i], list[i]) {
				return false
			}
		}
		return true
	case *pyjson.Object:
		o, ok := b.(*pyjson.Object)
		if !ok || o.Len() != a.Len() {
			return false
		}
		for key, v := range a.All() {
			other, there := o.Get(key)
			if !there || !equalValues(v, other) {
				return false
			}
		}
		return true
	}
	return a == b
}

// regionsOf turns boxes in pixels into regions.
func regionsOf(boxes []any, width, height int) ([]region, error) {
	w, h := float64(max(width, 1)), float64(max(height, 1))
	var out []region
	for _, e := range boxes {
		box, ok := e.(*pyjson.Object)
		if !ok {
			continue
		}
		var r region
		for _, side := range []struct {
			key string
			of  float64
			to  *float64
		}{{"x", w, &r.x}, {"y", h, &r.y}, {"width", w, &r.w}, {"height", h, &r.h}} {
			v, ok := number(gotten(box, side.key, int64(0)))
			if !ok {
				return nil, nodes.Errorf("TypeError", "drawing bounding boxes: %s of a box is no number", side.key)
			}
			if math.IsNaN(v) || math.Abs(v) > maxCoordinate {
				return nil, nodes.Errorf("ValueError", "drawing bounding boxes: %s of a box is %g, want at most %d", side.key, v, maxCoordinate)
			}
			*side.to = v / side.of
		}
		meta := box.Object("metadata")
		r.kind, r.text, r.desc, r.color = gotten(meta, "type", "obj"), gotten(meta, "text", ""), gotten(meta, "desc", ""), gotten(meta, "palette", []any{})
		out = append(out, r)
	}
	return out, nil
}

// pixelBoxes are the regions in pixels, as the boxes of one frame.
func pixelBoxes(regions []region, width, height int) []any {
	if len(regions) == 0 {
		return []any{}
	}
	frame := make([]any, len(regions))
	for i, r := range regions {
		x, y, w, h := r.x, r.y, r.w, r.h
		if w < 0 {
			x, w = x+w, -w
		}
		if h < 0 {
			y, h = y+h, -h
		}
		frame[i] = pyjson.NewObject("x", rounded(x*float64(width)), "y", rounded(y*float64(height)), "width", rounded(w*float64(width)), "height", rounded(h*float64(height)))
	}
	return []any{frame}
}

// promptElements are the regions as elements of a prompt, in thousandths.
func promptElements(regions []region) []any {
	out := make([]any, len(regions))
	for i, r := range regions {
		grid := func(v float64) int64 { return max(0, min(1000, rounded(v*1000))) }
		top, left, bottom, right := grid(r.y), grid(r.x), grid(r.y+r.h), grid(r.x+r.w)
		e := pyjson.NewObject("type", "obj", "bbox", []any{min(top, bottom), min(left, right), max(top, bottom), max(left, right)})
		if r.kind == "text" {
			e.Set("type", "text")
			e.Set("text", r.text)
		}
		e.Set("desc", r.desc)
		if colors := paletteOf(r.color); len(colors) > 0 {
			const most = 5
			e.Set("color_palette", colors[:min(len(colors), most)])
		}
		out[i] = e
	}
	return out
}

// paletteOf are the colors of a list, or of an object's values, in capitals.
func paletteOf(v any) []any {
	list, _ := v.([]any)
	if o, ok := v.(*pyjson.Object); ok {
		for _, e := range o.All() {
			list = append(list, e)
		}
	}
	var out []any
	for _, e := range list {
		if text, ok := e.(string); ok && text != "" {
			out = append(out, strings.ToUpper(text))
		}
	}
	return out
}
