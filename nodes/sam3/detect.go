package sam3

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"comfygo/engine"
	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

func init() { nodes.Register(&Detect{}) }

// Detect finds objects in images by texts, boxes and points.
type Detect struct {
	Model        *engine.Model       `in:"model" type:"MODEL" display_name:"model"`
	Image        *tensor.Tensor      `in:"image" type:"IMAGE" display_name:"image"`
	Conditioning engine.Conditioning `in:"conditioning" type:"CONDITIONING" optional:"true" display_name:"conditioning" tooltip:"Text of the objects to find, encoded by the checkpoint's CLIP. It may list several kinds, such as cat, dog:3 for at most one cat and three dogs."`
	Bboxes       any                 `in:"bboxes" type:"BOUNDING_BOX" optional:"true" display_name:"bboxes" default:"{\"x\": 0, \"y\": 0, \"width\": 512, \"height\": 512}" socketless:"true" forceInput:"true" tooltip:"Bounding boxes: of the objects to segment, or with a text examples of what it describes."`
	Positive     string              `in:"positive_coords" optional:"true" display_name:"positive_coords" forceInput:"true" tooltip:"Points on the object, as JSON [{\"x\": 10, \"y\": 20}, …] in pixels."`
	Negative     string              `in:"negative_coords" optional:"true" display_name:"negative_coords" forceInput:"true" tooltip:"Points beside the object, as JSON [{\"x\": 10, \"y\": 20}, …] in pixels."`
	Threshold    float64             `in:"threshold" display_name:"threshold" default:"0.5" min:"0.0" max:"1.0" step:"0.01" tooltip:"Score from which on an object of the text counts."`
	Refine       int                 `in:"refine_iterations" display_name:"refine_iterations" default:"2" min:"0" max:"5" tooltip:"Number of times that a mask is refined; 0 takes the masks of the detector."`
	Individual   bool                `in:"individual_masks" display_name:"individual_masks" default:"false" tooltip:"Give a mask for each object instead of one for each image."`
}

// Spec implements nodes.Node.
func (*Detect) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SAM3_Detect", DisplayName: "SAM3 Detect", Category: category, Module: module, V3: true,
		Outputs:       []nodes.Output{{Type: "MASK", Name: "masks"}, {Type: "BOUNDING_BOX", Name: "bboxes"}},
		Description:   "Finds and segments objects by texts, boxes or points with SAM 3.",
		SearchAliases: []string{"sam3", "segment anything", "open vocabulary", "text detection", "segment"},
		Uses:          nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer. The number of objects is not known.
func (*Detect) Sizes(*nodes.Sizing) nodes.Images { return nodes.UnknownImages() }

// Run implements nodes.Node.
func (n *Detect) Run(ctx *nodes.Context) (nodes.Result, error) {
	planar, err := channels("image", n.Image)
	if err != nil {
		return nodes.Result{}, err
	}
	s, err := segmenter(n.Model)
	if err != nil {
		return nodes.Result{}, err
	}
	d := &detection{Detect: n, ctx: ctx, net: s, height: planar.Dim(2), width: planar.Dim(3)}
	if err := d.read(planar.Dim(0)); err != nil {
		return nodes.Result{}, err
	}
	h, w := d.height, d.width
	out, boxes := &tensor.Tensor{Shape: []int{0, h, w}}, []any{}
	for i := range planar.Dim(0) {
		if err := context.Cause(ctx); err != nil {
			return nodes.Result{}, err
		}
		found, masks, err := d.frame(planar.Slice(i, i+1), i)
		if err != nil {
			return nodes.Result{}, fmt.Errorf("image %d: %w", i, err)
		}
		if !n.Individual {
			masks = []*tensor.Tensor{union(masks, h, w)}
		}
		if err := imaging.CheckSize("the masks of objects", out.Dim(0)+len(masks), h, w); err != nil {
			return nodes.Result{}, err
		}
		for _, m := range masks {
			out.Data = append(out.Data, m.Data...)
			out.Shape[0]++
		}
		boxes = append(boxes, found)
		ctx.Progress(float64(i+1), float64(planar.Dim(0)))
	}
	return nodes.Out(out, boxes), nil
}

