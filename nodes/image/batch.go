package image

import (
	"fmt"
	"slices"
	"strings"

	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

const moduleImages = "comfy_extras.nodes_images"

func init() {
	nodes.Register(&ImageCrop{})
	nodes.Register(&RepeatImageBatch{})
	nodes.Register(&ImageFromBatch{})
	nodes.Register(&ImageAddNoise{})
	nodes.Register(&GetImageSize{})
	nodes.Register(&ImageRotate{})
	nodes.Register(&ImageFlip{})
}

// ImageCrop cuts a rectangle out of images.
type ImageCrop struct {
	Image  *tensor.View `in:"image" type:"IMAGE"`
	Width  int          `in:"width" default:"512" min:"1" max:"16384" step:"1"`
	Height int          `in:"height" default:"512" min:"1" max:"16384" step:"1"`
	X      int          `in:"x" default:"0" min:"0" max:"16384" step:"1"`
	Y      int          `in:"y" default:"0" min:"0" max:"16384" step:"1"`
}

// Spec implements nodes.Node.
func (*ImageCrop) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImageCrop", DisplayName: "Crop Image (DEPRECATED)", Category: "image/transform", Module: moduleImages, V3: true,
		Deprecated: true, EssentialsCategory: "Image Tools", SearchAliases: []string{"trim"}, Outputs: nodes.Outputs("IMAGE"),
		Uses: nodes.UsesNothing,
	}
}

func (*ImageCrop) Sizes(s *nodes.Sizing) nodes.Images {
	return s.Canvas(s.Number("width"), s.Number("height"))
}

// Run moves a corner that lies outside onto the last pixel and cuts off what sticks out.
func (n *ImageCrop) Run(*nodes.Context) (nodes.Result, error) {
	if !isImageView(n.Image) {
		return nodes.Result{}, errNoImage("image")
	}
	h, w := n.Image.Shape()[1], n.Image.Shape()[2]
	x, y := min(n.X, w-1), min(n.Y, h-1)
	out, err := imaging.CropView(n.Image, 1, y, min(y+n.Height, h), x, min(x+n.Width, w))
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(out), nil
}

// RepeatImageBatch repeats a batch.
type RepeatImageBatch struct {
	Image  *tensor.View `in:"image" type:"IMAGE"`
	Amount int          `in:"amount" default:"1" min:"1" max:"4096"`
}

// Spec implements nodes.Node.
func (*RepeatImageBatch) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "RepeatImageBatch", DisplayName: "Repeat Image Batch", Category: "image/batch", Module: moduleImages, V3: true,
		SearchAliases: []string{"duplicate image", "clone image"}, Outputs: nodes.Outputs("IMAGE"),
		Uses: nodes.UsesNothing,
	}
}

func (*RepeatImageBatch) Sizes(s *nodes.Sizing) nodes.Images { return s.RepeatedBy("amount") }

// Run implements nodes.Node.
func (n *RepeatImageBatch) Run(*nodes.Context) (nodes.Result, error) {
	if !isImageView(n.Image) {
		return nodes.Result{}, errNoImage("image")
	}
	shape := slices.Clone(n.Image.Shape())
	shape[0] *= max(n.Amount, 0)
	if err := imaging.CheckSize("repeated images", shape...); err != nil {
		return nodes.Result{}, err
	}
	if n.Amount < 1 {
		return nodes.Out(tensor.New(shape...)), nil
	}
	out, err := tensor.Join(slices.Repeat([]*tensor.View{n.Image}, n.Amount)...)
	if err != nil {
		return nodes.Result{}, fmt.Errorf("repeating images: %w", err)
	}
	return nodes.Out(out), nil
}

// ImageFromBatch takes images out of a batch.
type ImageFromBatch struct {
	Image  *tensor.Tensor `in:"image" type:"IMAGE"`
	Index  int            `in:"batch_index" default:"0" min:"-16384" max:"16384"`
	Length int            `in:"length" default:"1" min:"1" max:"4096"`
}

// Spec implements nodes.Node.
func (*ImageFromBatch) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImageFromBatch", DisplayName: "Get Image from Batch", Category: "image/batch", Module: moduleImages, V3: true,
		SearchAliases: []string{"select image", "pick from batch", "extract image"}, Outputs: nodes.Outputs("IMAGE"),
		Uses: nodes.UsesNothing,
	}
}

func (*ImageFromBatch) Sizes(s *nodes.Sizing) nodes.Images { return s.Kept() }

// Run implements nodes.Node. A negative index counts from the end; what lies outside is moved in.
func (n *ImageFromBatch) Run(*nodes.Context) (nodes.Result, error) {
	if !isImage(n.Image) {
		return nodes.Result{}, errNoImage("image")
	}
	if n.Length < 1 {
		return nodes.Result{}, nodes.Errorf("ValueError", "taking images from a batch: the length is %d", n.Length)
	}
	count, from := n.Image.Shape[0], n.Index
	if from < 0 {
		from += count
	}
	from = max(0, min(count-1, from))
	return nodes.Out(n.Image.Slice(from, from+min(count-from, n.Length))), nil
}

