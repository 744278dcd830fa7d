package image

import (
	"context"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&Canny{})
}

// Canny finds edges in images.
type Canny struct {
	Image         *tensor.Tensor `in:"image" type:"IMAGE"`
	LowThreshold  float64        `in:"low_threshold" default:"0.4" min:"0.01" max:"0.99" step:"0.01"`
	HighThreshold float64        `in:"high_threshold" default:"0.8" min:"0.01" max:"0.99" step:"0.01"`
}

// Spec implements nodes.Node.
func (*Canny) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "Canny", DisplayName: "Detect Edges (Canny)", Category: "image/filters",
		Module: "comfy_extras.nodes_canny", V3: true,
		EssentialsCategory: "Image Tools",
		Outputs:            nodes.Outputs("IMAGE"),
		SearchAliases:      []string{"edge detection", "outline", "contour detection", "line art"},
		Uses:               nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*Canny) Sizes(s *nodes.Sizing) nodes.Images { return s.Kept() }

// Run implements nodes.Node. Thresholds are in units of the Sobel gradient, which reaches values far above 1.
func (n *Canny) Run(ctx *nodes.Context) (nodes.Result, error) {
	if !isImage(n.Image) {
		return nodes.Result{}, errNoImage("image")
	}
	if c := n.Image.Shape[3]; c != 1 && c != 3 {
		return nodes.Result{}, nodes.Errorf("kornia.core.exceptions.ImageError", "finding edges: the image has %d channels, want 1 or 3", c)
	}
	if !(n.LowThreshold > 0 && n.LowThreshold <= n.HighThreshold) {
		return nodes.Result{}, nodes.Errorf("kornia.core.exceptions.BaseError", "finding edges: the thresholds are %g and %g; the low one must be positive and not above the high one", n.LowThreshold, n.HighThreshold)
	}
	b, h, w := n.Image.Shape[0], n.Image.Shape[1], n.Image.Shape[2]
	if min(h, w) < 3 {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "finding edges: the image is %dx%d, want at least 3x3", w, h)
	}
	if err := imaging.CheckSize("edges", b+3, h, w, 3); err != nil {
		return nodes.Result{}, err
	}
	out := tensor.New(b, h, w, 3)
	for i := range b {
		if err := context.Cause(ctx); err != nil {
			return nodes.Result{}, err
		}
		edges, err := imaging.Canny(ctx, grayOf(n.Image.Index(i)), h, w, n.LowThreshold, n.HighThreshold)
		if err != nil {
			return nodes.Result{}, err
		}
		to := out.Index(i).Data
		for k, edge := range edges {
			if edge {
				to[3*k], to[3*k+1], to[3*k+2] = 1, 1, 1
			}
		}
	}
	return nodes.Out(out), nil
}

// grayOf returns an image [H,W,C] of one or three channels as gray values.
func grayOf(t *tensor.Tensor) []float32 {
	if t.Shape[2] == 1 {
		return t.Data
	}
	out := make([]float32, t.Shape[0]*t.Shape[1])
	for i := range out {
		p := t.Data[3*i:][:3]
		out[i] = float32(float32(0.299*p[0])+float32(0.587*p[1])) + float32(0.114*p[2])
	}
	return out
}