// union is where any of masks is.
func union(masks []*tensor.Tensor, h, w int) *tensor.Tensor {
	out := tensor.New(1, h, w)
	for _, m := range masks {
		for i, v := range m.Data {
			out.Data[i] = max(out.Data[i], v)
		}
	}
	return out
}

// detection is one call.
type detection struct {
	*Detect

	ctx           context.Context
	net           *engine.Segmenter
	height, width int
	// boxes are those of each image [N,4] as family.Segmenter reads them, nil for none.
	boxes  []*tensor.Tensor
	points []family.Point
	texts  []family.SegmentText
}

// read reads the prompts for the given number of images.
func (d *detection) read(images int) error {
	var err error
	if d.texts, err = texts(d.Conditioning); err != nil {
		return err
	}
	if d.boxes, err = d.readBoxes(images); err != nil {
		return err
	}
	for _, list := range []struct {
		input, text string
		positive    bool
	}{{"positive_coords", d.Positive, true}, {"negative_coords", d.Negative, false}} {
		points, err := readPoints(list.input, list.text, d.height, d.width, d.net.Side(), list.positive)
		if err != nil {
			return err
		}
		d.points = append(d.points, points...)
	}
	return nil
}

// Limits of prompts: the greatest coordinate in pixels, and the numbers of points and of boxes, which attend to each other.
const (
	mostPixels = 1 << 20
	mostPoints = 1 << 12
	mostBoxes  = 1 << 12
)

// readPoints reads points in pixels of an image as those of the network's images.
func readPoints(input, text string, height, width, side int, positive bool) ([]family.Point, error) {
	if text == "" {
		return nil, nil
	}
	var list []struct{ X, Y *float64 }
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, nodes.Errorf("JSONDecodeError", "reading %s: it is no list of points such as [{\"x\": 10, \"y\": 20}]: %w", input, err)
	}
	if len(list) > mostPoints {
		return nil, nodes.Errorf("ValueError", "reading %s: it has %d points, want at most %d", input, len(list), mostPoints)
	}
	var out []family.Point
	for i, p := range list {
		if p.X == nil || p.Y == nil {
			return nil, nodes.Errorf("KeyError", "reading %s: point %d has no x and y", input, i)
		}
		if math.Abs(*p.X) > mostPixels || math.Abs(*p.Y) > mostPixels {
			return nil, nodes.Errorf("ValueError", "reading %s: point %d is at %g, %g, want at most %d", input, i, *p.X, *p.Y, mostPixels)
		}
		out = append(out, family.Point{X: float32(*p.X / float64(width) * float64(side)), Y: float32(*p.Y / float64(height) * float64(side)), Positive: positive})
	}
	return out, nil
}