// ImageAddNoise adds Gaussian noise.
type ImageAddNoise struct {
	Image    *tensor.Tensor `in:"image" type:"IMAGE"`
	Seed     uint64         `in:"seed" default:"0" min:"0" max:"18446744073709551615" control_after_generate:"true" tooltip:"Equal seeds make equal noise."`
	Strength float64        `in:"strength" default:"0.5" min:"0.0" max:"1.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*ImageAddNoise) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImageAddNoise", DisplayName: "Add Noise to Image", Category: "image/filters", Module: moduleImages, V3: true,
		SearchAliases: []string{"film grain"}, Outputs: nodes.Outputs("IMAGE"),
		Uses: nodes.UsesNothing,
	}
}

func (*ImageAddNoise) Sizes(s *nodes.Sizing) nodes.Images { return s.Kept() }

// Run implements nodes.Node. The noise is torch's for the seed; the result is cut to 0…1.
func (n *ImageAddNoise) Run(*nodes.Context) (nodes.Result, error) {
	if !isImage(n.Image) {
		return nodes.Result{}, errNoImage("image")
	}
	noise, err := sampling.PrepareNoise(n.Image.Shape, n.Seed, nil)
	if err != nil {
		return nodes.Result{}, fmt.Errorf("adding noise: %w", err)
	}
	strength := float32(n.Strength)
	out := tensor.New(n.Image.Shape...)
	for i, v := range n.Image.Data {
		out.Data[i] = min(max(v+float32(strength*noise.Data[i]), 0), 1)
	}
	return nodes.Out(out), nil
}

// GetImageSize returns the size of images, and shows it at the node.
type GetImageSize struct {
	Image *tensor.Tensor `in:"image" type:"IMAGE"`
}

// Spec implements nodes.Node.
func (*GetImageSize) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "GetImageSize", DisplayName: "Get Image Size", Category: "image", Module: moduleImages, V3: true,
		Description:   "Tells width, height and batch size.",
		SearchAliases: []string{"dimensions", "resolution", "image info"}, Hidden: []string{"UNIQUE_ID"},
		Outputs: []nodes.Output{{Type: "INT", Name: "width"}, {Type: "INT", Name: "height"}, {Type: "INT", Name: "batch_size"}},
		Uses:    nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *GetImageSize) Run(ctx *nodes.Context) (nodes.Result, error) {
	if !isImage(n.Image) {
		return nodes.Result{}, errNoImage("image")
	}
	b, h, w := n.Image.Shape[0], n.Image.Shape[1], n.Image.Shape[2]
	ctx.SendText(fmt.Sprintf("width: %d, height: %d\n batch size: %d", w, h, b))
	return nodes.Out(w, h, b), nil
}

// ImageRotate turns images clockwise.
type ImageRotate struct {
	Image    *tensor.View `in:"image" type:"IMAGE"`
	Rotation string       `in:"rotation" options:"none|90 degrees|180 degrees|270 degrees"`
}

// Spec implements nodes.Node.
func (*ImageRotate) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImageRotate", DisplayName: "Rotate Image", Category: "image/transform", Module: moduleImages, V3: true,
		EssentialsCategory: "Image Tools", SearchAliases: []string{"turn", "flip orientation"}, Outputs: nodes.Outputs("IMAGE"),
		Uses: nodes.UsesNothing,
	}
}

func (*ImageRotate) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node.
func (n *ImageRotate) Run(*nodes.Context) (nodes.Result, error) {
	if !isImageView(n.Image) {
		return nodes.Result{}, errNoImage("image")
	}
	turns := map[string]int{"none": 0, "90 degrees": 1, "180 degrees": 2, "270 degrees": 3}[n.Rotation]
	out, err := imaging.RotateClockwise(n.Image, 1, turns)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(out), nil
}

// ImageFlip mirrors images.
type ImageFlip struct {
	Image  *tensor.View `in:"image" type:"IMAGE"`
	Method string       `in:"flip_method" options:"x-axis: vertically|y-axis: horizontally"`
}

// Spec implements nodes.Node.
func (*ImageFlip) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImageFlip", DisplayName: "Flip Image", Category: "image/transform", Module: moduleImages, V3: true,
		SearchAliases: []string{"mirror", "reflect"}, Outputs: nodes.Outputs("IMAGE"),
		Uses: nodes.UsesNothing,
	}
}

func (*ImageFlip) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node.
func (n *ImageFlip) Run(*nodes.Context) (nodes.Result, error) {
	if !isImageView(n.Image) {
		return nodes.Result{}, errNoImage("image")
	}
	axis := 2
	if strings.HasPrefix(n.Method, "x") {
		axis = 1
	}
	out, err := n.Image.Reverse(axis)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(out), nil
}
