package image

import (
	"context"
	"fmt"
	"math"
	"slices"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&ImageScale{})
	nodes.Register(&ImageScaleBy{})
}

// errNoImage returns the error of a link that delivered nothing, or a value that is not an image.
func errNoImage(input string) error {
	return nodes.Errorf("ValueError", "the input %s is no image", input)
}

// isImage reports whether t is an image with at least one pixel.
func isImage(t *tensor.Tensor) bool { return t != nil && len(t.Shape) == 4 && len(t.Data) > 0 }

func isImageView(v *tensor.View) bool { return v != nil && len(v.Shape()) == 4 && v.Len() > 0 }

// grayToo is t as images: masks, which a node that passes anything on may deliver, are gray ones.
func grayToo(t *tensor.Tensor) *tensor.Tensor {
	if t == nil || len(t.Shape) != 3 {
		return t
	}
	return &tensor.Tensor{Shape: append(slices.Clone(t.Shape), 1), Data: t.Data}
}

// roundEven rounds as Python's round does.
func roundEven(x float64) int { return int(math.RoundToEven(x)) }

// ImageScale resizes images to a size; a side of 0 follows from the other, and two of 0 change nothing.
type ImageScale struct {
	Image  *tensor.Tensor `in:"image" type:"IMAGE"`
	Method string         `in:"upscale_method" options:"nearest-exact|bilinear|area|bicubic|lanczos"`
	Width  int            `in:"width" default:"512" min:"0" max:"16384" step:"1"`
	Height int            `in:"height" default:"512" min:"0" max:"16384" step:"1"`
	Crop   string         `in:"crop" options:"disabled|center"`
}

// Spec implements nodes.Node.
func (*ImageScale) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImageScale", DisplayName: "Upscale Image", Category: "image/upscaling", EssentialsCategory: "Image Tools",
		SearchAliases: []string{"resize", "resize image", "scale image", "image resize", "zoom", "zoom in", "change size"},
		Outputs:       nodes.Outputs("IMAGE"),
		Uses:          nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*ImageScale) Sizes(s *nodes.Sizing) nodes.Images {
	width, height := s.Number("width"), s.Number("height")
	out := s.Canvas(width, height)
	if s.In.Count != 0 && width != 0 && height != 0 {
		out.Exact = true
	}
	return out
}

// Run implements nodes.Node.
func (n *ImageScale) Run(ctx *nodes.Context) (nodes.Result, error) {
	if !isImage(n.Image) {
		return nodes.Result{}, errNoImage("image")
	}
	width, height := n.Width, n.Height
	h, w := float64(n.Image.Shape[1]), float64(n.Image.Shape[2])
	switch {
	case width == 0 && height == 0:
		return nodes.Out(n.Image), nil
	case width == 0:
		width = max(1, roundEven(w*float64(height)/h))
	case height == 0:
		height = max(1, roundEven(h*float64(width)/w))
	}
	return scaled(ctx, n.Image, width, height, n.Method, n.Crop)
}

// scaled resizes image by image and looks between them whether the job was interrupted.
func scaled(ctx *nodes.Context, img *tensor.Tensor, width, height int, method, crop string) (nodes.Result, error) {
	batch, channels := img.Shape[0], img.Shape[3]
	what := fmt.Sprintf("%d images of %dx%d", batch, width, height)
	if err := imaging.CheckSize(what, batch+1, max(height, 0), max(width, 0), channels); err != nil {
		return nodes.Result{}, err
	}
	var out *tensor.Tensor
	for i := range batch {
		if err := context.Cause(ctx); err != nil {
			return nodes.Result{}, err
		}
		one, err := imaging.UpscaleImageContext(ctx, img.Slice(i, i+1), width, height, method, crop)
		if err != nil {
			return nodes.Result{}, fmt.Errorf("scaling an image: %w", err)
		}
		if batch == 1 {
			return nodes.Out(one), nil
		}
		if out == nil {
			out = tensor.New(batch, height, width, channels)
		}
		copy(out.Data[i*len(one.Data):], one.Data)
	}
	return nodes.Out(out), nil
}

// ImageScaleBy resizes images by a factor.
type ImageScaleBy struct {
	Image   *tensor.Tensor `in:"image" type:"IMAGE"`
	Method  string         `in:"upscale_method" options:"nearest-exact|bilinear|area|bicubic|lanczos"`
	ScaleBy float64        `in:"scale_by" default:"1.0" min:"0.01" max:"8.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*ImageScaleBy) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImageScaleBy", DisplayName: "Upscale Image By", Category: "image/upscaling", EssentialsCategory: "Image Tools",
		Outputs: nodes.Outputs("IMAGE"),
		Uses:    nodes.UsesNothing,
	}
}

func (*ImageScaleBy) Sizes(s *nodes.Sizing) nodes.Images { return s.In.Times(s.Number("scale_by")) }

// Run implements nodes.Node.
func (n *ImageScaleBy) Run(ctx *nodes.Context) (nodes.Result, error) {
	if !isImage(n.Image) {
		return nodes.Result{}, errNoImage("image")
	}
	width, height := roundEven(float64(n.Image.Shape[2])*n.ScaleBy), roundEven(float64(n.Image.Shape[1])*n.ScaleBy)
	return scaled(ctx, n.Image, width, height, n.Method, "disabled")
}
