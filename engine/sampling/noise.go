package sampling

import (
	"fmt"
	"slices"

	"comfygo/engine/tensor"
)

// maxBatchIndex bounds the rows that are drawn to reach the highest batch index.
const maxBatchIndex = 1 << 16

// PrepareNoise returns normal noise of the given shape, equal to what ComfyUI draws for the seed. With indices, row i is
// the row that element indices[i] of a full batch would get: rows are drawn one by one up to the highest index. It
// fails if the number of indices differs from the number of rows or an index is out of range. Upstream:
// comfy.sample.prepare_noise.
func PrepareNoise(shape []int, seed uint64, indices []int) (*tensor.Tensor, error) {
	out, _, err := drawNoise(shape, seed, indices)
	return out, err
}

// drawNoise is PrepareNoise that gives the generator too: upstream's is torch's own, so later draws without a generator
// continue after the noise.
func drawNoise(shape []int, seed uint64, indices []int) (*tensor.Tensor, *Generator, error) {
	g := NewGenerator(seed)
	out, err := drawFrom(g, shape, indices)
	return out, g, err
}

// drawFrom is drawNoise from a generator that may have drawn before.
func drawFrom(g *Generator, shape []int, indices []int) (*tensor.Tensor, error) {
	out := tensor.New(shape...)
	if len(indices) == 0 {
		g.Randn(out.Data)
		return out, nil
	}
	if len(shape) == 0 || len(indices) != shape[0] {
		return nil, fmt.Errorf("preparing noise: %d batch indices for latents of shape %v", len(indices), shape)
	}
	if low, high := slices.Min(indices), slices.Max(indices); low < 0 || high >= maxBatchIndex {
		return nil, fmt.Errorf("preparing noise: batch indices must lie in [0,%d), got %d to %d", maxBatchIndex, low, high)
	}
	row := make([]float32, tensor.Count(shape[1:]))
	for n := range slices.Max(indices) + 1 {
		g.Randn(row)
		for i, want := range indices {
			if want == n {
				copy(out.Index(i).Data, row)
			}
		}
	}
	return out, nil
}

// NoiseSource gives the noise that a sampler adds on its way from one sigma to a lower one.
type NoiseSource func(sigma, next float32) *tensor.Tensor

// freshNoise returns the source of the ancestral samplers: one draw after another from the generator of seed+1, the
// same for every level. Upstream: k_diffusion.sampling.default_noise_sampler on the CPU.
func freshNoise(shape []int, seed uint64) NoiseSource {
	g := NewGenerator(seed + 1)
	return func(float32, float32) *tensor.Tensor {
		out := tensor.New(shape...)
		g.Randn(out.Data)
		return out
	}
}
