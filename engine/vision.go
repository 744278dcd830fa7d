package engine

import (
	"context"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
)

// ImageEncoder is the value of CLIP_VISION links: a network that encodes images.
type ImageEncoder struct {
	rt   *Runtime
	file *file
	net  family.ImageEncoder
}

// LoadVision opens the image encoder in the file at path.
func (rt *Runtime) LoadVision(path string) (*ImageEncoder, error) {
	f, err := rt.files.Get(path)
	if err != nil {
		return nil, err
	}
	net, err := f.Parts.Vision()
	if err != nil {
		return nil, fmt.Errorf("loading the image encoder: %w", err)
	}
	return &ImageEncoder{rt: rt, file: f, net: net}, nil
}

// Encode encodes images [B,H,W,C] in 0…1, cut at the centre to a square when crop is set and else squeezed.
func (e *ImageEncoder) Encode(ctx context.Context, images *tensor.Tensor, crop bool) (family.ImageEncoding, error) {
	out, err := e.net.Encode(ctx, e.rt.runner(family.RoleVision, false, e.file), images, crop)
	if err != nil {
		return out, fmt.Errorf("encoding the image: %w", err)
	}
	return out, nil
}

// EncodeWhole encodes images [B,H,W,3] in 0…1 at their own size; an error for encoders of one size.
func (e *ImageEncoder) EncodeWhole(ctx context.Context, images *tensor.Tensor) (family.ImageEncoding, error) {
	net, ok := e.net.(family.AnySize)
	if !ok {
		return family.ImageEncoding{}, fmt.Errorf("encoding the image: the image encoder reads images of one size: load DINOv3")
	}
	out, err := net.EncodeWhole(ctx, e.rt.runner(family.RoleVision, false, e.file), images)
	if err != nil {
		return out, fmt.Errorf("encoding the image: %w", err)
	}
	return out, nil
}

// Refine returns the features [N,C] at points [N,2], x and y in pixels of side fine features a side, of an image [1,S,S,3] in 0…1 and of its coarse features
// [1,C,h,h]; nil for encoders whose files carry no network for it.
func (e *ImageEncoder) Refine(ctx context.Context, image, features *tensor.Tensor, side int, points []float32) (*tensor.Tensor, error) {
	net, ok := e.net.(family.Refiner)
	if !ok || !net.CanRefine() {
		return nil, nil
	}
	const guide = 256 // values of a pixel
	if err := e.rt.checkHost("refining the features of an image", family.Product(side, side, guide, 4)+family.Product(len(points)/2, features.Dim(1)+16, 4)); err != nil {
		return nil, err
	}
	out, err := net.Refine(ctx, e.rt.runner(family.RoleVision, false, e.file), image, features, side, points)
	if err != nil {
		return nil, fmt.Errorf("refining the features of an image: %w", err)
	}
	return out, nil
}

// BundledVision returns the image encoder that lies beside a diffusion model in its checkpoint, or nil.
func (rt *Runtime) BundledVision(m *Model) (*ImageEncoder, error) {
	s, ok := m.net.(family.Sighted)
	if !ok || s.VisionPrefix() == "" {
		return nil, nil
	}
	net, err := m.file.Parts.VisionUnder(s.VisionPrefix())
	if err != nil {
		return nil, fmt.Errorf("loading the image encoder: %w", err)
	}
	if net == nil {
		return nil, nil
	}
	return &ImageEncoder{rt: rt, file: m.file, net: net}, nil
}
