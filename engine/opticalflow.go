package engine

import (
	"context"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
)

// OpticalFlow is the value of OPTICAL_FLOW links: a network that finds the motion between frames of a video.
type OpticalFlow struct {
	rt   *Runtime
	file *file
	net  family.FlowNetwork
}

// LoadOpticalFlow opens the optical flow model in the file at path.
func (rt *Runtime) LoadOpticalFlow(path string) (*OpticalFlow, error) {
	f, err := rt.files.Get(path)
	if err != nil {
		return nil, err
	}
	net, err := f.Parts.OpticalFlow()
	if err != nil {
		return nil, fmt.Errorf("loading the optical flow model: %w", err)
	}
	return &OpticalFlow{rt: rt, file: f, net: net}, nil
}

// Follow finds the flow from each of the frames [T,3,H,W] in 0…1 to the next one, and calls emit with each, [2,H,W] as family.FlowNetwork gives it.
// held are the bytes that emit takes beside.
func (o *OpticalFlow) Follow(ctx context.Context, frames *tensor.Tensor, held int64, emit func(flow *tensor.Tensor) error) error {
	const axes, channels = 4, 3
	least, multiple := o.net.Sides()
	if len(frames.Shape) != axes || frames.Dim(1) != channels || frames.Dim(2) < least || frames.Dim(3) < least {
		return fmt.Errorf("following the motion of frames of shape %v: wanted [frames, %d, height, width] of at least %d pixels along each side", frames.Shape, channels, least)
	}
	h, w := frames.Dim(2)/multiple*multiple, frames.Dim(3)/multiple*multiple
	run := o.rt.runner(family.RoleOpticalFlow, false, o.file)
	if err := o.rt.checkHost("following the motion of a video", held); err != nil {
		return err
	}
	if err := run.Check("following the motion of a video", o.net.Memory(h, w)); err != nil {
		return err
	}
	prepare := func(i int) ([]*tensor.Tensor, error) {
		frame, err := imaging.Upscale(frames.Slice(i, i+1), w, h, "bilinear", "")
		if err != nil {
			return nil, err
		}
		return o.net.Prepare(ctx, run, frame)
	}
	first, err := prepare(0)
	for i := 1; err == nil && i < frames.Dim(0); i++ {
		var second []*tensor.Tensor
		if second, err = prepare(i); err != nil {
			break
		}
		var flow *tensor.Tensor
		if flow, err = o.net.Flow(ctx, run, first, second); err != nil {
			break
		}
		if flow, err = imaging.Upscale(flow, frames.Dim(3), frames.Dim(2), "bilinear", ""); err != nil {
			break
		}
		if flow, err = flow.Reshape(2, frames.Dim(2), frames.Dim(3)); err == nil {
			err = emit(flow)
		}
		first = second
	}
	if err != nil {
		return fmt.Errorf("following the motion of a video: %w", err)
	}
	return nil
}
