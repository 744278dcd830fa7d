package trellis2

import (
	"context"

	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&Trellis2Conditioning{})
	nodes.Register(&EmptyTrellis2LatentStructure{})
}

// Trellis2Conditioning encodes an image for TRELLIS.2.
type Trellis2Conditioning struct {
	ClipVision *engine.ImageEncoder `in:"clip_vision_model" type:"CLIP_VISION" tooltip:"DINOv3 ViT-L/16."`
	Image      *tensor.Tensor       `in:"image" type:"IMAGE" tooltip:"Square image of the object on black, as ImageCropToMask with a pad_factor of 1 makes it."`
}

// Spec implements nodes.Node.
func (*Trellis2Conditioning) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "Trellis2Conditioning", Category: category, Module: module, V3: true,
		Description: "Encodes an image with DINOv3 at 512 and at 1024 pixels for TRELLIS.2.",
		Outputs:     []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}},
		Uses:        nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *Trellis2Conditioning) Run(ctx *nodes.Context) (nodes.Result, error) {
	seen, err := encode(ctx, n.ClipVision, n.Image)
	if err != nil {
		return nodes.Result{}, err
	}
	small, large := joined(seen, func(v view) *tensor.Tensor { return v.small }), joined(seen, func(v view) *tensor.Tensor { return v.large })
	entry := func(small, large *tensor.Tensor) engine.Conditioning {
		return engine.Conditioning{{Tokens: small, Values: map[string]any{sampling.KeyFineImage: large}}}
	}
	return nodes.Out(entry(small, large), entry(tensor.New(small.Shape...), tensor.New(large.Shape...))), nil
}

// The sides at which images are encoded.
const (
	smallSide = 512
	largeSide = 1024
)

// view is an encoded image: its tokens [1,tokens,C] at both sizes, and the image at both.
type view struct{ small, large, smallImage, largeImage *tensor.Tensor }

// encode encodes each image of a batch at both sizes.
func encode(ctx *nodes.Context, encoder *engine.ImageEncoder, images *tensor.Tensor) ([]view, error) {
	const imageAxes = 4
	switch {
	case encoder == nil:
		return nil, missing("clip_vision_model", "CLIPVisionLoader with DINOv3 ViT-L/16")
	case images == nil || len(images.Shape) != imageAxes || images.Len() == 0 || images.Len() != len(images.Data) || images.Dim(3) < rgb:
		return nil, nodes.Errorf("ValueError", "reading the input image: it is not an image batch [B,H,W,C] with at least one pixel and three channels")
	}
	out := make([]view, images.Dim(0))
	for i := range out {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		x := clamped(images.Slice(i, i+1))
		var err error
		if out[i].small, out[i].smallImage, err = encodeAt(ctx, encoder, x, smallSide); err != nil {
			return nil, err
		}
		if out[i].large, out[i].largeImage, err = encodeAt(ctx, encoder, x, largeSide); err != nil {
			return nil, err
		}
		ctx.Progress(float64(i+1), float64(len(out)))
	}
	return out, nil
}

// clamped is an image with three channels in 0…1; what is not a number is 0.
func clamped(x *tensor.Tensor) *tensor.Tensor {
	c := x.Dim(3)
	out := tensor.New(x.Dim(0), x.Dim(1), x.Dim(2), rgb)
	for i := range out.Data {
		if v := x.Data[i/rgb*c+i%rgb]; v == v {
			out.Data[i] = min(max(v, 0), 1)
		}
	}
	return out
}

// encodeAt encodes an image [1,H,W,3] as a square, and returns it.
func encodeAt(ctx *nodes.Context, encoder *engine.ImageEncoder, x *tensor.Tensor, side int) (tokens, image *tensor.Tensor, err error) {
	if image, err = imaging.UpscaleImageContext(ctx, x, side, side, "lanczos", ""); err != nil {
		return nil, nil, nodes.Errorf("ValueError", "scaling an image of %dx%d pixels: %w", x.Dim(2), x.Dim(1), err)
	}
	seen, err := encoder.EncodeWhole(ctx, image)
	if err != nil {
		return nil, nil, err
	}
	if seen.Plain == nil {
		return nil, nil, nodes.Errorf("ValueError", "encoding the image: the image encoder is not DINOv3: load DINOv3 ViT-L/16")
	}
	return seen.Plain, image, nil
}

// joined are the tensors of views, row by row.
func joined(list []view, of func(view) *tensor.Tensor) *tensor.Tensor {
	first := of(list[0])
	out := &tensor.Tensor{Shape: append([]int{len(list)}, first.Shape[1:]...)}
	for _, v := range list {
		out.Data = append(out.Data, of(v).Data...)
	}
	return out
}

// EmptyTrellis2LatentStructure makes empty latents of structures.
type EmptyTrellis2LatentStructure struct {
	BatchSize int `in:"batch_size" default:"1" min:"1" max:"4096" tooltip:"Number of volumes."`
}

// Spec implements nodes.Node.
func (*EmptyTrellis2LatentStructure) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "EmptyTrellis2LatentStructure", Category: latentCategory, Module: module, V3: true,
		Description: "Makes the empty latent with which TRELLIS.2 and Pixal3D begin: that of the coarse structure of an object.",
		Outputs:     nodes.Outputs("LATENT"),
		Uses:        nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer: the latent stands for no pixels.
func (*EmptyTrellis2LatentStructure) Sizes(*nodes.Sizing) nodes.Images { return nodes.UnknownImages() }

// Run implements nodes.Node.
func (n *EmptyTrellis2LatentStructure) Run(*nodes.Context) (nodes.Result, error) {
	if err := imaging.CheckSize("latents", n.BatchSize, channels, latentSide, latentSide, latentSide); err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(engine.Latent{Samples: tensor.New(n.BatchSize, channels, latentSide, latentSide, latentSide), Type: latentType}), nil
}
