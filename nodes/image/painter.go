package image

import (
	"strconv"
	"strings"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/internal/imaging/codec"
	"comfygo/internal/pystr"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&Painter{})
}

// Painter lays what was painted in the editor over an image or a color.
type Painter struct {
	Mask    string         `in:"mask" widgetType:"PAINTER" image_upload:"true" default:"" socketless:"true"`
	Width   int            `in:"width" hidden:"true" default:"512" socketless:"true" min:"64" max:"4096" step:"64"`
	Height  int            `in:"height" hidden:"true" default:"512" socketless:"true" min:"64" max:"4096" step:"64"`
	BgColor any            `in:"bg_color" type:"COLOR" default:"#000000" socketless:"true"`
	Image   *tensor.Tensor `in:"image" type:"IMAGE" optional:"true" tooltip:"Image to paint over."`
}

// Spec implements nodes.Node.
func (*Painter) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "Painter", DisplayName: "Painter", Category: "image",
		Module: "comfy_extras.nodes_painter", V3: true,
		Outputs:               nodes.Outputs("IMAGE", "MASK"),
		HasIntermediateOutput: true,
		Uses:                  nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*Painter) Sizes(s *nodes.Sizing) nodes.Images {
	if s.Has("image") {
		return s.Kept()
	}
	return s.Canvas(s.Number("width"), s.Number("height"))
}

// Run implements nodes.Node.
func (n *Painter) Run(ctx *nodes.Context) (nodes.Result, error) {
	base, err := n.base()
	if err != nil {
		return nodes.Result{}, err
	}
	h, w, c := base.Shape[1], base.Shape[2], base.Shape[3]
	mask := tensor.New(1, h, w)
	if pystr.Strip(n.Mask) == "" {
		return previewed(ctx, base, base, mask)
	}
	if c != 1 && c != 3 {
		return nodes.Result{}, nodes.Errorf("ValueError", "painting over an image: it has %d channels, want 1 or 3", c)
	}
	data, err := readFile(ctx, n.Mask)
	if err != nil {
		return nodes.Result{}, nodes.Errorf("OSError", "loading the painting %q: %w", n.Mask, err)
	}
	pix, width, height, err := imaging.Source{Data: data, Limits: codec.DefaultLimits, Budget: ctx.Memory}.OpenRGBA(ctx)
	if err != nil {
		return nodes.Result{}, nodes.Errorf(errorType(err), "loading the painting %q: %w", n.Mask, err)
	}
	pix, err = imaging.Resize8(pix, width, height, 4, w, h, imaging.Lanczos)
	if err != nil {
		return nodes.Result{}, err
	}
	painted := make([]float32, len(pix))
	imaging.FromBytes(painted, pix)
	out := tensor.New(1, h, w, 3)
	for i := range mask.Data {
		alpha := painted[4*i+3]
		mask.Data[i] = alpha
		for k := range 3 {
			out.Data[3*i+k] = float32(painted[4*i+k]*alpha) + float32(base.Data[i*c+k%c]*(1-alpha))
		}
	}
	return previewed(ctx, out, out, mask)
}

// base is the first image, or an image of the background color.
func (n *Painter) base() (*tensor.Tensor, error) {
	if n.Image != nil {
		if !isImage(n.Image) {
			return nil, errNoImage("image")
		}
		return n.Image.Slice(0, 1), nil
	}
	if n.Width < 1 || n.Height < 1 {
		return nil, nodes.Errorf("ValueError", "painting an image: its size is %dx%d", n.Width, n.Height)
	}
	if err := imaging.CheckSize("the painted image", n.Height, n.Width, 3); err != nil {
		return nil, err
	}
	color, _ := n.BgColor.(string)
	rgb := hexColor(color)
	out := tensor.New(1, n.Height, n.Width, 3)
	for i := range out.Data {
		out.Data[i] = rgb[i%3]
	}
	return out, nil
}

// Fingerprint is the content of the painting's file, or "".
func (n *Painter) Fingerprint(ctx *nodes.Context) (any, error) {
	if pystr.Strip(n.Mask) == "" || !ctx.Folders.Exists(n.Mask) {
		return "", nil
	}
	return fileDigest(ctx, n.Mask)
}

var _ nodes.Fingerprinter = (*Painter)(nil)

// hexColor reads #RRGGBB; anything else is black.
func hexColor(s string) (rgb [3]float32) {
	v, err := strconv.ParseUint(strings.TrimLeft(s, "#"), 16, 32)
	if err != nil || len(strings.TrimLeft(s, "#")) != 6 {
		return rgb
	}
	for i := range rgb {
		rgb[i] = float32(float64(v>>(16-8*i)&0xff) / 255)
	}
	return rgb
}
