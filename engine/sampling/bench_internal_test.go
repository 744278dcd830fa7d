package sampling

import (
	"context"
	"testing"

	"comfygo/engine/tensor"
)

// benchShape is a latent of a picture of 1024x1024 with 16 channels.
var benchShape = []int{1, 16, 128, 128}

// BenchmarkSampler measures what a sampler itself costs in a step: its predictions are there already.
func BenchmarkSampler(b *testing.B) {
	const steps = 20
	for _, name := range []string{"euler", "euler_ancestral", "heun", "dpm_2", "dpmpp_2m", "dpmpp_2s_ancestral", "res_multistep", "dpmpp_2m_sde", "dpmpp_sde", "er_sde", "sa_solver", "uni_pc", "seeds_2"} {
		b.Run(name, func(b *testing.B) {
			m, err := NewModelSampling(EPS, Settings{})
			if err != nil {
				b.Fatal(err)
			}
			sigmas, err := Sigmas(m, name, "karras", steps, 1)
			if err != nil {
				b.Fatal(err)
			}
			s, err := NewSampler(name)
			if err != nil {
				b.Fatal(err)
			}
			x := tensor.New(benchShape...)
			NewGenerator(1).Randn(x.Data)
			b.ReportAllocs()
			for b.Loop() {
				r := &Run{
					Denoise: func(context.Context, *tensor.Tensor, float32) (*tensor.Tensor, error) { return x, nil },
					X:       x, Sigmas: append([]float32(nil), sigmas...), Seed: 1, Model: m, Generator: NewGenerator(1),
					Uncond: func() *tensor.Tensor { return x }, Step: func(int, *tensor.Tensor, *tensor.Tensor) {},
				}
				if _, err := s.run(b.Context(), r); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N)/steps, "ms/step")
		})
	}
}

func BenchmarkNoise(b *testing.B) {
	for b.Loop() {
		if _, err := PrepareNoise(benchShape, 1, nil); err != nil {
			b.Fatal(err)
		}
	}
}
