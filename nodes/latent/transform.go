package latent

import (
	"fmt"
	"strings"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

// rowAxis is the first of the two axes that upstream's transformations work on, whatever the rank: the rows of images; for
// video latents [B,C,T,H,W] it is time, and the rows are in the place of columns.
const rowAxis = 2

func init() {
	nodes.Register(&LatentRotate{})
	nodes.Register(&LatentFlip{})
	nodes.Register(&LatentCrop{})
}

// LatentRotate turns latents clockwise.
type LatentRotate struct {
	Samples  engine.Latent `in:"samples" type:"LATENT"`
	Rotation string        `in:"rotation" options:"none|90 degrees|180 degrees|270 degrees"`
}

// Spec implements nodes.Node.
func (*LatentRotate) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LatentRotate", DisplayName: "Rotate Latent", Category: "model/latent/transform", Outputs: nodes.Outputs("LATENT"),
		Uses: nodes.UsesNothing,
	}
}

func (*LatentRotate) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node.
func (n *LatentRotate) Run(*nodes.Context) (nodes.Result, error) {
	s, err := samplesOf("samples", n.Samples)
	if err != nil {
		return nodes.Result{}, err
	}
	turns := map[string]int{"none": 0, "90 degrees": 1, "180 degrees": 2, "270 degrees": 3}[n.Rotation]
	out, err := imaging.RotateClockwise(tensor.ViewOf(s), rowAxis, turns)
	if err != nil {
		return nodes.Result{}, err
	}
	return with(n.Samples, out.Dense()), nil
}

// LatentFlip mirrors latents.
type LatentFlip struct {
	Samples engine.Latent `in:"samples" type:"LATENT"`
	Method  string        `in:"flip_method" options:"x-axis: vertically|y-axis: horizontally"`
}

// Spec implements nodes.Node.
func (*LatentFlip) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LatentFlip", DisplayName: "Flip Latent", Category: "model/latent/transform",
		SearchAliases: []string{"mirror latent"}, Outputs: nodes.Outputs("LATENT"),
		Uses: nodes.UsesNothing,
	}
}

func (*LatentFlip) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node.
func (n *LatentFlip) Run(*nodes.Context) (nodes.Result, error) {
	s, err := samplesOf("samples", n.Samples)
	if err != nil {
		return nodes.Result{}, err
	}
	axis := rowAxis
	if strings.HasPrefix(n.Method, "y") {
		axis++
	}
	out, err := imaging.Flip(s, axis)
	if err != nil {
		return nodes.Result{}, err
	}
	return with(n.Samples, out), nil
}

// LatentCrop cuts a rectangle, given in pixels, out of latents.
type LatentCrop struct {
	Samples engine.Latent `in:"samples" type:"LATENT"`
	Width   int           `in:"width" default:"512" min:"64" max:"16384" step:"8"`
	Height  int           `in:"height" default:"512" min:"64" max:"16384" step:"8"`
	X       int           `in:"x" default:"0" min:"0" max:"16384" step:"8"`
	Y       int           `in:"y" default:"0" min:"0" max:"16384" step:"8"`
}

// Spec implements nodes.Node.
func (*LatentCrop) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LatentCrop", DisplayName: "Crop Latent", Category: "model/latent/transform",
		SearchAliases: []string{"trim latent", "cut latent"}, Outputs: nodes.Outputs("LATENT"),
		Uses: nodes.UsesNothing,
	}
}

func (*LatentCrop) Sizes(s *nodes.Sizing) nodes.Images {
	return s.Canvas(s.Number("width"), s.Number("height"))
}

// Run implements nodes.Node. The corner is moved so that 64 pixels are left to its right and below. Where a latent is smaller than
// that, the corner is negative and counts from the other end, as in Python, so that less than the whole latent may be left.
func (n *LatentCrop) Run(*nodes.Context) (nodes.Result, error) {
	s, err := samplesOf("samples", n.Samples)
	if err != nil {
		return nodes.Result{}, err
	}
	const least = 8
	h, w := s.Shape[rowAxis], s.Shape[rowAxis+1]
	x, y := min(n.X/ratio, w-least), min(n.Y/ratio, h-least)
	top, bottom := pythonSlice(y, y+n.Height/ratio, h)
	left, right := pythonSlice(x, x+n.Width/ratio, w)
	out, err := imaging.Crop(s, rowAxis, top, bottom, left, right)
	if err != nil {
		return nodes.Result{}, fmt.Errorf("cropping a latent: %w", err)
	}
	return with(n.Samples, out), nil
}

// pythonSlice returns the bounds of list[from:to] of n elements, where negative numbers count from the end.
func pythonSlice(from, to, n int) (int, int) {
	place := func(i int) int {
		if i < 0 {
			i += n
		}
		return min(max(i, 0), n)
	}
	return place(from), place(to)
}
