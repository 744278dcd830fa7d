package family

import (
	"context"

	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// Control is a family of ControlNets.
type Control interface {
	Family
	// Read reads a ControlNet's config; src is the whole file. It returns nil for a file that holds none of this family.
	Read(src weights.Source) (ControlNetwork, error)
}

// ControlNetwork is a ControlNet that was read from a file.
type ControlNetwork interface {
	// Hint describes the image that the network reads.
	Hint() Hint
	// Residuals runs the network on a batch: hint is [N,channels,h,w] as Hint describes it. The result is not scaled.
	Residuals(ctx context.Context, run Runner, c Call, hint *tensor.Tensor) (*Residuals, error)
	// Weights is the source of the network's tensors, without prefix.
	Weights() weights.Source
}

// Hint describes the image that steers a ControlNet.
type Hint struct {
	// Channels is the number of channels of the image, in 0…1.
	Channels int
	// Scale is the number of image pixels per latent cell along one side.
	Scale int
}

// Residuals are what ControlNets add to a network's activations.
type Residuals struct {
	// Blocks are added to the outputs of the input blocks, Middle to that of the middle block.
	Blocks []*tensor.Tensor
	Middle *tensor.Tensor
}

// Scale multiplies all residuals.
func (r *Residuals) Scale(by float32) {
	for _, t := range append(r.Blocks[:len(r.Blocks):len(r.Blocks)], r.Middle) {
		if t == nil {
			continue
		}
		for i := range t.Data {
			t.Data[i] *= by
		}
	}
}

// Add adds other, which may be nil and may have more blocks. Residuals of another shape are left out, as upstream does.
func (r *Residuals) Add(other *Residuals) {
	if other == nil {
		return
	}
	for i, b := range other.Blocks {
		if i >= len(r.Blocks) {
			r.Blocks = append(r.Blocks, b)
			continue
		}
		addTo(r.Blocks[i], b)
	}
	if r.Middle == nil {
		r.Middle = other.Middle
		return
	}
	addTo(r.Middle, other.Middle)
}

func addTo(sum, more *tensor.Tensor) {
	if sum == nil || more == nil || !tensor.SameShape(sum, more) {
		return
	}
	for i, v := range more.Data {
		sum.Data[i] = v + sum.Data[i]
	}
}
