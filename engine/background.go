package engine

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
)

// BackgroundRemover is the value of BACKGROUND_REMOVAL links: a network that tells the foreground of images from their background.
type BackgroundRemover struct {
	rt   *Runtime
	file *file
	net  family.BackgroundNetwork
}

// LoadBackgroundRemover opens the background removal model in the file at path.
func (rt *Runtime) LoadBackgroundRemover(path string) (*BackgroundRemover, error) {
	f, err := rt.files.Get(path)
	if err != nil {
		return nil, err
	}
	net, err := f.Parts.Background()
	if err != nil {
		return nil, fmt.Errorf("loading the background removal model: %w", err)
	}
	return &BackgroundRemover{rt: rt, file: f, net: net}, nil
}

// Mask returns masks [B,H,W] of the foreground of images [B,H,W,C] in 0…1 with at least three channels, of which the first three are read. The network
// sees each image squeezed into its square, by cubic interpolation and in steps of 1/255. progress is called after each image.
// Upstream: bg_removal_model.py encode_image.
func (r *BackgroundRemover) Mask(ctx context.Context, images *tensor.Tensor, progress func(done int)) (*tensor.Tensor, error) {
	const (
		axes, rgb = 4, 3
		doing     = "finding the foreground of images"
	)
	if images == nil || len(images.Shape) != axes || images.Dim(3) < rgb || images.Len() == 0 || images.Len() != len(images.Data) {
		return nil, fmt.Errorf("%s: they are no batch [B,H,W,C] with at least one pixel and three channels", doing)
	}
	b, h, w, side := images.Dim(0), images.Dim(1), images.Dim(2), r.net.Side()
	// Of an image: its planes, and as wide as the square; then the logits of its pixels.
	if err := r.rt.checkHost(doing, family.Product(b, h, w, 4)+family.Product(h, w+side, rgb+1, 4)); err != nil {
		return nil, err
	}
	run, out := r.rt.runner(family.RoleBackground, false, r.file), tensor.New(b, h, w)
	for i := range b {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		x, err := planesOf(images.Slice(i, i+1), rgb)
		if err != nil {
			return nil, fmt.Errorf("%s: image %d %w", doing, i, err)
		}
		if h != side || w != side {
			x = imaging.Antialias(x, side, side, imaging.Bicubic)
		}
		for k, v := range x.Data {
			x.Data[k] = float32(math.RoundToEven(float64(min(max(255*v, 0), 255)))) / 255
		}
		logits, err := r.net.Foreground(ctx, run, x)
		if err == nil {
			err = checkNumbers("a mask", logits)
		}
		if err == nil {
			logits, err = imaging.Upscale(logits, w, h, "bicubic", "")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", doing, err)
		}
		for k, v := range logits.Data {
			out.Data[i*h*w+k] = float32(1 / (1 + math.Exp(-float64(v))))
		}
		progress(i + 1)
	}
	return out, nil
}

// planesOf are the first channels of images [B,H,W,C] as [B,channels,H,W]; an error names a pixel that is no number.
func planesOf(images *tensor.Tensor, channels int) (*tensor.Tensor, error) {
	b, h, w, c := images.Dim(0), images.Dim(1), images.Dim(2), images.Dim(3)
	out := tensor.New(b, channels, h, w)
	for i := range b * h * w {
		for k := range channels {
			v := images.Data[i*c+k]
			if v-v != 0 {
				return nil, fmt.Errorf("has the value %v in column %d of row %d: use an image of finite numbers", v, i%w, i/w%h)
			}
			out.Data[(i/(h*w)*channels+k)*h*w+i%(h*w)] = v
		}
	}
	return out, nil
}
