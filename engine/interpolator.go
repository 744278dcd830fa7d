package engine

import (
	"context"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
)

// Interpolator is the value of INTERP_MODEL links: a network that generates frames between those of a video.
type Interpolator struct {
	rt   *Runtime
	file *file
	net  family.InterpolationNetwork
}

// LoadInterpolator opens the frame interpolation model in the file at path.
func (rt *Runtime) LoadInterpolator(path string) (*Interpolator, error) {
	f, err := rt.files.Get(path)
	if err != nil {
		return nil, err
	}
	net, err := f.Parts.Interpolator()
	if err != nil {
		return nil, fmt.Errorf("loading the frame interpolation model: %w", err)
	}
	return &Interpolator{rt: rt, file: f, net: net}, nil
}

// Interpolate generates multiplier-1 evenly spaced frames between each pair of the frames [B,H,W,3] in 0…1. The result [(B-1)·multiplier+1,H,W,3]
// holds the given frames, too. A single frame is returned as it is. progress, if not nil, is called with the number of finished frames and the total.
func (p *Interpolator) Interpolate(ctx context.Context, frames *tensor.Tensor, multiplier int, progress func(done, all int)) (*tensor.Tensor, error) {
	const channels = 3
	if len(frames.Shape) != 4 || frames.Dim(3) != channels || frames.Len() == 0 {
		return nil, fmt.Errorf("interpolating frames of shape %v: the model takes images of %d channels", frames.Shape, channels)
	}
	n, h, w := frames.Dim(0), frames.Dim(1), frames.Dim(2)
	if n < 2 || multiplier < 2 {
		return frames, nil
	}
	total := (n-1)*multiplier + 1
	if err := p.rt.checkHost("interpolating frames", family.Product(total, h, w, channels, 4)); err != nil {
		return nil, err
	}
	run := p.rt.runner(family.RoleInterpolation, false, p.file)
	if err := run.Check("interpolating frames", p.net.Memory(h, w)); err != nil {
		return nil, err
	}
	times := make([]float32, multiplier-1)
	for i := range times {
		times[i] = float32(float64(i+1) / float64(multiplier))
	}
	out := tensor.New(total, h, w, channels)
	done, to := 0, 0
	put := func(frame *tensor.Tensor) {
		for i, v := range frame.Data {
			out.Index(to).Data[i] = min(max(v, 0), 1)
		}
		to++
	}
	put(frames.Index(0))
	first, err := p.net.Prepare(ctx, run, planar(frames.Slice(0, 1)))
	for i := 1; err == nil && i < n; i++ {
		var second []*tensor.Tensor
		if second, err = p.net.Prepare(ctx, run, planar(frames.Slice(i, i+1))); err != nil {
			break
		}
		err = p.net.Between(ctx, run, first, second, times, func(frame *tensor.Tensor) error {
			put(interleaved(frame))
			if done++; progress != nil {
				progress(done, total-n)
			}
			return context.Cause(ctx)
		})
		put(frames.Index(i))
		first = second
	}
	if err != nil {
		return nil, fmt.Errorf("interpolating frames: %w", err)
	}
	return out, nil
}
