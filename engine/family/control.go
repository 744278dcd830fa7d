package family

import (
	"context"

	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// Control is a family of ControlNets.
type Control interface {
	Family
	// Read reads a ControlNet's config; src is the whole file. It returns nil if the file holds none of this family.
	Read(src weights.Source) (ControlNetwork, error)
}

// ControlNetwork is a ControlNet that was read from a file.
type ControlNetwork interface {
	// Hint describes the image that the network reads.
	Hint() Hint
	// Steers names the models that the network is for, such as "Stable Diffusion XL", for errors.
	Steers() string
	// Residuals runs the network on a batch. The result is not scaled; tensors that are added at several places may be one.
	// It fails for a call of a model that the network does not fit.
	Residuals(ctx context.Context, run Runner, c ControlCall) (*Residuals, error)
	// Weights is the source of the network's tensors, without prefix.
	Weights() weights.Source
}

// ControlCall is one call of a ControlNet: the call of the diffusion model that it steers, and the network's own inputs.
type ControlCall struct {
	Call
	// Hint is [N,channels,h,w] as ControlNetwork.Hint describes it.
	Hint *tensor.Tensor
	// Types are the hint types passed to a union network; empty means none.
	Types []int
	// Model is the diffusion model, Base its weights with the changes of its adapters: for networks that share them.
	Model Denoiser
	Base  weights.Source
}

// Text returns the text encoding that a ControlNet reads: one of its own where the conditioning has one.
func (c ControlCall) Text() *tensor.Tensor {
	if t := c.Inputs.Get(sampling.InputControlText); t != nil {
		return t
	}
	return c.Inputs.Get(sampling.InputContext)
}

// Hint describes the image that steers a ControlNet.
type Hint struct {
	// Channels is the number of channels of the image, in 0…1. A single channel is the mean of several.
	Channels int
	// Scale is the number of hint cells per latent cell along one side: pixels, or cells of the encoded image.
	Scale int
	// Method is how images are scaled, "" for nearest-exact.
	Method string
	// Multiple, when set, rounds the sizes of the scaled image up to multiples of it.
	Multiple int
	// Prepare, when set, changes the pixels of the scaled image.
	Prepare func(pixels []float32)
	// Latent, when set, reports that the network reads the image as a latent of this format, which a VAE encodes.
	Latent *sampling.LatentFormat
	// Mask reports that a mask follows the channels of the latent: 1 where the image counts.
	Mask bool
}

// Types is implemented by union ControlNets, which read the type of the hint.
type Types interface {
	// Types is the number of kinds that the network knows.
	Types() int
}

// Constant is implemented by networks whose residuals depend only on the hint, not on the latent: they run once.
type Constant interface {
	// Constant reports that the residuals follow from the hint alone.
	Constant() bool
}

// Partial is implemented by networks whose residuals act one by one: those that do not fit a model are left out, as in upstream.
type Partial interface {
	// Fitting returns the residuals that fit the model of a call, how many of all there are do not, and an error for a model
	// that takes no such residuals at all.
	Fitting(c ControlCall, r *Residuals) (fit *Residuals, left, all int, err error)
}

// Borrower is implemented by networks whose graphs hold weights of the diffusion model.
type Borrower interface {
	// Borrows reports that the network needs ControlCall.Base.
	Borrows() bool
}

// Difference is implemented by ControlNets whose weights may be differences to those of the diffusion model.
type Difference interface {
	// Difference reports that the weights are differences.
	Difference() bool
	// Added returns the network with the weights of a diffusion model added to the differences.
	Added(base weights.Source) (ControlNetwork, error)
}

// Strengthened is implemented by networks whose strength is not a factor of the residuals.
type Strengthened interface {
	// Strength returns the factor of the residuals for a strength.
	Strength(strength float32) float32
}

// Residuals are what ControlNets add to a network's activations. Lists may be shorter than the network has blocks, and nil
// elements add nothing.
type Residuals struct {
	// Input are added after the input blocks of a U-Net or the double blocks of a transformer.
	Input []*tensor.Tensor
	// Middle is added after the middle block of a U-Net.
	Middle *tensor.Tensor
	// Output are added to the skip connections of a U-Net, after the single blocks of a transformer, or after the joint blocks
	// of one that has no others.
	Output []*tensor.Tensor
}

// Each returns the residuals with every tensor replaced by f's result; f is called once per tensor.
func (r *Residuals) Each(f func(t *tensor.Tensor) *tensor.Tensor) *Residuals {
	made := map[*tensor.Tensor]*tensor.Tensor{nil: nil}
	of := func(t *tensor.Tensor) *tensor.Tensor {
		y, ok := made[t]
		if !ok {
			y = f(t)
			made[t] = y
		}
		return y
	}
	all := func(list []*tensor.Tensor) []*tensor.Tensor {
		out := make([]*tensor.Tensor, len(list))
		for i, t := range list {
			out[i] = of(t)
		}
		return out
	}
	return &Residuals{Input: all(r.Input), Middle: of(r.Middle), Output: all(r.Output)}
}

// Scaled returns the residuals multiplied by a factor.
func (r *Residuals) Scaled(by float32) *Residuals {
	return r.Each(func(t *tensor.Tensor) *tensor.Tensor {
		out := tensor.New(t.Shape...)
		for i, v := range t.Data {
			out.Data[i] = v * by
		}
		return out
	})
}

// Pooled returns the residuals [N,C,h,w] with the mean of each channel at all of its cells.
func (r *Residuals) Pooled() *Residuals {
	return r.Each(func(t *tensor.Tensor) *tensor.Tensor {
		out := tensor.New(t.Shape...)
		cells := max(tensor.Count(t.Shape[min(2, len(t.Shape)):]), 1)
		for at := 0; at < len(t.Data); at += cells {
			sum := 0.0
			for _, v := range t.Data[at : at+cells] {
				sum += float64(v)
			}
			for i := range cells {
				out.Data[at+i] = float32(sum / float64(cells))
			}
		}
		return out
	})
}

// Plus returns the sums of both networks' residuals. Of two of different shapes, which no model takes both, the first is
// kept, so that the model's check reports it.
func (r *Residuals) Plus(other *Residuals) *Residuals {
	if other == nil {
		return r
	}
	type pair struct{ a, b *tensor.Tensor }
	made := map[pair]*tensor.Tensor{}
	sum := func(a, b *tensor.Tensor) *tensor.Tensor {
		switch {
		case a == nil:
			return b
		case b == nil || !tensor.SameShape(a, b):
			return a
		}
		y, ok := made[pair{a, b}]
		if !ok {
			y = tensor.New(a.Shape...)
			for i, v := range a.Data {
				y.Data[i] = b.Data[i] + v
			}
			made[pair{a, b}] = y
		}
		return y
	}
	all := func(a, b []*tensor.Tensor) []*tensor.Tensor {
		out := make([]*tensor.Tensor, max(len(a), len(b)))
		for i := range out {
			out[i] = sum(at(a, i), at(b, i))
		}
		return out
	}
	return &Residuals{Input: all(r.Input, other.Input), Middle: sum(r.Middle, other.Middle), Output: all(r.Output, other.Output)}
}

// at is element i of a list, nil after its end.
func at(list []*tensor.Tensor, i int) *tensor.Tensor {
	if i < len(list) {
		return list[i]
	}
	return nil
}

// Places lists the elements of a list of residuals that add something, of the first n.
func Places(list []*tensor.Tensor, n int) []int {
	var out []int
	for i, t := range list {
		if t != nil && i < n {
			out = append(out, i)
		}
	}
	return out
}
