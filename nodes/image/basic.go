package image

import (
	"fmt"
	"slices"

	"comfygo/engine/tensor"
	"comfygo/engine/vec"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&EmptyImage{})
	nodes.Register(&ImageInvert{})
	nodes.Register(&ImageBatch{})
	nodes.Register(&ImagePadForOutpaint{})
}

// EmptyImage makes images of one colour.
type EmptyImage struct {
	Width  int `in:"width" default:"512" min:"1" max:"16384" step:"1"`
	Height int `in:"height" default:"512" min:"1" max:"16384" step:"1"`
	Batch  int `in:"batch_size" default:"1" min:"1" max:"4096"`
	Color  int `in:"color" default:"0" min:"0" max:"16777215" step:"1" display:"color"`
}

// Spec implements nodes.Node.
func (*EmptyImage) Spec() nodes.Spec {
	return nodes.Spec{Name: "EmptyImage", DisplayName: "Empty Image", Category: "image", Outputs: nodes.Outputs("IMAGE"), Uses: nodes.UsesNothing}
}

func (*EmptyImage) Sizes(s *nodes.Sizing) nodes.Images {
	return s.Canvas(s.Number("width"), s.Number("height"), "batch_size")
}

// Run implements nodes.Node.
func (n *EmptyImage) Run(*nodes.Context) (nodes.Result, error) {
	what := fmt.Sprintf("%d images of %dx%d", n.Batch, n.Width, n.Height)
	if err := imaging.CheckSize(what, n.Batch, n.Height, n.Width, 3); err != nil {
		return nodes.Result{}, err
	}
	out := tensor.New(n.Batch, n.Height, n.Width, 3)
	if n.Color == 0 {
		return nodes.Out(out), nil
	}
	var pixel [3]float32
	for c := range pixel {
		pixel[c] = float32(float64(n.Color>>(16-8*c)&0xff) / 255)
	}
	for i := 0; i < len(out.Data); i += 3 {
		copy(out.Data[i:], pixel[:])
	}
	return nodes.Out(out), nil
}

// ImageInvert makes the negative.
type ImageInvert struct {
	Image *tensor.Tensor `in:"image" type:"IMAGE"`
}

// Spec implements nodes.Node.
func (*ImageInvert) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImageInvert", DisplayName: "Invert Image Colors", Category: "image/color", EssentialsCategory: "Image Tools",
		SearchAliases: []string{"reverse colors"}, Outputs: nodes.Outputs("IMAGE"),
		Uses: nodes.UsesNothing,
	}
}

func (*ImageInvert) Sizes(s *nodes.Sizing) nodes.Images { return s.Kept() }

// Run implements nodes.Node.
func (n *ImageInvert) Run(*nodes.Context) (nodes.Result, error) {
	if !isImage(n.Image) {
		return nodes.Result{}, errNoImage("image")
	}
	out := tensor.New(n.Image.Shape...)
	vec.SubtractFrom(out.Data, n.Image.Data, 1)
	return nodes.Out(out), nil
}

// ImageBatch puts two batches behind each other; the second gets the size of the first.
type ImageBatch struct {
	Image1 *tensor.View `in:"image1" type:"IMAGE"`
	Image2 *tensor.View `in:"image2" type:"IMAGE"`
}

// Spec implements nodes.Node.
func (*ImageBatch) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImageBatch", DisplayName: "Batch Images (DEPRECATED)", Category: "image/batch", Deprecated: true,
		SearchAliases: []string{"combine images", "merge images", "stack images"}, Outputs: nodes.Outputs("IMAGE"),
		Uses: nodes.UsesNothing,
	}
}

func (*ImageBatch) Sizes(s *nodes.Sizing) nodes.Images { return s.Joined() }