// readBoxes reads the boxes of each image: one box, or a list of boxes, is for all images; of lists for each image the last one is for those beyond.
func (d *detection) readBoxes(images int) ([]*tensor.Tensor, error) {
	out := make([]*tensor.Tensor, images)
	lists := []any{}
	switch v := d.Bboxes.(type) {
	case *pyjson.Object:
		lists = []any{[]any{v}}
	case []any:
		if len(v) == 0 {
			return out, nil
		}
		if lists = v; !isList(v[0]) {
			lists = []any{v}
		}
	}
	if len(lists) == 0 {
		return out, nil
	}
	for i := range out {
		list, ok := lists[min(i, len(lists)-1)].([]any)
		if !ok {
			return nil, nodes.Errorf("TypeError", "reading bboxes: the boxes of an image are a %s, want a list", pyjson.TypeName(lists[min(i, len(lists)-1)]))
		}
		if len(list) == 0 {
			continue
		}
		if len(list) > mostBoxes {
			return nil, nodes.Errorf("ValueError", "reading bboxes: an image has %d boxes, want at most %d", len(list), mostBoxes)
		}
		out[i] = tensor.New(len(list), 4)
		for k, e := range list {
			if err := d.readBox(e, out[i].Index(k).Data); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func isList(v any) bool {
	_, ok := v.([]any)
	return ok
}

// readBox reads a box into center and size, in parts of the image.
func (d *detection) readBox(v any, to []float32) error {
	o, ok := v.(*pyjson.Object)
	if !ok {
		return nodes.Errorf("TypeError", "reading bboxes: a bounding box is a %s, want x, y, width and height", pyjson.TypeName(v))
	}
	var side [4]float64
	for i, key := range []string{"x", "y", "width", "height"} {
		v, there := o.Get(key)
		if !there {
			return nodes.Errorf("KeyError", "reading bboxes: a bounding box has no %s", key)
		}
		switch n := v.(type) {
		case int64:
			side[i] = float64(n)
		case float64:
			side[i] = n
		default:
			return nodes.Errorf("TypeError", "reading bboxes: %s of a bounding box is %s, want a number", key, pyjson.Repr(v))
		}
		if math.IsNaN(side[i]) || math.Abs(side[i]) > mostPixels {
			return nodes.Errorf("ValueError", "reading bboxes: %s of a bounding box is %g, want at most %d", key, side[i], mostPixels)
		}
	}
	h, w := float64(d.height), float64(d.width)
	to[0], to[1], to[2], to[3] = float32((side[0]+side[2]/2)/w), float32((side[1]+side[3]/2)/h), float32(side[2]/w), float32(side[3]/h)
	return nil
}

// frame finds the objects in image number i [1,3,H,W]: their boxes and masks [1,H,W].
func (d *detection) frame(image *tensor.Tensor, i int) ([]any, []*tensor.Tensor, error) {
	found := []any{}
	small, err := resized(image, d.net.Side(), d.net.Side())
	if err != nil {
		return nil, nil, err
	}
	view, err := d.net.Look(d.ctx, small)
	if err != nil {
		return nil, nil, err
	}
	var masks []*tensor.Tensor
	keep := func(m *tensor.Tensor) { // hundreds of masks in the size of the image would not fit the memory
		if masks = append(masks, m); !d.Individual {
			masks = []*tensor.Tensor{union(masks, d.height, d.width)}
		}
	}
	add := func(p family.SegmentPrompt) error {
		m, err := d.pointed(view, p)
		if err == nil {
			keep(m)
		}
		return err
	}
	if len(d.points) > 0 {
		if err := add(family.SegmentPrompt{Points: d.points}); err != nil {
			return nil, nil, err
		}
	}
	if boxes := d.boxes[i]; boxes != nil && len(d.texts) == 0 {
		side := float32(d.net.Side())
		for k := range boxes.Dim(0) {
			b := boxes.Index(k).Data
			corners := [4]float32{(b[0] - b[2]/2) * side, (b[1] - b[3]/2) * side, (b[0] + b[2]/2) * side, (b[1] + b[3]/2) * side}
			if err := add(family.SegmentPrompt{Box: &corners}); err != nil {
				return nil, nil, err
			}
		}
	}
	for _, text := range d.texts {
		s, err := view.Detect(d.ctx, text, d.boxes[i])
		if err != nil {
			return nil, nil, err
		}
		for _, k := range chosen(s.Scores.Data, float32(d.Threshold), text.Most) {
			box := d.pixels(s.Boxes.Index(k).Data)
			found = append(found, pyjson.NewObject("x", float64(box[0]), "y", float64(box[1]), "width", float64(box[2]-box[0]), "height", float64(box[3]-box[1]),
				"score", float64(sigmoid(s.Scores.Data[k]))))
			m, err := d.refined(image, s.Masks.Slice(k, k+1), box)
			if err != nil {
				return nil, nil, err
			}
			keep(m)
		}
	}
	return found, masks, nil
}

func sigmoid(v float32) float32 { return float32(1 / (1 + math.Exp(-float64(v)))) }

// chosen are the places of the scores (logits) above a threshold, the highest first, at most most.
func chosen(scores []float32, threshold float32, most int) []int {
	var out []int
	for i, s := range scores {
		if sigmoid(s) > threshold {
			out = append(out, i)
		}
	}
	slices.SortStableFunc(out, func(a, b int) int { return cmp.Compare(sigmoid(scores[b]), sigmoid(scores[a])) })
	return out[:min(len(out), most)]
}

// pixels is a box in pixels of the image.
func (d *detection) pixels(box []float32) [4]float32 {
	w, h := float32(d.width), float32(d.height)
	return [4]float32{box[0] * w, box[1] * h, box[2] * w, box[3] * h}
}

// pointed is the mask [1,H,W] of a prompt, refined by its own logits.
func (d *detection) pointed(view *engine.View, p family.SegmentPrompt) (*tensor.Tensor, error) {
	logits, err := view.Segment(d.ctx, p)
	for i := 1; i < d.Refine && err == nil; i++ {
		logits, err = view.Segment(d.ctx, family.SegmentPrompt{Mask: logits})
	}
	if err != nil {
		return nil, err
	}
	return d.whole(logits)
}

// whole are mask logits [1,1,h,w] as a mask [1,H,W] of the image.
func (d *detection) whole(logits *tensor.Tensor) (*tensor.Tensor, error) {
	m, err := resized(logits, d.width, d.height)
	if err != nil {
		return nil, err
	}
	m.Shape = []int{1, d.height, d.width}
	return above(m), nil
}

// refined is the mask [1,H,W] of an object in a box, whose logits [1,h,w] the detector gave: the network looks at the box, with a margin, once more. The
// detector works on masks in the size of the image.
func (d *detection) refined(image, coarse *tensor.Tensor, box [4]float32) (*tensor.Tensor, error) {
	const margin = 0.1
	logits, err := resized(&tensor.Tensor{Shape: []int{1, 1, coarse.Dim(1), coarse.Dim(2)}, Data: coarse.Data}, d.width, d.height)
	if err != nil {
		return nil, err
	}
	across, down := float64(box[2])-float64(box[0]), float64(box[3])-float64(box[1])
	x1, y1 := max(0, int(float64(box[0])-across*margin)), max(0, int(float64(box[1])-down*margin))
	x2, y2 := min(d.width, int(float64(box[2])+across*margin)), min(d.height, int(float64(box[3])+down*margin))
	if d.Refine <= 0 || x2 <= x1 || y2 <= y1 {
		return d.whole(logits)
	}
	// In the mask the corners are computed by way of parts of its sides, which may round down to the pixel before.
	in := func(v, n int) int { return int(float64(v) / float64(n) * float64(n)) }
	mx1, my1, mx2, my2 := in(x1, d.width), in(y1, d.height), in(x2, d.width), in(y2, d.height)
	if mx2 <= mx1 || my2 <= my1 {
		return d.whole(logits)
	}
	side := d.net.Side()
	part, err := imaging.Crop(image, 2, y1, y2, x1, x2)
	if err == nil {
		part, err = resized(part, side, side)
	}
	if err != nil {
		return nil, err
	}
	view, err := d.net.Look(d.ctx, part)
	if err != nil {
		return nil, err
	}
	fine, err := imaging.Crop(logits, 2, my1, my2, mx1, mx2)
	for range d.Refine {
		if err == nil {
			fine, err = resized(fine, side, side)
		}
		if err == nil {
			fine, err = view.Segment(d.ctx, family.SegmentPrompt{Mask: fine})
		}
	}
	if err == nil {
		fine, err = resized(fine, x2-x1, y2-y1)
	}
	if err != nil {
		return nil, err
	}
	for i, v := range fine.Data {
		at := (y1+i/(x2-x1))*d.width + x1 + i%(x2-x1)
		logits.Data[at] = max(logits.Data[at], v)
	}
	return d.whole(logits)
}
