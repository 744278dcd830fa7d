package image

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

const modulePost = "comfy_extras.nodes_post_processing"

func init() {
	nodes.Register(&ImageScaleToMaxDimension{})
	nodes.Register(&ImageScaleToTotalPixels{})
	nodes.Register(&ResizeAndPadImage{})
	nodes.Register(&ImageStitch{})
}

// ImageScaleToMaxDimension resizes images so that the longer side has a given size.
type ImageScaleToMaxDimension struct {
	Image   *tensor.Tensor `in:"image" type:"IMAGE"`
	Method  string         `in:"upscale_method" options:"area|lanczos|bilinear|nearest-exact|bilinear|bicubic"`
	Largest int            `in:"largest_size" default:"512" min:"0" max:"16384" step:"1"`
}

// Spec implements nodes.Node.
func (*ImageScaleToMaxDimension) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImageScaleToMaxDimension", DisplayName: "Scale Image to Max Dimension", Category: "image/upscaling",
		Module: moduleImages, V3: true, Outputs: nodes.Outputs("IMAGE"),
		Uses: nodes.UsesNothing,
	}
}

func (*ImageScaleToMaxDimension) Sizes(s *nodes.Sizing) nodes.Images {
	return s.In.Of(s.Number("largest_size"), s.Number("largest_size"))
}

// Run implements nodes.Node.
func (n *ImageScaleToMaxDimension) Run(ctx *nodes.Context) (nodes.Result, error) {
	if !isImage(n.Image) {
		return nodes.Result{}, errNoImage("image")
	}
	h, w := float64(n.Image.Shape[1]), float64(n.Image.Shape[2])
	width, height := n.Largest, n.Largest
	if h > w {
		width = roundEven(w / h * float64(n.Largest))
	} else if w > h {
		height = roundEven(h / w * float64(n.Largest))
	}
	return scaled(ctx, n.Image, width, height, n.Method, "disabled")
}

// ImageScaleToTotalPixels resizes images to a number of pixels; a megapixel has 1024*1024.
type ImageScaleToTotalPixels struct {
	Image      *tensor.Tensor `in:"image" type:"IMAGE"`
	Method     string         `in:"upscale_method" options:"nearest-exact|bilinear|area|bicubic|lanczos"`
	Megapixels float64        `in:"megapixels" default:"1.0" min:"0.01" max:"16.0" step:"0.01"`
	Steps      int            `in:"resolution_steps" default:"1" min:"1" max:"256" advanced:"true"`
}

// Spec implements nodes.Node.
func (*ImageScaleToTotalPixels) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImageScaleToTotalPixels", DisplayName: "Scale Image to Total Pixels", Category: "image/upscaling",
		Module: modulePost, V3: true, Outputs: nodes.Outputs("IMAGE"),
		Uses: nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*ImageScaleToTotalPixels) Sizes(s *nodes.Sizing) nodes.Images {
	const mega = 1024 * 1024
	in, area, step := s.In, s.Number("megapixels")*mega, 1.0
	if s.Has("resolution_steps") {
		step = s.Number("resolution_steps")
	}
	switch side := math.Sqrt(area); {
	case step <= 1:
		return in.Of(side, side)
	case !in.Exact:
		return in.Of(math.NaN(), math.NaN())
	}
	by := math.Sqrt(area / (in.Width * in.Height))
	return in.Of(in.Width*by+step/2, in.Height*by+step/2) // sides are rounded to multiples of step
}

// Run rounds both sides to a multiple of the steps.
func (n *ImageScaleToTotalPixels) Run(ctx *nodes.Context) (nodes.Result, error) {
	if !isImage(n.Image) {
		return nodes.Result{}, errNoImage("image")
	}
	if n.Steps < 1 {
		return nodes.Result{}, nodes.Errorf("ValueError", "scaling an image: the sides cannot be multiples of %d", n.Steps)
	}
	h, w := float64(n.Image.Shape[1]), float64(n.Image.Shape[2])
	by := math.Sqrt(n.Megapixels * 1024 * 1024 / (w * h))
	side := func(size float64) int { return roundEven(size*by/float64(n.Steps)) * n.Steps }
	return scaled(ctx, n.Image, side(w), side(h), n.Method, "disabled")
}