// Run implements nodes.Node.
func (n *ImageBatch) Run(*nodes.Context) (nodes.Result, error) {
	a, b := n.Image1, n.Image2
	if !isImageView(a) || !isImageView(b) {
		return nodes.Result{}, errNoImage("image1 or image2")
	}
	channels := max(a.Shape()[3], b.Shape()[3])
	if size := a.Shape()[:3]; channels != a.Shape()[3] || channels != b.Shape()[3] || !slices.Equal(size[1:], b.Shape()[1:3]) {
		first, second := imaging.WithChannels(a.Dense(), channels, 1), imaging.WithChannels(b.Dense(), channels, 1)
		if !slices.Equal(size[1:], b.Shape()[1:3]) {
			var err error
			if second, err = imaging.UpscaleImage(second, size[2], size[1], "bilinear", "center"); err != nil {
				return nodes.Result{}, fmt.Errorf("joining images: %w", err)
			}
		}
		a, b = tensor.ViewOf(first), tensor.ViewOf(second)
	}
	out, err := tensor.Join(a, b)
	if err != nil {
		return nodes.Result{}, fmt.Errorf("joining images: %w", err)
	}
	return nodes.Out(out), nil
}

// ImagePadForOutpaint adds gray borders and makes the mask that has them painted, with a soft edge.
type ImagePadForOutpaint struct {
	Image      *tensor.Tensor `in:"image" type:"IMAGE"`
	Left       int            `in:"left" default:"0" min:"0" max:"16384" step:"8"`
	Top        int            `in:"top" default:"0" min:"0" max:"16384" step:"8"`
	Right      int            `in:"right" default:"0" min:"0" max:"16384" step:"8"`
	Bottom     int            `in:"bottom" default:"0" min:"0" max:"16384" step:"8"`
	Feathering int            `in:"feathering" default:"40" min:"0" max:"16384" step:"1" advanced:"true"`
}

// Spec implements nodes.Node.
func (*ImagePadForOutpaint) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImagePadForOutpaint", DisplayName: "Pad Image for Outpainting", Category: "image/transform",
		SearchAliases: []string{"extend canvas", "expand image"}, Outputs: nodes.Outputs("IMAGE", "MASK"),
		Uses: nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*ImagePadForOutpaint) Sizes(s *nodes.Sizing) nodes.Images {
	return s.In.Of(s.In.Width+s.Number("left")+s.Number("right"), s.In.Height+s.Number("top")+s.Number("bottom"))
}

// Run implements nodes.Node.
func (n *ImagePadForOutpaint) Run(*nodes.Context) (nodes.Result, error) {
	if !isImage(n.Image) {
		return nodes.Result{}, errNoImage("image")
	}
	if min(n.Left, n.Top, n.Right, n.Bottom) < 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "padding an image: a border is negative")
	}
	b, h, w, c := n.Image.Shape[0], n.Image.Shape[1], n.Image.Shape[2], n.Image.Shape[3]
	height, width := h+n.Top+n.Bottom, w+n.Left+n.Right
	if err := imaging.CheckSize(fmt.Sprintf("an image of %dx%d", width, height), b, height, width, c+1); err != nil {
		return nodes.Result{}, err
	}
	out := tensor.New(b, height, width, c)
	for i := range out.Data {
		out.Data[i] = 0.5
	}
	paste(out, n.Image, n.Top, n.Left)
	mask := tensor.New(1, height, width)
	for y := range height {
		for x := range width {
			mask.Data[y*width+x] = n.maskAt(y-n.Top, x-n.Left, h, w)
		}
	}
	return nodes.Out(out, mask), nil
}

// maskAt returns the mask at a place counted from the corner of the image of h rows and w columns.
func (n *ImagePadForOutpaint) maskAt(y, x, h, w int) float32 {
	if y < 0 || x < 0 || y >= h || x >= w {
		return 1
	}
	if n.Feathering <= 0 || n.Feathering*2 >= h || n.Feathering*2 >= w {
		return 0
	}
	d := max(h, w)
	for _, side := range []struct{ added, distance, far int }{
		{n.Top, y, h}, {n.Bottom, h - y, h}, {n.Left, x, w}, {n.Right, w - x, w},
	} {
		if side.added == 0 {
			side.distance = side.far
		}
		d = min(d, side.distance)
	}
	if d >= n.Feathering {
		return 0
	}
	v := float64(n.Feathering-d) / float64(n.Feathering)
	return float32(v * v)
}

// paste copies an image into a larger one with the same number of channels.
func paste(to, from *tensor.Tensor, top, left int) {
	h, line := from.Shape[1], from.Shape[2]*from.Shape[3]
	for n := range from.Shape[0] {
		for y := range h {
			at := ((n*to.Shape[1]+top+y)*to.Shape[2] + left) * to.Shape[3]
			copy(to.Data[at:][:line], from.Data[(n*h+y)*line:][:line])
		}
	}
}
