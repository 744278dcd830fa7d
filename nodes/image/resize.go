package image

import (
	"fmt"
	"math"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() { nodes.Register(&ResizeImageMask{}) }

// ResizeImageMask resizes an image or a mask to a size that is given in one of several ways.
type ResizeImageMask struct {
	Input  *tensor.Tensor `in:"input" match:"input_type" allowed:"IMAGE,MASK"`
	Type   nodes.Choice   `in:"resize_type" tooltip:"What the new size follows from."`
	Method string         `in:"scale_method" options:"nearest-exact|bilinear|area|bicubic|lanczos" default:"area" tooltip:"How pixels are computed: area suits shrinking, lanczos enlarging, nearest-exact pixel art."`
}

var _ nodes.Dynamic = (*ResizeImageMask)(nil)

// Spec implements nodes.Node.
func (*ResizeImageMask) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ResizeImageMaskNode", DisplayName: "Resize Image/Mask", Category: "image/transform", Module: modulePost, V3: true,
		Description: "Changes the size of an image or of a mask.",
		SearchAliases: []string{
			"resize", "resize image", "resize mask", "scale", "scale image", "scale mask", "image resize", "change size", "dimensions", "shrink", "enlarge",
		},
		Outputs: []nodes.Output{{Type: "COMFY_MATCHTYPE_V3", Name: "resized", Match: "input_type"}},
		Uses:    nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*ResizeImageMask) Sizes(s *nodes.Sizing) nodes.Images {
	const of = "resize_type."
	in := s.In
	way, _ := s.Text("resize_type") // only the inputs of the way that was chosen count
	switch way {
	case "scale dimensions":
		return in.ScaledTo(s.Number(of+"width"), s.Number(of+"height"))
	case "scale width":
		return in.ScaledTo(s.Number(of+"width"), 0)
	case "scale height":
		return in.ScaledTo(0, s.Number(of+"height"))
	case "scale by multiplier":
		return in.Of(in.Width*s.Number(of+"multiplier"), in.Height*s.Number(of+"multiplier"))
	case "scale longer dimension":
		return in.Of(s.Number(of+"longer_size"), s.Number(of+"longer_size"))
	case "scale shorter dimension":
		if side := s.Number(of + "shorter_size"); in.Width < in.Height {
			return in.ScaledTo(side, 0)
		} else {
			return in.ScaledTo(0, side)
		}
	case "scale total pixels":
		side := math.Sqrt(s.Number(of+"megapixels")) * 1024
		return in.Of(side, side)
	case "match size":
		if to := s.Linked[of+"match"]; to.Count != 0 {
			return in.Of(to.Width, to.Height)
		}
	case "scale to multiple":
		return in.Of(in.Width, in.Height)
	}
	return in.Of(math.NaN(), math.NaN())
}

// target is a size; a side of 0 follows from the other one.
type target struct {
	width, height int
	crop          string
}

// sizing is the common interface of the ways to give the size.
type sizing interface {
	target(width, height float64) (target, error)
}

type toDimensions struct {
	Width  int    `in:"width" default:"512" min:"0" max:"16384" step:"1" tooltip:"Width in pixels; 0 keeps the proportions."`
	Height int    `in:"height" default:"512" min:"0" max:"16384" step:"1" tooltip:"Height in pixels; 0 keeps the proportions."`
	Crop   string `in:"crop" options:"disabled|center" default:"center" tooltip:"With other proportions the image is cut (center) or distorted (disabled)."`
}

func (d *toDimensions) target(w, h float64) (target, error) {
	out := target{d.Width, d.Height, d.Crop}
	switch {
	case d.Width == 0 && d.Height == 0:
		return target{int(w), int(h), "disabled"}, nil
	case d.Width == 0:
		out.width = max(1, roundEven(w*float64(d.Height)/h))
	case d.Height == 0:
		out.height = max(1, roundEven(h*float64(d.Width)/w))
	}
	return out, nil
}

type byFactor struct {
	Multiplier float64 `in:"multiplier" default:"1.0" min:"0.01" max:"8.0" step:"0.01" tooltip:"2.0 doubles both sides."`
}

func (d *byFactor) target(w, h float64) (target, error) {
	return target{roundEven(w * d.Multiplier), roundEven(h * d.Multiplier), "disabled"}, nil
}

type longerSide struct {
	Size int `in:"longer_size" default:"512" min:"0" max:"16384" step:"1" tooltip:"The longer side in pixels."`
}

func (d *longerSide) target(w, h float64) (target, error) {
	out := target{d.Size, d.Size, "disabled"}
	if h > w {
		out.width = roundEven(w / h * float64(d.Size))
	} else if w > h {
		out.height = roundEven(h / w * float64(d.Size))
	}
	return out, nil
}

type shorterSide struct {
	Size int `in:"shorter_size" default:"512" min:"0" max:"16384" step:"1" tooltip:"The shorter side in pixels."`
}

func (d *shorterSide) target(w, h float64) (target, error) {
	out := target{d.Size, d.Size, "disabled"}
	if h < w {
		out.width = roundEven(w / h * float64(d.Size))
	} else if w < h {
		out.height = roundEven(h / w * float64(d.Size))
	}
	return out, nil
}

