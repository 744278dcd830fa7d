package mask

import (
	"fmt"
	"math"
	"slices"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

const module = "comfy_extras.nodes_mask"

func init() {
	nodes.Register(&MaskToImage{})
	nodes.Register(&ImageToMask{})
	nodes.Register(&ImageColorToMask{})
	nodes.Register(&SolidMask{})
}

func errNoImage(input string) error {
	return nodes.Errorf("ValueError", "the input %s is no image", input)
}

func errNoMask(input string) error {
	return nodes.Errorf("ValueError", "the input %s is no mask", input)
}

func isImage(t *tensor.Tensor) bool { return t != nil && len(t.Shape) == 4 && len(t.Data) > 0 }

// flat returns a mask as [B,H,W]; it fails if a link delivered no mask.
func flat(input string, t *tensor.Tensor) (*tensor.Tensor, error) {
	if t == nil || len(t.Shape) < 2 || len(t.Data) == 0 {
		return nil, errNoMask(input)
	}
	return t.Reshape(-1, t.Dim(-2), t.Dim(-1))
}

// each returns a copy of t with f applied to every value.
func each(t *tensor.Tensor, f func(v float32) float32) *tensor.Tensor {
	out := tensor.New(t.Shape...)
	for i, v := range t.Data {
		out.Data[i] = f(v)
	}
	return out
}

// MaskToImage shows a mask as a gray image.
type MaskToImage struct {
	Mask *tensor.View `in:"mask" type:"MASK"`
}

// Spec implements nodes.Node.
func (*MaskToImage) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "MaskToImage", DisplayName: "Convert Mask to Image", Category: "image/mask", Module: module, V3: true,
		SearchAliases: []string{"convert mask"}, Outputs: nodes.Outputs("IMAGE"),
		Uses: nodes.UsesNothing,
	}
}

func (*MaskToImage) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node.
func (n *MaskToImage) Run(*nodes.Context) (nodes.Result, error) {
	m := n.Mask
	if shape := m.Shape(); m == nil || len(shape) != 3 {
		t, err := flat("mask", m.Dense())
		if err != nil {
			return nodes.Result{}, err
		}
		m = tensor.ViewOf(t)
	}
	if m.Len() == 0 {
		return nodes.Result{}, errNoMask("mask")
	}
	return nodes.Out(m.Repeat(3)), nil
}

// ImageToMask takes one channel of an image as a mask.
type ImageToMask struct {
	Image   *tensor.View `in:"image" type:"IMAGE"`
	Channel string       `in:"channel" options:"red|green|blue|alpha"`
}

// Spec implements nodes.Node.
func (*ImageToMask) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImageToMask", DisplayName: "Convert Image to Mask", Category: "image/mask", Module: module, V3: true,
		SearchAliases: []string{"extract channel", "channel to mask"}, Outputs: nodes.Outputs("MASK"),
		Uses: nodes.UsesNothing,
	}
}

func (*ImageToMask) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run fails when the image has no such channel.
func (n *ImageToMask) Run(*nodes.Context) (nodes.Result, error) {
	if n.Image == nil || len(n.Image.Shape()) != 4 || n.Image.Len() == 0 {
		return nodes.Result{}, errNoImage("image")
	}
	channels := n.Image.Shape()[3]
	at := slices.Index([]string{"red", "green", "blue", "alpha"}, n.Channel)
	if at < 0 || at >= channels {
		return nodes.Result{}, nodes.Errorf("IndexError", "taking a mask: the image has %d channels, none of them is %s", channels, n.Channel)
	}
	out, err := n.Image.Select(3, at)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(out), nil
}

// ImageColorToMask marks the pixels that have a colour.
type ImageColorToMask struct {
	Image *tensor.Tensor `in:"image" type:"IMAGE"`
	Color int            `in:"color" default:"0" min:"0" max:"16777215" step:"1" display:"number"`
}

// Spec implements nodes.Node.
func (*ImageColorToMask) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImageColorToMask", DisplayName: "Convert Image Color to Mask", Category: "image/mask", Module: module, V3: true,
		SearchAliases: []string{"color keying", "chroma key"}, Outputs: nodes.Outputs("MASK"),
		Uses: nodes.UsesNothing,
	}
}

func (*ImageColorToMask) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run compares colours rounded to 8 bits.
func (n *ImageColorToMask) Run(*nodes.Context) (nodes.Result, error) {
	if !isImage(n.Image) || n.Image.Shape[3] < 3 {
		return nodes.Result{}, errNoImage("image")
	}
	channels := n.Image.Shape[3]
	out := tensor.New(n.Image.Shape[:3]...)
	for i := range out.Data {
		color := 0
		for _, v := range n.Image.Data[i*channels:][:3] {
			color = color<<8 | int(math.RoundToEven(float64(min(max(v, 0), 1)*255)))
		}
		if color == n.Color {
			out.Data[i] = 1
		}
	}
	return nodes.Out(out), nil
}

// SolidMask makes a mask of one value.
type SolidMask struct {
	Value  float64 `in:"value" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
	Width  int     `in:"width" default:"512" min:"1" max:"16384" step:"1"`
	Height int     `in:"height" default:"512" min:"1" max:"16384" step:"1"`
}

// Spec implements nodes.Node.
func (*SolidMask) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SolidMask", DisplayName: "Create Solid Mask", Category: "image/mask", Module: module, V3: true,
		Outputs: nodes.Outputs("MASK"),
		Uses:    nodes.UsesNothing,
	}
}

func (*SolidMask) Sizes(s *nodes.Sizing) nodes.Images {
	return s.Canvas(s.Number("width"), s.Number("height"))
}

// Run implements nodes.Node.
func (n *SolidMask) Run(*nodes.Context) (nodes.Result, error) {
	if err := imaging.CheckSize(fmt.Sprintf("a mask of %dx%d", n.Width, n.Height), n.Height, n.Width); err != nil {
		return nodes.Result{}, err
	}
	out := tensor.New(1, n.Height, n.Width)
	for i := range out.Data {
		out.Data[i] = float32(n.Value)
	}
	return nodes.Out(out), nil
}
