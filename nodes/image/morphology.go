package image

import (
	"fmt"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

const moduleMorphology = "comfy_extras.nodes_morphology"

func init() {
	nodes.Register(&Morphology{})
	nodes.Register(&ImageRGBToYUV{})
	nodes.Register(&ImageYUVToRGB{})
}

// Morphology grows and shrinks the bright parts of images.
type Morphology struct {
	Image     *tensor.Tensor `in:"image" type:"IMAGE"`
	Operation string         `in:"operation" options:"erode|dilate|open|close|gradient|bottom_hat|top_hat"`
	Size      int            `in:"kernel_size" default:"3" min:"3" max:"999" step:"1"`
}

// Spec implements nodes.Node.
func (*Morphology) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "Morphology", DisplayName: "Apply Morphology", Category: "image/filters", Module: moduleMorphology, V3: true,
		SearchAliases: []string{"erode", "dilate"}, Outputs: nodes.Outputs("IMAGE"),
		Uses: nodes.UsesNothing,
	}
}

func (*Morphology) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// morphology defines each operation: a chain of filters, each the least (true) or the greatest value, and the function of
// the results, if any, that forms a difference.
var morphology = map[string]struct {
	chain []bool
	minus func(in, grown, shrunk float32) float32
}{
	"erode":      {chain: []bool{true}},
	"dilate":     {chain: []bool{false}},
	"open":       {chain: []bool{true, false}},
	"close":      {chain: []bool{false, true}},
	"top_hat":    {chain: []bool{true, false}, minus: func(in, out, _ float32) float32 { return in - out }},
	"bottom_hat": {chain: []bool{false, true}, minus: func(in, out, _ float32) float32 { return out - in }},
	"gradient":   {chain: []bool{false}, minus: func(_, grown, shrunk float32) float32 { return grown - shrunk }},
}

// Run implements nodes.Node.
func (n *Morphology) Run(ctx *nodes.Context) (nodes.Result, error) {
	if !isImage(n.Image) {
		return nodes.Result{}, errNoImage("image")
	}
	op, ok := morphology[n.Operation]
	if !ok {
		return nodes.Result{}, nodes.Errorf("ValueError", "morphology: unknown operation %q", n.Operation)
	}
	out, shrunk, err := n.Image, n.Image, error(nil)
	for _, least := range op.chain {
		if out, err = imaging.Extreme(ctx, out, n.Size, least); err != nil {
			return nodes.Result{}, fmt.Errorf("filtering an image: %w", err)
		}
	}
	if n.Operation == "gradient" {
		if shrunk, err = imaging.Extreme(ctx, n.Image, n.Size, true); err != nil {
			return nodes.Result{}, fmt.Errorf("filtering an image: %w", err)
		}
	}
	if op.minus != nil {
		for i, v := range out.Data {
			out.Data[i] = op.minus(n.Image.Data[i], v, shrunk.Data[i])
		}
	}
	return nodes.Out(out), nil
}

// The constants of BT.601 as kornia has them: what the colours add to the brightness, and how their differences to it are
// scaled.
const (
	redShare, greenShare, blueShare = 0.299, 0.587, 0.114
	redScale, blueScale             = 0.713, 0.564
)

// ImageRGBToYUV takes images apart into brightness and two colour differences, each shown as a gray image.
type ImageRGBToYUV struct {
	Image *tensor.Tensor `in:"image" type:"IMAGE"`
}

// Spec implements nodes.Node.
func (*ImageRGBToYUV) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImageRGBToYUV", DisplayName: "Image RGB to YUV", Category: "image/color", Module: moduleMorphology, V3: true,
		SearchAliases: []string{"color space conversion"},
		Outputs:       []nodes.Output{{Type: "IMAGE", Name: "Y"}, {Type: "IMAGE", Name: "U"}, {Type: "IMAGE", Name: "V"}},
		Uses:          nodes.UsesNothing,
	}
}

func (*ImageRGBToYUV) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run moves the differences by a half, so that gray is 0.5.
func (n *ImageRGBToYUV) Run(*nodes.Context) (nodes.Result, error) {
	if !isImage(n.Image) || n.Image.Shape[3] != 3 {
		return nodes.Result{}, errNoImage("image")
	}
	var out [3]*tensor.Tensor
	for i := range out {
		out[i] = tensor.New(n.Image.Shape...)
	}
	for i := 0; i < len(n.Image.Data); i += 3 {
		r, g, b := n.Image.Data[i], n.Image.Data[i+1], n.Image.Data[i+2]
		y := float32(redShare*r) + float32(greenShare*g) + float32(blueShare*b)
		for k, v := range [3]float32{y, float32((b-y)*blueScale) + 0.5, float32((r-y)*redScale) + 0.5} {
			out[k].Data[i], out[k].Data[i+1], out[k].Data[i+2] = v, v, v
		}
	}
	return nodes.Out(out[0], out[1], out[2]), nil
}

// ImageYUVToRGB puts together what ImageRGBToYUV took apart.
type ImageYUVToRGB struct {
	Y *tensor.Tensor `in:"Y" type:"IMAGE"`
	U *tensor.Tensor `in:"U" type:"IMAGE"`
	V *tensor.Tensor `in:"V" type:"IMAGE"`
}

// Spec implements nodes.Node.
func (*ImageYUVToRGB) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImageYUVToRGB", DisplayName: "Image YUV to RGB", Category: "image/color", Module: moduleMorphology, V3: true,
		SearchAliases: []string{"color space conversion"}, Outputs: nodes.Outputs("IMAGE"),
		Uses: nodes.UsesNothing,
	}
}

func (*ImageYUVToRGB) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run takes the mean of each input's channels.
func (n *ImageYUVToRGB) Run(*nodes.Context) (nodes.Result, error) {
	for _, t := range []*tensor.Tensor{n.Y, n.U, n.V} {
		if !isImage(t) {
			return nodes.Result{}, errNoImage("Y, U or V")
		}
		for axis := range 3 {
			if t.Shape[axis] != n.Y.Shape[axis] {
				return nodes.Result{}, nodes.Errorf("RuntimeError", "joining YUV: the shapes %v and %v differ", n.Y.Shape, t.Shape)
			}
		}
	}
	out := tensor.New(n.Y.Shape[0], n.Y.Shape[1], n.Y.Shape[2], 3)
	for i := range len(out.Data) / 3 {
		y, u, v := mean(n.Y, i), mean(n.U, i)-0.5, mean(n.V, i)-0.5
		out.Data[3*i] = unit(y + float32(1/redScale*v))
		out.Data[3*i+1] = unit(y - float32(redShare/redScale/greenShare*v) - float32(blueShare/blueScale/greenShare*u))
		out.Data[3*i+2] = unit(y + float32(1/blueScale*u))
	}
	return nodes.Out(out), nil
}

// mean is that of the channels of the i-th pixel.
func mean(t *tensor.Tensor, i int) float32 {
	var sum float32
	channels := t.Shape[3]
	for _, v := range t.Data[i*channels:][:channels] {
		sum += v
	}
	return sum / float32(channels)
}