type toWidth struct {
	Width int `in:"width" default:"512" min:"0" max:"16384" step:"1" tooltip:"Width in pixels; the height follows."`
}

func (d *toWidth) target(w, h float64) (target, error) {
	return (&toDimensions{Width: d.Width, Crop: "disabled"}).target(w, h)
}

type toHeight struct {
	Height int `in:"height" default:"512" min:"0" max:"16384" step:"1" tooltip:"Height in pixels; the width follows."`
}

func (d *toHeight) target(w, h float64) (target, error) {
	return (&toDimensions{Height: d.Height, Crop: "disabled"}).target(w, h)
}

type totalPixels struct {
	Megapixels float64 `in:"megapixels" default:"1.0" min:"0.01" max:"16.0" step:"0.01" tooltip:"Number of pixels, in 1024*1024."`
}

func (d *totalPixels) target(w, h float64) (target, error) {
	by := math.Sqrt(math.Trunc(d.Megapixels*1024*1024) / (w * h))
	return target{roundEven(w * by), roundEven(h * by), "disabled"}, nil
}

type matchSize struct {
	Match *tensor.Tensor `in:"match" type:"IMAGE,MASK" tooltip:"The image or mask whose size is taken."`
	Crop  string         `in:"crop" options:"disabled|center" default:"center" tooltip:"With other proportions the image is cut (center) or distorted (disabled)."`
}

func (d *matchSize) target(float64, float64) (target, error) {
	if _, _, err := asImage("resize_type.match", d.Match); err != nil {
		return target{}, err
	}
	return target{d.Match.Shape[2], d.Match.Shape[1], d.Crop}, nil
}

type toMultiple struct {
	Multiple int `in:"multiple" default:"8" min:"1" max:"16384" step:"1" tooltip:"Both sides become multiples of this."`
}

// target returns the largest multiple that does not exceed the image's side, unless that would be 0.
func (d *toMultiple) target(w, h float64) (target, error) {
	m := max(d.Multiple, 1)
	width, height := int(w)/m*m, int(h)/m*m
	if width == 0 || height == 0 {
		width, height = int(w), int(h)
	}
	return target{width, height, "cover"}, nil
}

// DynamicOptions implements nodes.Dynamic.
func (*ResizeImageMask) DynamicOptions(string) []nodes.Option {
	return []nodes.Option{
		{Key: "scale dimensions", Inputs: &toDimensions{}},
		{Key: "scale by multiplier", Inputs: &byFactor{}},
		{Key: "scale longer dimension", Inputs: &longerSide{}},
		{Key: "scale shorter dimension", Inputs: &shorterSide{}},
		{Key: "scale width", Inputs: &toWidth{}},
		{Key: "scale height", Inputs: &toHeight{}},
		{Key: "scale total pixels", Inputs: &totalPixels{}},
		{Key: "match size", Inputs: &matchSize{}},
		{Key: "scale to multiple", Inputs: &toMultiple{}},
	}
}

// Run implements nodes.Node.
func (n *ResizeImageMask) Run(ctx *nodes.Context) (nodes.Result, error) {
	img, isMask, err := asImage("input", n.Input)
	if err != nil {
		return nodes.Result{}, err
	}
	how, ok := n.Type.Inputs.(sizing)
	if !ok {
		return nodes.Result{}, nodes.Errorf("ValueError", "resizing: there is no resize_type %q", n.Type.Key)
	}
	to, err := how.target(float64(img.Shape[2]), float64(img.Shape[1]))
	if err != nil {
		return nodes.Result{}, err
	}
	if to.width == img.Shape[2] && to.height == img.Shape[1] && n.Method != "lanczos" {
		return nodes.Out(n.Input), nil
	}
	if to.crop == "cover" {
		return n.cover(img, isMask, to)
	}
	r, err := scaled(ctx, img, to.width, to.height, n.Method, to.crop)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(fromImage(r.Values[0].(*tensor.Tensor), isMask)), nil //nolint:errcheck // scaled returns an image
}

// cover scales with the proportions kept until the target is covered, and cuts off what sticks out on both sides.
func (n *ResizeImageMask) cover(img *tensor.Tensor, isMask bool, to target) (nodes.Result, error) {
	h, w := img.Shape[1], img.Shape[2]
	if to.width == w && to.height == h {
		return nodes.Out(n.Input), nil
	}
	byW, byH := float64(to.width)/float64(w), float64(to.height)/float64(h)
	width, height := to.width, to.height
	if byW >= byH {
		height = max(to.height, int(math.Ceil(float64(h)*byW)))
	} else {
		width = max(to.width, int(math.Ceil(float64(w)*byH)))
	}
	large, err := imaging.UpscaleImage(img, width, height, n.Method, "disabled")
	if err != nil {
		return nodes.Result{}, fmt.Errorf("resizing: %w", err)
	}
	x, y := (width-to.width)/2, (height-to.height)/2
	out, err := imaging.Crop(large, 1, y, y+to.height, x, x+to.width)
	if err != nil {
		return nodes.Result{}, fmt.Errorf("resizing: %w", err)
	}
	return nodes.Out(fromImage(out, isMask)), nil
}
