package image

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

const modulePose = "comfy_extras.nodes_sdpose"

func init() {
	nodes.Register(&SDPoseFaceBBoxes{})
	nodes.Register(&CropByBBoxes{})
}

// SDPoseFaceBBoxes finds the boxes around the faces of poses.
type SDPoseFaceBBoxes struct {
	Keypoints   any     `in:"keypoints" type:"POSE_KEYPOINT"`
	Scale       float64 `in:"scale" default:"1.5" min:"1.0" max:"10.0" step:"0.1" tooltip:"Area of each box as a multiple of the area that the face's keypoints cover."`
	ForceSquare bool    `in:"force_square" default:"true" tooltip:"Widens the shorter side so that boxes are square."`
}

// Spec implements nodes.Node.
func (*SDPoseFaceBBoxes) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SDPoseFaceBBoxes", DisplayName: "SDPose Face Bounding Boxes", Category: "image/detection",
		Module: modulePose, V3: true,
		Outputs:       []nodes.Output{{Type: "BOUNDING_BOX", Name: "bboxes", Tooltip: "Bounding boxes of the faces in each frame."}},
		SearchAliases: []string{"face bbox", "face bounding box", "pose", "keypoints"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node. People without keypoints of a face, and faces without area, have no box.
func (n *SDPoseFaceBBoxes) Run(*nodes.Context) (nodes.Result, error) {
	frames, err := posesOf(n.Keypoints)
	if err != nil {
		return nodes.Result{}, err
	}
	all := make([]any, len(frames))
	for i, f := range frames {
		boxes := []any{}
		for _, person := range f.people {
			box, err := n.face(person, f.width, f.height)
			if err != nil {
				return nodes.Result{}, fmt.Errorf("frame %d: %w", i, err)
			}
			if box != nil {
				boxes = append(boxes, box)
			}
		}
		all[i] = boxes
	}
	return nodes.Out(all), nil
}

// face returns the box around the face of a person, or nil.
func (n *SDPoseFaceBBoxes) face(person *pyjson.Object, width, height int) (*pyjson.Object, error) {
	points, err := keypoints(person, "face_keypoints_2d", -1)
	if err != nil || len(points) == 0 {
		return nil, err
	}
	w, h := float64(width), float64(height)
	left, right, top, bottom := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, p := range points {
		x, y := float64(p.x/float32(w))*w, float64(p.y/float32(h))*h
		if math.IsNaN(x) || math.IsNaN(y) || math.IsInf(x, 0) || math.IsInf(y, 0) {
			return nil, nodes.Errorf("ValueError", "finding faces: a keypoint is at %g, %g on a canvas of %dx%d", p.x, p.y, width, height)
		}
		left, right, top, bottom = min(left, x), max(right, x), min(top, y), max(bottom, y)
	}
	across, down := right-left, bottom-top
	if across <= 0 || down <= 0 {
		return nil, nil
	}
	area := across * down * n.Scale
	moreX, moreY := (math.Sqrt(area*(across/down))-across)/2, (math.Sqrt(area*(down/across))-down)/4
	x1, x2 := int(max(left-moreX, 0)), int(min(right+moreX, w))
	y1, y2 := int(max(top-3*moreY, 0)), int(min(bottom+moreY, h))
	if x2 <= x1 || y2 <= y1 {
		return nil, nil
	}
	if n.ForceSquare && x2-x1 != y2-y1 {
		side := max(x2-x1, y2-y1)
		x1, x2 = squared(x1, x2, side, width)
		y1, y2 = squared(y1, y2, side, height)
	}
	return pyjson.NewObject("x", int64(x1), "y", int64(y1), "width", int64(x2-x1), "height", int64(y2-y1)), nil
}

// squared widens an interval to side around its middle, moved and cut to lie in 0 to end.
func squared(from, to, side, end int) (int, int) {
	from = max(0, (from+to)/2-side/2)
	to = min(end, from+side)
	return max(0, to-side), to
}

// CropByBBoxes cuts boxes out of images.
type CropByBBoxes struct {
	Image        *tensor.Tensor `in:"image" type:"IMAGE"`
	Bboxes       any            `in:"bboxes" type:"BOUNDING_BOX" default:"{\"x\": 0, \"y\": 0, \"width\": 512, \"height\": 512}" socketless:"true" forceInput:"true"`
	OutputWidth  int            `in:"output_width" default:"512" min:"64" max:"4096" step:"8" tooltip:"Width of the results in pixels."`
	OutputHeight int            `in:"output_height" default:"512" min:"64" max:"4096" step:"8" tooltip:"Height of the results in pixels."`
	Padding      int            `in:"padding" default:"0" min:"0" max:"1024" step:"1" tooltip:"Margin in pixels added at each side of the box."`
	KeepAspect   string         `in:"keep_aspect" options:"stretch|pad" default:"stretch" tooltip:"stretch scales both sides to the output size; pad keeps the proportions and fills the rest with black."`
}

// Spec implements nodes.Node.
func (*CropByBBoxes) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CropByBBoxes", DisplayName: "Crop By Bounding Boxes", Category: "image/transform",
		Module: modulePose, V3: true,
		Outputs:       []nodes.Output{{Type: "IMAGE", Tooltip: "The crops as one batch."}},
		Description:   "Crops each image to its bounding boxes and scales the result.",
		SearchAliases: []string{"crop", "face crop", "bbox crop", "pose", "bounding box"},
		Uses:          nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer. Without boxes the images themselves are given on.
func (*CropByBBoxes) Sizes(s *nodes.Sizing) nodes.Images {
	return s.In.Of(max(s.Number("output_width"), s.In.Width), max(s.Number("output_height"), s.In.Height))
}

// Run implements nodes.Node. All boxes of a frame are united into one; a frame without boxes is left out, and the last list
// of boxes serves the frames beyond it.
func (n *CropByBBoxes) Run(ctx *nodes.Context) (nodes.Result, error) {
	if !isImage(n.Image) {
		return nodes.Result{}, errNoImage("image")
	}
	lists, ok := n.Bboxes.([]any)
	if !ok {
		lists = []any{[]any{n.Bboxes}}
	}
	if len(lists) == 0 {
		return nodes.Out(n.Image), nil
	}
	b, c := n.Image.Shape[0], n.Image.Shape[3]
	if n.OutputWidth < 1 || n.OutputHeight < 1 {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "cropping by boxes: the output size is %dx%d", n.OutputWidth, n.OutputHeight)
	}
	if err := imaging.CheckSize("crops", b, n.OutputHeight, n.OutputWidth, c); err != nil {
		return nodes.Result{}, err
	}
	out, count := tensor.New(b, n.OutputHeight, n.OutputWidth, c), 0
	for i := range b {
		if err := context.Cause(ctx); err != nil {
			return nodes.Result{}, err
		}
		list := lists[min(i, len(lists)-1)]
		if !pyjson.Truthy(list) {
			continue
		}
		boxes, err := rectsOf("bboxes", list)
		if err != nil {
			return nodes.Result{}, err
		}
		if err := n.crop(out.Slice(count, count+1), n.Image.Slice(i, i+1), boxes); err != nil {
			return nodes.Result{}, fmt.Errorf("cropping frame %d: %w", i, err)
		}
		count++
	}
	if count == 0 {
		return nodes.Out(n.Image), nil
	}
	return nodes.Out(out.Slice(0, count)), nil
}

