package latent

import (
	"fmt"
	"strings"

	"comfygo/engine"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

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

// Run implements nodes.Node.
func (n *LatentRotate) Run(*nodes.Context) (nodes.Result, error) {
	s, err := samplesOf("samples", n.Samples)
	if err != nil {
		return nodes.Result{}, err
	}
	turns := map[string]int{"none": 0, "90 degrees": 1, "180 degrees": 2, "270 degrees": 3}[n.Rotation]
	out, err := imaging.RotateClockwise(s, len(s.Shape)-2, turns)
	if err != nil {
		return nodes.Result{}, err
	}
	return with(n.Samples, out), nil
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

// Run implements nodes.Node.
func (n *LatentFlip) Run(*nodes.Context) (nodes.Result, error) {
	s, err := samplesOf("samples", n.Samples)
	if err != nil {
		return nodes.Result{}, err
	}
	axis := len(s.Shape) - 1
	if strings.HasPrefix(n.Method, "x") {
		axis--
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

// Run implements nodes.Node. The corner is moved so that at least 64 pixels are left to its right and below, or all
// there are.
func (n *LatentCrop) Run(*nodes.Context) (nodes.Result, error) {
	s, err := samplesOf("samples", n.Samples)
	if err != nil {
		return nodes.Result{}, err
	}
	const least = 8
	h, w := s.Dim(-2), s.Dim(-1)
	x, y := max(min(n.X/ratio, w-least), 0), max(min(n.Y/ratio, h-least), 0)
	out, err := imaging.Crop(s, len(s.Shape)-2, y, min(y+n.Height/ratio, h), x, min(x+n.Width/ratio, w))
	if err != nil {
		return nodes.Result{}, fmt.Errorf("cropping a latent: %w", err)
	}
	return with(n.Samples, out), nil
}