// ResizeAndPadImage fits images into a size and fills the rest with a colour.
type ResizeAndPadImage struct {
	Image         *tensor.Tensor `in:"image" type:"IMAGE"`
	Width         int            `in:"target_width" default:"512" min:"1" max:"16384" step:"1"`
	Height        int            `in:"target_height" default:"512" min:"1" max:"16384" step:"1"`
	Color         string         `in:"padding_color" options:"white|black" advanced:"true"`
	Interpolation string         `in:"interpolation" options:"area|bicubic|nearest-exact|bilinear|lanczos" advanced:"true"`
}

// Spec implements nodes.Node.
func (*ResizeAndPadImage) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ResizeAndPadImage", DisplayName: "Resize And Pad Image", Category: "image/transform", Module: moduleImages, V3: true,
		SearchAliases: []string{"fit to size"}, Outputs: nodes.Outputs("IMAGE"),
		Uses: nodes.UsesNothing,
	}
}

func (*ResizeAndPadImage) Sizes(s *nodes.Sizing) nodes.Images {
	return s.In.Of(s.Number("target_width"), s.Number("target_height"))
}

// Run implements nodes.Node.
func (n *ResizeAndPadImage) Run(*nodes.Context) (nodes.Result, error) {
	if !isImage(n.Image) {
		return nodes.Result{}, errNoImage("image")
	}
	h, w := float64(n.Image.Shape[1]), float64(n.Image.Shape[2])
	by := min(float64(n.Width)/w, float64(n.Height)/h)
	small, err := imaging.UpscaleImage(n.Image, int(w*by), int(h*by), n.Interpolation, "disabled")
	if err != nil {
		return nodes.Result{}, fmt.Errorf("fitting an image into %dx%d: %w", n.Width, n.Height, err)
	}
	out, err := canvas(small, n.Height, n.Width, (n.Height-small.Shape[1])/2, (n.Width-small.Shape[2])/2, colourValue(n.Color))
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(out), nil
}

// colourValue is the value of every channel of white and black; of other colours it is 0.
func colourValue(name string) float32 {
	if name == "white" {
		return 1
	}
	return 0
}

// canvas puts an image onto a larger one of a single value.
func canvas(img *tensor.Tensor, height, width, top, left int, value float32) (*tensor.Tensor, error) {
	if img.Shape[1] == height && img.Shape[2] == width {
		return img, nil
	}
	if err := imaging.CheckSize(fmt.Sprintf("an image of %dx%d", width, height), img.Shape[0], height, width, img.Shape[3]); err != nil {
		return nil, err
	}
	out := tensor.New(img.Shape[0], height, width, img.Shape[3])
	if value != 0 {
		for i := range out.Data {
			out.Data[i] = value
		}
	}
	paste(out, img, top, left)
	return out, nil
}

// ImageStitch puts two images side by side or above each other.
type ImageStitch struct {
	Image1       *tensor.Tensor `in:"image1" type:"IMAGE"`
	Direction    string         `in:"direction" options:"right|down|left|up" default:"right"`
	Match        bool           `in:"match_image_size" default:"true"`
	Spacing      int            `in:"spacing_width" default:"0" min:"0" max:"1024" step:"2" advanced:"true"`
	SpacingColor string         `in:"spacing_color" options:"white|black|red|green|blue" default:"white" advanced:"true"`
	Image2       *tensor.Tensor `in:"image2" type:"IMAGE" optional:"true"`
}

// Spec implements nodes.Node.
func (*ImageStitch) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImageStitch", DisplayName: "Stitch Images", Category: "image/transform", Module: moduleImages, V3: true,
		Description:   "Puts image2 next to image1, with a gap if wanted. Without image2 image1 is passed on.",
		SearchAliases: []string{"combine images", "join images", "concatenate images", "side by side"}, Outputs: nodes.Outputs("IMAGE"),
		Uses: nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*ImageStitch) Sizes(s *nodes.Sizing) nodes.Images {
	a, b := s.Linked["image1"], s.Linked["image2"]
	if b.Count == 0 {
		return s.Within()
	}
	gap := 0.0
	if s.Has("spacing_width") {
		gap = s.Number("spacing_width") + 1
	}
	// Where it cannot be told at which side they meet, or whether sizes are matched, all of it is counted.
	direction, _ := s.Text("direction")
	across, down := direction != "up" && direction != "down", direction != "left" && direction != "right"
	if match, _ := s.Inputs.Get("match_image_size"); match != false {
		if across {
			b.Width = max(b.Width, s.Linked["image2"].ScaledTo(0, a.Height).Width)
		}
		if down {
			b.Height = max(b.Height, s.Linked["image2"].ScaledTo(a.Width, 0).Height)
		}
	}
	width, height := max(a.Width, b.Width), max(a.Height, b.Height)
	if across {
		width = a.Width + b.Width + gap
	}
	if down {
		height = a.Height + b.Height + gap
	}
	return s.In.Of(width, height)
}

