package wan

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine"
	"comfygo/engine/family"
	"comfygo/engine/family/latents"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
	"comfygo/nodes/latent"
)

const module = "comfy_extras.nodes_wan"

const (
	ratio    = 4  // frames that share one of the latent, behind the first
	cell     = 8  // pixels per cell of a latent of Wan 2.1
	channels = 16 // of such a latent
	rgb      = 3  // channels of an image
)

// canvas is the size of a video in pixels and frames, and the VAE that encodes the given frames.
type canvas struct {
	vae                   *engine.VAE
	width, height, length int
}

// frames are the latent frames of the video.
func (c canvas) frames() int { return latent.VideoFrames(c.length, ratio) }

// empty is an empty latent of rows videos with further frames, for the VAE of Wan 2.1.
func (c canvas) empty(rows, further int) (engine.Latent, error) {
	return c.emptyOf(rows, channels, cell, further)
}

func (c canvas) emptyOf(rows, channels, cell, further int) (engine.Latent, error) {
	r, err := latent.Empty("video latents", engine.Latent{}, rows, channels, c.frames()+further, c.height/cell, c.width/cell)
	if err != nil {
		return engine.Latent{}, err
	}
	l, _ := r.Values[0].(engine.Latent)
	return l, nil
}

// check fails if images are invalid, or there is no VAE to encode them.
func (c canvas) check(input string, images *tensor.Tensor) error {
	switch {
	case c.vae == nil:
		return nodes.Errorf("AttributeError", "encoding %s: there is no VAE. A checkpoint without one was loaded; add a node that loads it from its own file", input)
	case len(images.Shape) != 4 || images.Len() == 0 || images.Dim(3) < 3:
		return nodes.Errorf("ValueError", "encoding %s: it has the shape %v, wanted images [batch, height, width, 3]", input, images.Shape)
	case c.length < 1:
		return nodes.Errorf("ValueError", "encoding %s: the video has %d frames", input, c.length)
	}
	return nil
}

// scaled converts images to the size of the video, without more than three channels.
func (c canvas) scaled(input string, images *tensor.Tensor, method string) (*tensor.Tensor, error) {
	if err := c.check(input, images); err != nil {
		return nil, err
	}
	out, err := imaging.UpscaleImage(colors(images), c.width, c.height, method, "center")
	if err != nil {
		return nil, fmt.Errorf("scaling %s: %w", input, err)
	}
	return out, nil
}

// first is scaled for the first frames.
func (c canvas) first(input string, images *tensor.Tensor) (*tensor.Tensor, error) {
	if err := c.check(input, images); err != nil {
		return nil, err
	}
	return c.scaled(input, images.Slice(0, min(c.length, images.Dim(0))), "bilinear")
}

// colors are the color channels of images.
func colors(t *tensor.Tensor) *tensor.Tensor {
	if t.Dim(3) == rgb {
		return t
	}
	out := tensor.New(t.Dim(0), t.Dim(1), t.Dim(2), rgb)
	for i := range out.Len() / rgb {
		copy(out.Data[i*rgb:(i+1)*rgb], t.Data[i*t.Dim(3):])
	}
	return out
}

// gray returns the given number of gray frames.
func (c canvas) gray(frames int) (*tensor.Tensor, error) {
	if err := imaging.CheckSize("the frames of the video", frames, c.height, c.width, 3); err != nil {
		return nil, err
	}
	out := tensor.New(frames, c.height, c.width, 3)
	for i := range out.Data {
		out.Data[i] = 0.5
	}
	return out, nil
}

// encode encodes frames to a video latent [1,C,T,h,w].
func (c canvas) encode(ctx context.Context, frames *tensor.Tensor) (*tensor.Tensor, error) {
	z, err := c.vae.Encode(ctx, frames)
	if err != nil {
		return nil, err
	}
	if len(z.Shape) != 5 || z.Dim(0) != 1 {
		return nil, nodes.Errorf("ValueError", "encoding a video: the VAE gives latents of shape %v, wanted those of a video: use the VAE of Wan", z.Shape)
	}
	return z, nil
}

