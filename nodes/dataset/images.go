package dataset

import (
	"context"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&ResizeImagesByShorterEdge{})
	nodes.Register(&ResizeImagesByLongerEdge{})
	nodes.Register(&CenterCropImages{})
	nodes.Register(&RandomCropImages{})
	nodes.Register(&NormalizeImages{})
	nodes.Register(&AdjustBrightness{})
	nodes.Register(&AdjustContrast{})
}

// ResizeImagesByShorterEdge resizes images to a length of their shorter edge.
type ResizeImagesByShorterEdge struct {
	Images      *tensor.Tensor `in:"images" type:"IMAGE" tooltip:"Image to resize."`
	ShorterEdge int            `in:"shorter_edge" default:"512" min:"1" max:"8192" tooltip:"Length of the shorter edge in pixels."`
}

// Spec implements nodes.Node.
func (*ResizeImagesByShorterEdge) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ResizeImagesByShorterEdge", DisplayName: "Resize Images by Shorter Edge (DEPRECATED)", Category: "image/transform",
		Module: "comfy_extras.nodes_dataset", V3: true,
		Outputs:      []nodes.Output{{Type: "IMAGE", Name: "images", Tooltip: "The resized images."}},
		Deprecated:   true,
		Experimental: true,
		Description:  "Resizes images so that the shorter edge has the given length; the aspect ratio stays.",
		Uses:         nodes.UsesNothing,
	}
}

func (*ResizeImagesByShorterEdge) Sizes(s *nodes.Sizing) nodes.Images {
	if side := s.Number("shorter_edge"); s.In.Width < s.In.Height {
		return s.In.ScaledTo(side, 0)
	} else {
		return s.In.ScaledTo(0, side)
	}
}

// Run implements nodes.Node. Upstream: Pillow's Lanczos filter over 8-bit frames.
func (n *ResizeImagesByShorterEdge) Run(ctx *nodes.Context) (nodes.Result, error) {
	return resizeEdge(ctx, n.Images, n.ShorterEdge, func(w, h int) bool { return w < h })
}

// ResizeImagesByLongerEdge resizes images to a length of their longer edge.
type ResizeImagesByLongerEdge struct {
	Images     *tensor.Tensor `in:"images" type:"IMAGE" tooltip:"Image to resize."`
	LongerEdge int            `in:"longer_edge" default:"1024" min:"1" max:"8192" tooltip:"Length of the longer edge in pixels."`
}

// Spec implements nodes.Node.
func (*ResizeImagesByLongerEdge) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ResizeImagesByLongerEdge", DisplayName: "Resize Images by Longer Edge (DEPRECATED)", Category: "image/transform",
		Module: "comfy_extras.nodes_dataset", V3: true,
		Outputs:      []nodes.Output{{Type: "IMAGE", Name: "images", Tooltip: "The resized images."}},
		Deprecated:   true,
		Experimental: true,
		Description:  "Resizes images so that the longer edge has the given length; the aspect ratio stays.",
		Uses:         nodes.UsesNothing,
	}
}

func (*ResizeImagesByLongerEdge) Sizes(s *nodes.Sizing) nodes.Images {
	return s.In.Of(s.Number("longer_edge"), s.Number("longer_edge"))
}

// Run implements nodes.Node. Upstream: Pillow's Lanczos filter over 8-bit frames.
func (n *ResizeImagesByLongerEdge) Run(ctx *nodes.Context) (nodes.Result, error) {
	return resizeEdge(ctx, n.Images, n.LongerEdge, func(w, h int) bool { return w > h })
}

// CenterCropImages cuts the middle out of images.
type CenterCropImages struct {
	Images *tensor.Tensor `in:"images" type:"IMAGE" tooltip:"Image to crop."`
	Width  int            `in:"width" default:"512" min:"1" max:"8192" tooltip:"Width of the crop in pixels."`
	Height int            `in:"height" default:"512" min:"1" max:"8192" tooltip:"Height of the crop in pixels."`
}

// Spec implements nodes.Node.
func (*CenterCropImages) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CenterCropImages", DisplayName: "Crop Image (Center)", Category: "image/transform",
		Module: "comfy_extras.nodes_dataset", V3: true,
		Outputs:       []nodes.Output{{Type: "IMAGE", Name: "images", Tooltip: "The cropped images."}},
		Experimental:  true,
		Description:   "Crops the center of an image to the given size.",
		SearchAliases: []string{"crop", "cut", "trim"},
		Uses:          nodes.UsesNothing,
	}
}

func (*CenterCropImages) Sizes(s *nodes.Sizing) nodes.Images {
	return s.Canvas(s.Number("width"), s.Number("height"))
}

