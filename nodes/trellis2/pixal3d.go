package trellis2

import (
	"math"

	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

func init() { nodes.Register(&Pixal3DConditioning{}) }

// Pixal3DConditioning encodes an image for Pixal3D.
type Pixal3DConditioning struct {
	ClipVision *engine.ImageEncoder `in:"clip_vision_model" type:"CLIP_VISION" tooltip:"DINOv3 ViT-L/16, with the naf.* tensors for Pixal3D."`
	Image      *tensor.Tensor       `in:"image" type:"IMAGE" tooltip:"Square image of the object on black, as ImageCropToMask with a pad_factor of 1.1 makes it."`
	Angle      float64              `in:"camera_angle_x" default:"49.13" min:"1.0" max:"170.0" step:"0.01" display_name:"fov" tooltip:"Horizontal angle of view of the camera in degrees. MoGeGeometryToFOV finds that of an image."`
}

// Spec implements nodes.Node.
func (*Pixal3DConditioning) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "Pixal3DConditioning", Category: category, Module: module, V3: true,
		Description: "Encodes an image with DINOv3 for Pixal3D, whose stages also read the features of the pixels in which each cell of an object is seen.",
		Outputs:     []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}},
		Uses:        nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *Pixal3DConditioning) Run(ctx *nodes.Context) (nodes.Result, error) {
	const least, most = 1, 170
	if !(n.Angle >= least && n.Angle <= most) {
		return nodes.Result{}, nodes.Errorf("ValueError", "reading the input camera_angle_x: it is %v, wanted %d to %d degrees", n.Angle, least, most)
	}
	seen, err := encode(ctx, n.ClipVision, n.Image)
	if err != nil {
		return nodes.Result{}, err
	}
	p := &projection{encoder: n.ClipVision, angle: n.Angle * math.Pi / 180}
	for i, v := range seen {
		at := projected{smallImage: v.smallImage, largeImage: v.largeImage}
		if seen[i].small, at.small, err = patches(v.small, smallSide); err != nil {
			return nodes.Result{}, err
		}
		if seen[i].large, at.large, err = patches(v.large, largeSide); err != nil {
			return nodes.Result{}, err
		}
		p.views = append(p.views, at)
	}
	whole, err := p.whole(ctx)
	if err != nil {
		return nodes.Result{}, err
	}
	small, large := joined(seen, func(v view) *tensor.Tensor { return v.small }), joined(seen, func(v view) *tensor.Tensor { return v.large })
	entry := func(small, large *tensor.Tensor) engine.Conditioning {
		return engine.Conditioning{{Tokens: small, Values: map[string]any{sampling.KeyFineImage: large, sampling.KeyProjection: p, sampling.KeyProjected: whole}}}
	}
	return nodes.Out(entry(small, large), entry(tensor.New(small.Shape...), tensor.New(large.Shape...))), nil
}

// patches parts tokens [1,tokens,C] of an image into those of the whole image, and those of its patches as [1,C,h,h].
func patches(tokens *tensor.Tensor, side int) (whole, grid *tensor.Tensor, err error) {
	const patch = 16
	h, c := side/patch, tokens.Dim(2)
	first := tokens.Dim(1) - h*h
	if first < 1 {
		return nil, nil, nodes.Errorf("ValueError", "encoding the image: the image encoder gives %d tokens, wanted one and more before those of %d patches of %d pixels: load DINOv3 ViT-L/16", tokens.Dim(1), h*h, patch)
	}
	whole, grid = tensor.New(1, first, c), tensor.New(1, c, h, h)
	copy(whole.Data, tokens.Data)
	for i, v := range tokens.Data[first*c:] {
		grid.Data[i%c*h*h+i/c] = v
	}
	return whole, grid, nil
}