// encoded scales images to the first frames and encodes them.
func (c canvas) encoded(ctx context.Context, input string, images *tensor.Tensor) (*tensor.Tensor, error) {
	frames, err := c.first(input, images)
	if err != nil {
		return nil, err
	}
	return c.encode(ctx, frames)
}

// blank is a latent [N,C·times,T,h,w] of zeros as the network reads it.
func blank(shape []int, times int) (*tensor.Tensor, error) {
	full := append([]int{shape[0], shape[1] * times}, shape[2:]...)
	if err := imaging.CheckSize("video latents", full...); err != nil {
		return nil, err
	}
	format := latents.Wan21
	if shape[1] == latents.Wan22.Channels {
		format = latents.Wan22
	}
	out := tensor.New(full...)
	size := tensor.Count(shape[2:])
	for i := range out.Data {
		out.Data[i] = format.Mean[i/size%shape[1]%len(format.Mean)]
	}
	return out, nil
}

// lay copies the frames of z [1,C,·,h,w] into those of to [N,·,T,h,w], from a channel on, in each row.
func lay(to, z *tensor.Tensor, channel int) error {
	if channel+z.Dim(1) > to.Dim(1) || z.Dim(3) != to.Dim(3) || z.Dim(4) != to.Dim(4) {
		return nodes.Errorf("RuntimeError", "laying an encoded video of shape %v into one of %v: they do not fit: use the VAE of Wan", z.Shape, to.Shape)
	}
	size := z.Dim(3) * z.Dim(4)
	n := min(z.Dim(2), to.Dim(2)) * size
	for row := range to.Dim(0) {
		for ch := range z.Dim(1) {
			copy(to.Index(row).Index(channel+ch).Data, z.Index(0).Index(ch).Data[:n])
		}
	}
	return nil
}

// framesMask is a mask [1,4,T,h,w] of what is to be made: four values a frame of the latent, one for each frame of the video; f says
// which of them are given.
func framesMask(t, h, w int, given func(frame int) bool) (*tensor.Tensor, error) {
	if err := imaging.CheckSize("a mask of frames", ratio, t, h, w); err != nil {
		return nil, err
	}
	out := tensor.New(1, ratio, t, h, w)
	for i := range out.Data {
		at := i / (h * w)
		if frame := at%t*ratio + at/t; !given(frame) {
			out.Data[i] = 1
		}
	}
	return out, nil
}

// visionValue returns the value that an encoded image adds to conditionings.
func visionValue(encoded any) map[string]any {
	if encoded == nil {
		return nil
	}
	return map[string]any{sampling.KeyVisionOutput: encoded}
}

// both adds values to both conditionings.
func both(positive, negative engine.Conditioning, values ...map[string]any) (pos, neg engine.Conditioning) {
	for _, v := range values {
		if len(v) > 0 {
			positive, negative = positive.With(v), negative.With(v)
		}
	}
	return positive, negative
}

// joined joins two encoded images: the tokens of the second behind those of the first.
func joined(a, b any) (any, error) {
	switch {
	case a == nil:
		return b, nil
	case b == nil:
		return a, nil
	}
	x, first := a.(family.ImageEncoding)
	y, second := b.(family.ImageEncoding)
	if !first || !second || x.Penultimate == nil || y.Penultimate == nil || len(x.Penultimate.Shape) != 3 || len(y.Penultimate.Shape) != 3 ||
		x.Penultimate.Dim(0) != y.Penultimate.Dim(0) || x.Penultimate.Dim(2) != y.Penultimate.Dim(2) {
		return nil, nodes.Errorf("RuntimeError", "joining encoded images: clip_vision_start_image and clip_vision_end_image are of different encoders or numbers of images")
	}
	p, q := x.Penultimate, y.Penultimate
	out := tensor.New(p.Dim(0), p.Dim(1)+q.Dim(1), p.Dim(2))
	for i := range p.Dim(0) {
		n := copy(out.Index(i).Data, p.Index(i).Data)
		copy(out.Index(i).Data[n:], q.Index(i).Data)
	}
	return family.ImageEncoding{Penultimate: out}, nil
}

// nearestExact is the place that torch's mode nearest-exact takes for place i of out, out of in.
func nearestExact(i, in, out int) int {
	return min(int(math.Floor((float64(i)+0.5)*float64(in)/float64(out))), in-1)
}
