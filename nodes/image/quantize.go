package image

import (
	"context"
	"math/bits"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&ImageQuantize{})
}

// ImageQuantize reduces the colors of images.
type ImageQuantize struct {
	Image  *tensor.Tensor `in:"image" type:"IMAGE"`
	Colors int            `in:"colors" default:"256" min:"1" max:"256" step:"1"`
	Dither string         `in:"dither" options:"none|floyd-steinberg|bayer-2|bayer-4|bayer-8|bayer-16"`
}

// Spec implements nodes.Node.
func (*ImageQuantize) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImageQuantize", DisplayName: "Quantize Image", Category: "image/filters",
		Module: modulePost, V3: true,
		Outputs: nodes.Outputs("IMAGE"),
		Uses:    nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*ImageQuantize) Sizes(s *nodes.Sizing) nodes.Images { return s.Kept() }

// bayerOrders are the sides of the threshold matrices by the dither's name.
var bayerOrders = map[string]int{"bayer-2": 2, "bayer-4": 4, "bayer-8": 8, "bayer-16": 16}

// Run implements nodes.Node. Every image gets a palette of its own, by median cut.
func (n *ImageQuantize) Run(ctx *nodes.Context) (nodes.Result, error) {
	if !isImage(n.Image) {
		return nodes.Result{}, errNoImage("image")
	}
	if c := n.Image.Shape[3]; c != 3 {
		exception := "ValueError"
		if c == 1 {
			exception = "TypeError"
		}
		return nodes.Result{}, nodes.Errorf(exception, "quantizing an image: it has %d channels, want 3", c)
	}
	const most = 256
	if n.Colors < 1 || n.Colors > most {
		return nodes.Result{}, nodes.Errorf("ValueError", "quantizing an image to %d colors, want 1 to %d", n.Colors, most)
	}
	order, bayer := bayerOrders[n.Dither]
	if !bayer && n.Dither != "none" && n.Dither != "floyd-steinberg" {
		return nodes.Result{}, nodes.Errorf("UnboundLocalError", "quantizing an image: there is no dither %q", n.Dither)
	}
	if err := imaging.CheckSize("quantized images", append([]int{2}, n.Image.Shape...)...); err != nil {
		return nodes.Result{}, err
	}
	out := tensor.New(n.Image.Shape...)
	for i := range n.Image.Shape[0] {
		if err := context.Cause(ctx); err != nil {
			return nodes.Result{}, err
		}
		pix := imaging.ToBytes(n.Image.Index(i).Data)
		colors := imaging.Palette(pix, n.Colors)
		m := imaging.NewPaletteMap(colors)
		switch {
		case bayer:
			addBayer(pix, n.Image.Shape[2], order, len(colors))
			m.Apply(pix)
		case n.Dither == "none":
			m.Apply(pix)
		default:
			m.Diffuse(pix, n.Image.Shape[2])
		}
		imaging.FromBytes(out.Index(i).Data, pix)
	}
	return nodes.Out(out), nil
}

// addBayer adds the thresholds of a matrix of order x order (Bayer, 1973), as far apart as that many colors of a palette, to
// the bytes of an image.
func addBayer(pix []byte, width, order, colors int) {
	spread := float32(2 * 256 / float64(colors))
	matrix := make([]float32, order*order)
	for i := range matrix {
		matrix[i] = float32(spread*bayerThreshold(i/order, i%order, order)) + 0.5
	}
	for i, v := range pix {
		x, y := i/3%width, i/3/width
		pix[i] = byte(min(max(float32(v)+matrix[y%order*order+x%order], 0), 255))
	}
}

// bayerThreshold is an element of the matrix, in -1/2 to 1/2. Its binary digits are those of the place, the last ones first.
func bayerThreshold(y, x, order int) float32 {
	digits := bits.Len(uint(order)) - 1
	rank := 0
	for d := range digits {
		bx, by := x>>d&1, y>>d&1
		rank |= (2*(bx^by) | by) << (2 * (digits - 1 - d))
	}
	return (float32(rank)+0.5)/float32(order*order) - 0.5
}
