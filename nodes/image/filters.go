package image

import (
	"fmt"
	"math"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&ImageBlend{})
	nodes.Register(&ImageBlur{})
	nodes.Register(&ImageSharpen{})
}

// blendModes combine a value of the first image with one of the second.
var blendModes = map[string]func(a, b float32) float32{
	"normal":   func(_, b float32) float32 { return b },
	"multiply": func(a, b float32) float32 { return a * b },
	"screen":   func(a, b float32) float32 { return 1 - (1-a)*(1-b) },
	"overlay": func(a, b float32) float32 {
		if a <= 0.5 {
			return 2 * a * b
		}
		return 1 - 2*(1-a)*(1-b)
	},
	"soft_light": func(a, b float32) float32 {
		if b <= 0.5 {
			return a - (1-2*b)*a*(1-a)
		}
		return a + (2*b-1)*(softCurve(a)-a)
	},
	"difference": func(a, b float32) float32 { return a - b },
}

func softCurve(x float32) float32 {
	if x <= 0.25 {
		return ((16*x-12)*x + 4) * x
	}
	return float32(math.Sqrt(float64(x)))
}

// ImageBlend mixes two images.
type ImageBlend struct {
	Image1 *tensor.Tensor `in:"image1" type:"IMAGE"`
	Image2 *tensor.Tensor `in:"image2" type:"IMAGE"`
	Factor float64        `in:"blend_factor" default:"0.5" min:"0.0" max:"1.0" step:"0.01"`
	Mode   string         `in:"blend_mode" options:"normal|multiply|screen|overlay|soft_light|difference"`
}

// Spec implements nodes.Node.
func (*ImageBlend) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImageBlend", DisplayName: "Blend Images", Category: "image/filters", Module: modulePost, V3: true,
		EssentialsCategory: "Image Tools", SearchAliases: []string{"mix images"}, Outputs: nodes.Outputs("IMAGE"),
		Uses: nodes.UsesNothing,
	}
}

func (*ImageBlend) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run gives the second image the channels and the size of the first (bicubic, cut to its proportions).
func (n *ImageBlend) Run(*nodes.Context) (nodes.Result, error) {
	if !isImage(n.Image1) || !isImage(n.Image2) {
		return nodes.Result{}, errNoImage("image1 or image2")
	}
	mode, ok := blendModes[n.Mode]
	if !ok {
		return nodes.Result{}, nodes.Errorf("ValueError", "mixing images: unknown mode %q", n.Mode)
	}
	a := n.Image1
	b, err := fitted(imaging.WithChannels(n.Image2, a.Shape[3], 1), a)
	if err != nil {
		return nodes.Result{}, err
	}
	if a.Shape[0] != b.Shape[0] && a.Shape[0] != 1 && b.Shape[0] != 1 {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "mixing images: batches of %d and %d", a.Shape[0], b.Shape[0])
	}
	count := max(a.Shape[0], b.Shape[0])
	if a, err = imaging.RepeatBatch(a, count); err != nil {
		return nodes.Result{}, err
	}
	if b, err = imaging.RepeatBatch(b, count); err != nil {
		return nodes.Result{}, err
	}
	f, rest := float32(n.Factor), float32(1-n.Factor)
	out := tensor.New(a.Shape...)
	for i, v := range a.Data {
		out.Data[i] = unit(float32(v*rest) + float32(mode(v, b.Data[i])*f))
	}
	return nodes.Out(out), nil
}

// ImageBlur blurs images.
type ImageBlur struct {
	Image  *tensor.Tensor `in:"image" type:"IMAGE"`
	Radius int            `in:"blur_radius" default:"1" min:"1" max:"31" step:"1"`
	Sigma  float64        `in:"sigma" default:"1.0" min:"0.1" max:"10.0" step:"0.1"`
}

// Spec implements nodes.Node.
func (*ImageBlur) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImageBlur", DisplayName: "Blur Image", Category: "image/filters", Module: modulePost, V3: true,
		Outputs: nodes.Outputs("IMAGE"),
		Uses:    nodes.UsesNothing,
	}
}

func (*ImageBlur) Sizes(s *nodes.Sizing) nodes.Images { return s.Kept() }

// Run implements nodes.Node.
func (n *ImageBlur) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Radius == 0 {
		return nodes.Out(n.Image), nil
	}
	if err := filterable(n.Image, n.Radius); err != nil {
		return nodes.Result{}, err
	}
	out, err := imaging.Smooth(ctx, n.Image, n.Radius, n.Sigma)
	if err != nil {
		return nodes.Result{}, fmt.Errorf("filtering an image: %w", err)
	}
	return nodes.Out(out), nil
}

// ImageSharpen sharpens images.
type ImageSharpen struct {
	Image  *tensor.Tensor `in:"image" type:"IMAGE"`
	Radius int            `in:"sharpen_radius" default:"1" min:"1" max:"31" step:"1" advanced:"true"`
	Sigma  float64        `in:"sigma" default:"1.0" min:"0.1" max:"10.0" step:"0.01" advanced:"true"`
	Alpha  float64        `in:"alpha" default:"1.0" min:"0.0" max:"5.0" step:"0.01" advanced:"true"`
}

// Spec implements nodes.Node.
func (*ImageSharpen) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImageSharpen", DisplayName: "Sharpen Image", Category: "image/filters", Module: modulePost, V3: true,
		Outputs: nodes.Outputs("IMAGE"),
		Uses:    nodes.UsesNothing,
	}
}

func (*ImageSharpen) Sizes(s *nodes.Sizing) nodes.Images { return s.Kept() }

// Run takes the blurred image away ten times alpha and cuts the result to 0…1.
func (n *ImageSharpen) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Radius == 0 {
		return nodes.Out(n.Image), nil
	}
	r, err := convolved(ctx, n.Image, n.Radius, func(side int) []float32 {
		kernel := imaging.Gaussian(side, n.Sigma)
		var sum float64
		for i := range kernel {
			kernel[i] *= float32(-n.Alpha * 10)
			sum += float64(kernel[i])
		}
		kernel[side*side/2] += 1 - float32(sum)
		return kernel
	})
	if err != nil {
		return nodes.Result{}, err
	}
	out := r.Values[0].(*tensor.Tensor)
	for i, v := range out.Data {
		out.Data[i] = unit(v)
	}
	return r, nil
}

func convolved(ctx *nodes.Context, img *tensor.Tensor, radius int, kernel func(side int) []float32) (nodes.Result, error) {
	if err := filterable(img, radius); err != nil {
		return nodes.Result{}, err
	}
	out, err := imaging.Convolve(ctx, img, kernel(2*radius+1), radius)
	if err != nil {
		return nodes.Result{}, fmt.Errorf("filtering an image: %w", err)
	}
	return nodes.Out(out), nil
}

// filterable refuses values that are not images and radii out of bounds.
func filterable(img *tensor.Tensor, radius int) error {
	if !isImage(img) {
		return errNoImage("image")
	}
	const most = 31
	if radius < 1 || radius > most {
		return nodes.Errorf("ValueError", "filtering an image: the radius %d is not in 1 to %d", radius, most)
	}
	return nil
}
