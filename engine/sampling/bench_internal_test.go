package sampling

import (
	"context"
	"strings"
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

// TestStepsDoNotAllocateMoreAndMore compares the allocations of later steps with those of earlier ones. It is not parallel: others'
// allocations would count.
func TestStepsDoNotAllocateMoreAndMore(t *testing.T) {
	m, err := NewModelSampling(EPS, Settings{})
	if err != nil {
		t.Fatal(err)
	}
	x := tensor.New(1, 4, 8, 8)
	NewGenerator(1).Randn(x.Data)
	for _, s := range samplers {
		if strings.HasPrefix(s.name, "dpm_") && s.name != "dpm_2" {
			continue // chooses its own steps
		}
		allocs := func(steps int) float64 {
			sigmas, err := Sigmas(m, s.name, "karras", steps, 1)
			if err != nil {
				t.Fatal(err)
			}
			return testing.AllocsPerRun(1, func() {
				r := &Run{
					Denoise: func(context.Context, *tensor.Tensor, float32) (*tensor.Tensor, error) { return x, nil },
					X:       x, Sigmas: append([]float32(nil), sigmas...), Seed: 1, Model: m, Generator: NewGenerator(1),
					Uncond: func() *tensor.Tensor { return x }, Step: func(int, *tensor.Tensor, *tensor.Tensor) {},
				}
				if _, err := s.run(t.Context(), r); err != nil {
					t.Fatal(err)
				}
			})
		}
		ten, twenty, forty := allocs(10), allocs(20), allocs(40)
		early, late := (twenty-ten)/10, (forty-twenty)/20
		// The Brownian path is cut deeper the closer its steps are.
		if late > 1.3*early+2 {
			t.Errorf("%s: a step takes %.1f allocations early and %.1f late", s.name, early, late)
		}
	}
}
