package sampling

import (
	"context"
	"strings"
	"testing"
	"time"

	"comfygo/engine/tensor"
	"comfygo/tests/usage"
)

// benchShape is a latent of an image of 1024x1024 with 16 channels.
var benchShape = []int{1, 16, 128, 128}

// benchSteps is the number of steps of a benchmark's run.
const benchSteps = 20

// benchRun returns a run with precomputed predictions.
func benchRun(tb testing.TB, name string, x *tensor.Tensor) (*Sampler, func()) {
	tb.Helper()
	return benchRunOn(tb, name, x, func(context.Context, *tensor.Tensor, float32) (*tensor.Tensor, error) { return x, nil })
}

// benchRunOn is benchRun with predictions of choice.
func benchRunOn(tb testing.TB, name string, x *tensor.Tensor, predict Denoise) (*Sampler, func()) {
	tb.Helper()
	m, err := NewModelSampling(EPS, Settings{})
	if err != nil {
		tb.Fatal(err)
	}
	sigmas, err := Sigmas(m, name, "karras", benchSteps, 1)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := NewSampler(name)
	if err != nil {
		tb.Fatal(err)
	}
	return s, func() {
		r := &Run{
			Denoise: predict, X: x, Sigmas: append([]float32(nil), sigmas...), Seed: 1, Model: m, Generator: NewGenerator(1),
			Uncond: func() *tensor.Tensor { return x }, Step: func(int, *tensor.Tensor, *tensor.Tensor) {},
		}
		if _, err := s.run(tb.Context(), r); err != nil {
			tb.Fatal(err)
		}
	}
}

// BenchmarkSampler measures what a sampler itself costs in a step: its predictions are there already. The CPU's time is what
// other work on the machine changes least.
func BenchmarkSampler(b *testing.B) {
	x := tensor.New(benchShape...)
	NewGenerator(1).Randn(x.Data)
	for _, name := range SamplerNames() {
		b.Run(name, func(b *testing.B) {
			_, run := benchRun(b, name, x)
			b.ReportAllocs()
			before := usage.CPU()
			for b.Loop() {
				run()
			}
			b.ReportMetric((usage.CPU()-before).Seconds()*1000/float64(b.N)/benchSteps, "cpu-ms/step")
			b.ReportMetric(b.Elapsed().Seconds()*1000/float64(b.N)/benchSteps, "ms/step")
		})
	}
}

// instant is a network that has its answer ready.
type instant struct{ out *tensor.Tensor }

func (n *instant) Predict(_ context.Context, x *tensor.Tensor, _ []float32, _ Inputs) (*tensor.Tensor, error) {
	if n.out == nil || n.out.Dim(0) != x.Dim(0) {
		n.out = like(x)
		NewGenerator(1).Randn(n.out.Data)
	}
	return n.out, nil
}

// BenchmarkRun measures what a whole run costs in a step besides the network: sampler, guidance by two prompts, checks.
func BenchmarkRun(b *testing.B) {
	m, err := NewModelSampling(EPS, Settings{})
	if err != nil {
		b.Fatal(err)
	}
	tokens := []Cond{{Tokens: tensor.New(1, 77, 768)}}
	p := Params{
		Network: &instant{}, Model: m, Format: LatentFormat{Channels: benchShape[1], Scale: 1, Downscale: 8}, Positive: tokens, Negative: tokens, CFG: 7,
		Latent: tensor.New(benchShape...), Seed: 1, Steps: benchSteps, Sampler: "euler", Scheduler: "normal", Denoise: 1,
	}
	b.ReportAllocs()
	before := usage.CPU()
	for b.Loop() {
		if _, err := Sample(b.Context(), p); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((usage.CPU()-before).Seconds()*1000/float64(b.N)/benchSteps, "cpu-ms/step")
}

// BenchmarkSamplerBesideModel measures how long a sampler keeps a network waiting that takes its time elsewhere, as one on a GPU
// does: noise is drawn meanwhile.
func BenchmarkSamplerBesideModel(b *testing.B) {
	const busy = 40 * time.Millisecond
	x := tensor.New(benchShape...)
	NewGenerator(1).Randn(x.Data)
	for _, name := range []string{"euler", "dpmpp_2m", "euler_ancestral", "seeds_2", "dpmpp_2m_sde", "dpmpp_3m_sde", "dpmpp_sde"} {
		b.Run(name, func(b *testing.B) {
			var waited time.Duration
			_, run := benchRunOn(b, name, x, func(context.Context, *tensor.Tensor, float32) (*tensor.Tensor, error) {
				start := time.Now()
				time.Sleep(busy)
				waited += time.Since(start)
				return x, nil
			})
			for b.Loop() {
				run()
			}
			b.ReportMetric((b.Elapsed()-waited).Seconds()*1000/float64(b.N)/benchSteps, "own-ms/step")
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