// crop scales the part of an image that the boxes cover, or its upper middle where they cover nothing, into out.
func (n *CropByBBoxes) crop(out, image *tensor.Tensor, boxes []rect) error {
	h, w := image.Shape[1], image.Shape[2]
	x1, y1, x2, y2 := maxCoordinate, maxCoordinate, -2*maxCoordinate, -2*maxCoordinate
	for _, b := range boxes {
		x1, y1 = min(x1, int(b.x)), min(y1, int(b.y))
		x2, y2 = max(x2, int(b.x+b.width)), max(y2, int(b.y+b.height))
	}
	pad := max(n.Padding, 0)
	x1, y1, x2, y2 = max(0, x1-pad), max(0, y1-pad), min(w, x2+pad), min(h, y2+pad)
	if x2 <= x1 || y2 <= y1 {
		side := int(float64(min(h, w)) * 0.3)
		x1, y1 = max(0, (w-side)/2), max(0, int(float64(h)*0.1))
		x2, y2 = min(w, x1+side), min(h, y1+side)
		if x2 <= x1 || y2 <= y1 {
			return nil // black
		}
	}
	part, err := imaging.Crop(image, 1, y1, y2, x1, x2)
	if err != nil {
		return err
	}
	width, height := n.OutputWidth, n.OutputHeight
	if n.KeepAspect == "pad" {
		scale := min(float64(width)/float64(x2-x1), float64(height)/float64(y2-y1))
		width, height = roundEven(float64(x2-x1)*scale), roundEven(float64(y2-y1)*scale)
	}
	scaled, err := imaging.UpscaleImage(part, width, height, "area", "disabled")
	if err != nil {
		return nodes.Errorf("RuntimeError", "%w", err)
	}
	left, top, c := (n.OutputWidth-width)/2, (n.OutputHeight-height)/2, image.Shape[3]
	for y := range height {
		copy(out.Data[((top+y)*n.OutputWidth+left)*c:], scaled.Data[y*width*c:][:width*c])
	}
	return nil
}
