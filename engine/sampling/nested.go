package sampling

import (
	"context"
	"fmt"
	"slices"

	"comfygo/engine/tensor"
)

// A nested latent has parts of different shapes that are sampled together, such as a video and its sound. Samplers see one
// tensor [B,1,values], each row holding its parts' rows one after another. Upstream: NestedTensor, pack_latents.

// PrepareNestedNoise is PrepareNoise for parts of the given shapes, which one generator fills in turn.
func PrepareNestedNoise(shapes [][]int, seed uint64, indices []int) ([]*tensor.Tensor, error) {
	out, _, err := drawNested(shapes, seed, indices)
	return out, err
}

func drawNested(shapes [][]int, seed uint64, indices []int) ([]*tensor.Tensor, *Generator, error) {
	g := NewGenerator(seed)
	out := make([]*tensor.Tensor, len(shapes))
	for i, shape := range shapes {
		var err error
		if out[i], err = drawFrom(g, shape, indices); err != nil {
			return nil, nil, err
		}
	}
	return out, g, nil
}

// Pack joins the parts of a nested latent, which must have equal numbers of rows.
func Pack(parts []*tensor.Tensor) (*tensor.Tensor, error) {
	if len(parts) == 0 {
		return nil, fmt.Errorf("packing a nested latent: it has no parts")
	}
	n := 0
	for i, p := range parts {
		if p == nil || len(p.Shape) < 3 || p.Len() == 0 || p.Dim(0) != parts[0].Dim(0) {
			return nil, fmt.Errorf("packing a nested latent: part %d is empty or has other rows than the first", i)
		}
		n += tensor.Count(p.Shape[1:])
	}
	out := tensor.New(parts[0].Dim(0), 1, n)
	at := 0
	for b := range out.Dim(0) {
		for _, p := range parts {
			at += copy(out.Data[at:], p.Index(b).Data)
		}
	}
	return out, nil
}

// Unpack is the inverse of Pack, for parts of the given shapes with the rows of x.
func Unpack(x *tensor.Tensor, shapes [][]int) ([]*tensor.Tensor, error) {
	n := 0
	out := make([]*tensor.Tensor, len(shapes))
	for i, shape := range shapes {
		n += tensor.Count(shape[1:])
		out[i] = tensor.New(append([]int{x.Dim(0)}, shape[1:]...)...)
	}
	if x.Len() != n*x.Dim(0) {
		return nil, fmt.Errorf("unpacking a nested latent: shape %v has not the values of %v", x.Shape, shapes)
	}
	for b := range x.Dim(0) {
		row := x.Data[b*n : (b+1)*n]
		for _, p := range out {
			row = row[copy(p.Index(b).Data, row):]
		}
	}
	return out, nil
}

// SampleParts is SampleWith for latents that may be nested: with p.Along, the results have a part for p.Latent and one for each of
// those. The network then gets packed latents and Inputs.Parts.
func SampleParts(ctx context.Context, p Params, s *Sampler, sigmas []float32) (latent, denoised []*tensor.Tensor, err error) {
	if err := p.addParts(); err != nil {
		return nil, nil, err
	}
	if len(p.Along) == 0 {
		one, guess, err := SampleWith(ctx, p, s, sigmas)
		return []*tensor.Tensor{one}, []*tensor.Tensor{guess}, err
	}
	if p.Noise != nil {
		return nil, nil, fmt.Errorf("sampling: the noise is a latent of shape %v, the latent to sample is nested", p.Noise.Shape)
	}
	parts := append([]*tensor.Tensor{p.Latent}, p.Along...)
	for _, part := range parts {
		if part == nil {
			return nil, nil, fmt.Errorf("sampling: a part of the nested latent is missing")
		}
		p.parts = append(p.parts, slices.Clone(part.Shape))
	}
	if p.Latent, err = Pack(parts); err != nil {
		return nil, nil, err
	}
	if s == nil {
		return nil, nil, errNoSampler
	}
	if err := p.check(); err != nil || len(sigmas) == 0 {
		return parts, parts, err
	}
	noise, generator := like(p.Latent), NewGenerator(p.Seed)
	if !p.DisableNoise {
		var drawn []*tensor.Tensor
		if drawn, generator, err = drawNested(p.parts, p.Seed, p.BatchIndex); err != nil {
			return nil, nil, err
		}
		if noise, err = Pack(drawn); err != nil {
			return nil, nil, err
		}
	}
	out, guess, err := p.run(ctx, s, sigmas, noise, p.Latent, generator)
	if err != nil {
		return nil, nil, err
	}
	if latent, err = Unpack(out, p.parts); err != nil {
		return nil, nil, err
	}
	denoised, err = Unpack(guess, p.parts)
	return latent, denoised, err
}

// addParts gives an empty latent the further parts of the model's latents. Upstream: LatentFormat.fix_empty_latent.
func (p *Params) addParts() error {
	if len(p.Along) > 0 || p.Format.Along == nil || p.Latent == nil || slices.ContainsFunc(p.Latent.Data, func(v float32) bool { return v != 0 }) {
		return nil
	}
	if err := p.check(); err != nil {
		return err
	}
	first, err := p.fixEmpty()
	if err != nil {
		return err
	}
	p.Latent = first
	for _, shape := range p.Format.Along(first.Shape) {
		p.Along = append(p.Along, tensor.New(shape...))
	}
	return nil
}

// mask returns the run's noise mask at every value of latents of the given shape, or nil. Parts without a mask
// may change all over.
func (p *Params) mask(shape []int) (*tensor.Tensor, error) {
	if p.parts == nil {
		if p.NoiseMask == nil {
			return nil, nil
		}
		return NoiseMask(p.NoiseMask, shape)
	}
	masks := append([]*tensor.Tensor{p.NoiseMask}, p.AlongMasks...)
	if !slices.ContainsFunc(masks, func(m *tensor.Tensor) bool { return m != nil }) {
		return nil, nil
	}
	whole := make([]*tensor.Tensor, len(p.parts))
	for i, shape := range p.parts {
		if i < len(masks) && masks[i] != nil {
			var err error
			if whole[i], err = NoiseMask(masks[i], shape); err != nil {
				return nil, fmt.Errorf("part %d: %w", i, err)
			}
			continue
		}
		whole[i] = tensor.New(shape...)
		for k := range whole[i].Data {
			whole[i].Data[k] = 1
		}
	}
	return Pack(whole)
}

// carried is the factor on the parts after the first; see ModelSampling.Carried.
func (p *Params) carried() float32 {
	if len(p.parts) < 2 {
		return 1
	}
	return p.Model.Carried()
}

// scaleParts returns packed latents with the values of the parts after the first multiplied by a factor.
func (p *Params) scaleParts(x *tensor.Tensor, factor float32) *tensor.Tensor {
	if factor == 1 {
		return x
	}
	out := x.Clone()
	first := tensor.Count(p.parts[0][1:])
	for b := range out.Dim(0) {
		row := out.Index(b).Data
		for i := first; i < len(row); i++ {
			row[i] *= factor
		}
	}
	return out
}
