package image

import (
	"fmt"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() { nodes.Register(&BatchImages{}, &BatchMasks{}) }

// BatchImages puts images of any sizes into one batch of the first one's size.
type BatchImages struct {
	Images nodes.Grown `in:"images" autogrow:"image" item:"IMAGE" prefix:"image" least:"1" most:"50"`
}

// Spec implements nodes.Node.
func (*BatchImages) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "BatchImagesNode", DisplayName: "Batch Images", Category: "image/batch", Module: modulePost, V3: true, EssentialsCategory: "Image Tools",
		SearchAliases: []string{"batch", "image batch", "batch images", "combine images", "merge images", "stack images"}, Outputs: nodes.Outputs("IMAGE"),
		Uses: nodes.UsesNothing,
	}
}

func (*BatchImages) Sizes(s *nodes.Sizing) nodes.Images { return s.Joined() }

// Run implements nodes.Node. Images with fewer channels than others become opaque.
func (n *BatchImages) Run(*nodes.Context) (nodes.Result, error) {
	parts := make([]*tensor.Tensor, len(n.Images.Values))
	channels := 0
	for i, v := range n.Images.Values {
		t, ok := v.(*tensor.Tensor)
		if !ok || !isImage(t) {
			return nodes.Result{}, errNoImage("images." + n.Images.Names[i])
		}
		parts[i], channels = t, max(channels, t.Shape[3])
	}
	for i, t := range parts {
		parts[i] = imaging.WithChannels(t, channels, 1)
	}
	return batch(parts)
}

// batch joins images; those of other sizes are scaled and cut to the first one's.
func batch(parts []*tensor.Tensor) (nodes.Result, error) {
	if len(parts) == 0 {
		return nodes.Out(nil), nil
	}
	height, width := parts[0].Shape[1], parts[0].Shape[2]
	for i, t := range parts {
		if t.Shape[1] == height && t.Shape[2] == width {
			continue
		}
		fitted, err := imaging.UpscaleImage(t, width, height, "bilinear", "center")
		if err != nil {
			return nodes.Result{}, fmt.Errorf("fitting image %d of a batch: %w", i, err)
		}
		parts[i] = fitted
	}
	out, err := imaging.Concat(0, parts...)
	if err != nil {
		return nodes.Result{}, fmt.Errorf("joining images: %w", err)
	}
	return nodes.Out(out), nil
}

// BatchMasks is BatchImages for masks.
type BatchMasks struct {
	Masks nodes.Grown `in:"masks" autogrow:"mask" item:"MASK" prefix:"mask" least:"1" most:"50"`
}

// Spec implements nodes.Node.
func (*BatchMasks) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "BatchMasksNode", DisplayName: "Batch Masks", Category: "image/mask", Module: modulePost, V3: true,
		SearchAliases: []string{"combine masks", "stack masks", "merge masks"}, Outputs: nodes.Outputs("MASK"),
		Uses: nodes.UsesNothing,
	}
}

func (*BatchMasks) Sizes(s *nodes.Sizing) nodes.Images { return s.Joined() }

// Run implements nodes.Node.
func (n *BatchMasks) Run(*nodes.Context) (nodes.Result, error) {
	parts := make([]*tensor.Tensor, len(n.Masks.Values))
	for i, v := range n.Masks.Values {
		t, _ := v.(*tensor.Tensor)
		img, isMask, err := asImage("masks."+n.Masks.Names[i], t)
		if err != nil {
			return nodes.Result{}, err
		}
		if !isMask {
			return nodes.Result{}, errNoImage("masks." + n.Masks.Names[i])
		}
		parts[i] = img
	}
	r, err := batch(parts)
	if err != nil || len(parts) == 0 {
		return r, err
	}
	return nodes.Out(fromImage(r.Values[0].(*tensor.Tensor), true)), nil //nolint:errcheck // batch returns an image
}

// asImage gives masks [B,H,W] a channel; images are returned unchanged.
func asImage(input string, t *tensor.Tensor) (img *tensor.Tensor, isMask bool, err error) {
	switch {
	case t == nil || len(t.Data) == 0:
	case len(t.Shape) == 4:
		return t, false, nil
	case len(t.Shape) == 3:
		img, err = t.Reshape(t.Shape[0], t.Shape[1], t.Shape[2], 1)
		return img, true, err
	}
	return nil, false, errNoImage(input)
}

// fromImage is the opposite of asImage.
func fromImage(t *tensor.Tensor, isMask bool) *tensor.Tensor {
	if !isMask {
		return t
	}
	return &tensor.Tensor{Shape: t.Shape[:3], Data: t.Data}
}