// Run implements nodes.Node. A crop larger than the image keeps the image's size.
func (n *CenterCropImages) Run(*nodes.Context) (nodes.Result, error) {
	if err := checkImage(n.Images); err != nil {
		return nodes.Result{}, err
	}
	h, w := n.Images.Shape[1], n.Images.Shape[2]
	return cropped(n.Images, n.Width, n.Height, max(0, w-n.Width)/2, max(0, h-n.Height)/2)
}

// RandomCropImages cuts a random part out of images.
type RandomCropImages struct {
	Images *tensor.Tensor `in:"images" type:"IMAGE" tooltip:"Image to crop."`
	Width  int            `in:"width" default:"512" min:"1" max:"8192" tooltip:"Width of the crop in pixels."`
	Height int            `in:"height" default:"512" min:"1" max:"8192" tooltip:"Height of the crop in pixels."`
	Seed   uint64         `in:"seed" default:"0" min:"0" max:"18446744073709551615" tooltip:"Seed of the random position."`
}

// Spec implements nodes.Node.
func (*RandomCropImages) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "RandomCropImages", DisplayName: "Crop Image (Random)", Category: "image/transform",
		Module: "comfy_extras.nodes_dataset", V3: true,
		Outputs:       []nodes.Output{{Type: "IMAGE", Name: "images", Tooltip: "The cropped images."}},
		Experimental:  true,
		Description:   "Crops a random part of an image with the given size.",
		SearchAliases: []string{"crop", "cut", "trim"},
		Uses:          nodes.UsesNothing,
	}
}

func (*RandomCropImages) Sizes(s *nodes.Sizing) nodes.Images {
	return s.Canvas(s.Number("width"), s.Number("height"))
}

// Run implements nodes.Node. Every frame of a batch is cropped at the same position: the seed is set anew for each.
func (n *RandomCropImages) Run(*nodes.Context) (nodes.Result, error) {
	if err := checkImage(n.Images); err != nil {
		return nodes.Result{}, err
	}
	h, w := n.Images.Shape[1], n.Images.Shape[2]
	random := newRandom(n.Seed)
	left := random.Below(max(0, w-n.Width) + 1)
	return cropped(n.Images, n.Width, n.Height, left, random.Below(max(0, h-n.Height)+1))
}

// NormalizeImages takes a mean off images and divides them by a standard deviation.
type NormalizeImages struct {
	Images *tensor.Tensor `in:"images" type:"IMAGE" tooltip:"Image to normalize."`
	Mean   float64        `in:"mean" advanced:"true" default:"0.5" min:"0.0" max:"1.0" tooltip:"Value to subtract."`
	Std    float64        `in:"std" advanced:"true" default:"0.5" min:"0.001" max:"1.0" tooltip:"Value to divide by."`
}

// Spec implements nodes.Node.
func (*NormalizeImages) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "NormalizeImages", DisplayName: "Normalize Image Colors", Category: "image/color",
		Module: "comfy_extras.nodes_dataset", V3: true,
		Outputs:       []nodes.Output{{Type: "IMAGE", Name: "images", Tooltip: "The normalized images."}},
		Experimental:  true,
		Description:   "Subtracts a mean from the values of an image and divides them by a standard deviation.",
		SearchAliases: []string{"normalize", "normalize colors"},
		Uses:          nodes.UsesNothing,
	}
}

func (*NormalizeImages) Sizes(s *nodes.Sizing) nodes.Images {
	return s.Kept()
}

// Run implements nodes.Node.
func (n *NormalizeImages) Run(*nodes.Context) (nodes.Result, error) {
	mean, std := float32(n.Mean), float32(n.Std)
	return eachValue(n.Images, func(v float32) float32 { return (v - mean) / std })
}

// AdjustBrightness multiplies images by a factor.
type AdjustBrightness struct {
	Images *tensor.Tensor `in:"images" type:"IMAGE" tooltip:"Image to change."`
	Factor float64        `in:"factor" default:"1.0" min:"0.0" max:"2.0" tooltip:"Factor on all values: 1.0 changes nothing, less is darker, more is brighter."`
}

// Spec implements nodes.Node.
func (*AdjustBrightness) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "AdjustBrightness", DisplayName: "Adjust Brightness", Category: "image/adjustments",
		Module: "comfy_extras.nodes_dataset", V3: true,
		Outputs:       []nodes.Output{{Type: "IMAGE", Name: "images", Tooltip: "The changed images."}},
		Experimental:  true,
		Description:   "Changes the brightness of an image.",
		SearchAliases: []string{"brightness"},
		Uses:          nodes.UsesNothing,
	}
}

func (*AdjustBrightness) Sizes(s *nodes.Sizing) nodes.Images {
	return s.Kept()
}

// Run implements nodes.Node.
func (n *AdjustBrightness) Run(*nodes.Context) (nodes.Result, error) {
	factor := float32(n.Factor)
	return eachValue(n.Images, func(v float32) float32 { return min(max(v*factor, 0), 1) })
}