// Run scales the second image to the first's side (Lanczos) or, without matching, centres the smaller one in the gap's
// colour (black for colours that are not gray).
func (n *ImageStitch) Run(ctx *nodes.Context) (nodes.Result, error) {
	a, b := n.Image1, n.Image2
	if !isImage(a) {
		return nodes.Result{}, errNoImage("image1")
	}
	if b == nil {
		return nodes.Out(a), nil
	}
	if !isImage(b) {
		return nodes.Result{}, errNoImage("image2")
	}
	out, err := n.stitch(ctx, a, b)
	if err != nil {
		return nodes.Result{}, fmt.Errorf("stitching images: %w", err)
	}
	return nodes.Out(out), nil
}

func (n *ImageStitch) stitch(ctx context.Context, a, b *tensor.Tensor) (*tensor.Tensor, error) {
	beside := n.Direction == "left" || n.Direction == "right"
	a, b, err := n.align(ctx, a, b, beside)
	if err != nil {
		return nil, err
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	channels := max(a.Shape[3], b.Shape[3])
	parts := []*tensor.Tensor{imaging.WithChannels(a, channels, 1), imaging.WithChannels(b, channels, 1)}
	if n.Direction == "left" || n.Direction == "up" {
		parts[0], parts[1] = parts[1], parts[0]
	}
	axis := 1
	if beside {
		axis = 2
	}
	if n.Spacing > 0 {
		shape := append([]int(nil), parts[0].Shape...)
		shape[axis] = n.Spacing + n.Spacing%2
		parts = []*tensor.Tensor{parts[0], gap(shape, n.SpacingColor), parts[1]}
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return imaging.Concat(axis, parts...)
}

// align gives both batches one length and both images one size along the side where they meet.
func (n *ImageStitch) align(ctx context.Context, a, b *tensor.Tensor, beside bool) (*tensor.Tensor, *tensor.Tensor, error) {
	batch := max(a.Shape[0], b.Shape[0])
	a, err := repeatLast(a, batch)
	if err != nil {
		return nil, nil, err
	}
	if b, err = repeatLast(b, batch); err != nil {
		return nil, nil, err
	}
	if n.Match {
		height, width := a.Shape[1], a.Shape[2]
		aspect := float64(b.Shape[2]) / float64(b.Shape[1])
		if beside {
			width = int(float64(height) * aspect)
		} else {
			height = int(float64(width) / aspect)
		}
		b, err = imaging.UpscaleImageContext(ctx, b, width, height, "lanczos", "disabled")
		return a, b, err
	}
	fit := func(t *tensor.Tensor) (*tensor.Tensor, error) {
		height, width := t.Shape[1], t.Shape[2]
		if beside {
			height = max(a.Shape[1], b.Shape[1])
		} else {
			width = max(a.Shape[2], b.Shape[2])
		}
		return canvas(t, height, width, (height-t.Shape[1])/2, (width-t.Shape[2])/2, colourValue(n.SpacingColor))
	}
	first, err := fit(a)
	if err != nil {
		return nil, nil, err
	}
	second, err := fit(b)
	return first, second, err
}

// repeatLast fills a batch up with its last image.
func repeatLast(t *tensor.Tensor, n int) (*tensor.Tensor, error) {
	if t.Shape[0] == n {
		return t, nil
	}
	last, err := imaging.RepeatBatch(t.Slice(t.Shape[0]-1, t.Shape[0]), n-t.Shape[0])
	if err != nil {
		return nil, err
	}
	return imaging.Concat(0, t, last)
}

// gap makes the space between two images; an alpha channel is opaque.
func gap(shape []int, color string) *tensor.Tensor {
	rgb := map[string][3]float32{"white": {1, 1, 1}, "red": {1, 0, 0}, "green": {0, 1, 0}, "blue": {0, 0, 1}}[color]
	out := tensor.New(shape...)
	channels := shape[3]
	for i := 0; i < len(out.Data); i += channels {
		copy(out.Data[i:i+channels], rgb[:])
		if channels == 4 {
			out.Data[i+3] = 1
		}
	}
	return out
}