// AdjustContrast changes the distance of images from middle gray.
type AdjustContrast struct {
	Images *tensor.Tensor `in:"images" type:"IMAGE" tooltip:"Image to change."`
	Factor float64        `in:"factor" default:"1.0" min:"0.0" max:"2.0" tooltip:"Factor on the distance from middle gray: 1.0 changes nothing, less lowers the contrast, more raises it."`
}

// Spec implements nodes.Node.
func (*AdjustContrast) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "AdjustContrast", DisplayName: "Adjust Contrast", Category: "image/adjustments",
		Module: "comfy_extras.nodes_dataset", V3: true,
		Outputs:       []nodes.Output{{Type: "IMAGE", Name: "images", Tooltip: "The changed images."}},
		Experimental:  true,
		Description:   "Changes the contrast of an image.",
		SearchAliases: []string{"contrast"},
		Uses:          nodes.UsesNothing,
	}
}

func (*AdjustContrast) Sizes(s *nodes.Sizing) nodes.Images {
	return s.Kept()
}

// Run implements nodes.Node.
func (n *AdjustContrast) Run(*nodes.Context) (nodes.Result, error) {
	factor := float32(n.Factor)
	return eachValue(n.Images, func(v float32) float32 { return min(max(float32((v-0.5)*factor)+0.5, 0), 1) })
}

func checkImage(t *tensor.Tensor) error {
	if t == nil || len(t.Shape) != 4 || len(t.Data) == 0 {
		return nodes.Errorf("ValueError", "reading the input images: it is not an image [batch, height, width, channels]")
	}
	return nil
}

// checkPillow refuses channel counts that Pillow has no 8-bit image for: it has LA, RGB and RGBA. A gray image of one channel is none.
func checkPillow(t *tensor.Tensor) error {
	if err := checkImage(t); err != nil {
		return err
	}
	if c := t.Shape[3]; c < 2 || c > 4 {
		return nodes.Errorf("TypeError", "converting an image to 8 bits: it has %d channels, want 2 (LA), 3 (RGB) or 4 (RGBA)", c)
	}
	return nil
}

func eachValue(t *tensor.Tensor, f func(v float32) float32) (nodes.Result, error) {
	if err := checkImage(t); err != nil {
		return nodes.Result{}, err
	}
	out := tensor.New(t.Shape...)
	for i, v := range t.Data {
		out.Data[i] = f(v)
	}
	return nodes.Out(out), nil
}

// resizeEdge resizes each frame; the width gets the length edge where byWidth holds, the height elsewhere, and the other side follows.
func resizeEdge(ctx *nodes.Context, images *tensor.Tensor, edge int, byWidth func(w, h int) bool) (nodes.Result, error) {
	if err := checkPillow(images); err != nil {
		return nodes.Result{}, err
	}
	b, h, w, c := images.Shape[0], images.Shape[1], images.Shape[2], images.Shape[3]
	newW, newH := edge, int(float64(h)*(float64(edge)/float64(w)))
	if !byWidth(w, h) {
		newW, newH = int(float64(w)*(float64(edge)/float64(h))), edge
	}
	if newW < 1 || newH < 1 {
		return nodes.Result{}, nodes.Errorf("ValueError", "resizing an image of %dx%d: the result would be %dx%d", w, h, newW, newH)
	}
	if err := imaging.CheckSize("images of the new size", b, newH, newW, c); err != nil {
		return nodes.Result{}, err
	}
	out := tensor.New(b, newH, newW, c)
	for i := range b {
		if err := context.Cause(ctx); err != nil {
			return nodes.Result{}, err
		}
		pix, err := imaging.Resize8Context(ctx, imaging.ToBytes(images.Index(i).Data), w, h, c, newW, newH, imaging.Lanczos)
		if err != nil {
			return nodes.Result{}, err
		}
		if err := context.Cause(ctx); err != nil {
			return nodes.Result{}, err
		}
		imaging.FromBytes(out.Index(i).Data, pix)
	}
	return nodes.Out(out), nil
}

// cropped cuts each frame at one place; values are rounded to 8 bits as upstream's are.
func cropped(images *tensor.Tensor, width, height int, left, top int) (nodes.Result, error) {
	if err := checkPillow(images); err != nil {
		return nodes.Result{}, err
	}
	b, h, w, c := images.Shape[0], images.Shape[1], images.Shape[2], images.Shape[3]
	outW, outH := min(width, w), min(height, h)
	if outW < 1 || outH < 1 {
		return nodes.Result{}, nodes.Errorf("ValueError", "cropping an image: %dx%d is no size", width, height)
	}
	out := tensor.New(b, outH, outW, c)
	for i := range b {
		from, to := images.Index(i).Data, out.Index(i).Data
		for y := range outH {
			line := from[((top+y)*w+left)*c:][:outW*c]
			imaging.FromBytes(to[y*outW*c:][:outW*c], imaging.ToBytes(line))
		}
	}
	return nodes.Out(out), nil
}
