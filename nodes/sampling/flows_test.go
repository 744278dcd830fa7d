package sampling_test

import (
	"math"
	"testing"

	"comfygo/engine"
	"comfygo/engine/dtype"
	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/tests/golden"
)

// Ideogram's levels are quantiles that torch and Go approximate differently, and the nearest to 0 and 1 are differences of near
// numbers: an ulp of 1 counts.
const flowTolerance = 1.2e-7

// TestFlowSchedulesEqualUpstream runs the nodes that make levels for single families.
func TestFlowSchedulesEqualUpstream(t *testing.T) {
	t.Parallel()
	var g struct {
		Cases []struct {
			Class  string         `json:"class"`
			Args   map[string]any `json:"args"`
			Sigmas []float64      `json:"sigmas"`
		} `json:"cases"`
	}
	golden.JSON(t, "schedules/flows", &g)
	for i, c := range g.Cases {
		class, ok := nodes.Default().Get(c.Class)
		if !ok {
			t.Fatalf("there is no class %s", c.Class)
		}
		values := pyjson.NewObject()
		for name, v := range c.Args {
			if name == "latent" {
				var shape []int
				for _, side := range v.([]any) {
					shape = append(shape, int(side.(float64)))
				}
				v = engine.Latent{Samples: tensor.New(shape...)}
			}
			values.Set(name, v)
		}
		got := runClass(t, class, values)[0].([]float32)
		if len(got) != len(c.Sigmas) {
			t.Errorf("case %d, %s %v: %d levels, want %d", i, c.Class, c.Args, len(got), len(c.Sigmas))
			continue
		}
		for k, want := range c.Sigmas {
			if d := math.Abs(float64(got[k]) - want); !(d <= scheduleTolerance*want+flowTolerance) {
				t.Errorf("case %d, %s %v: level %d is %v, want %v", i, c.Class, c.Args, k, got[k], want)
				break
			}
		}
	}
}

// TestModelSamplingLTXVShiftsByTokens: 1024 places have the base shift, 4096 the largest, and so has a model without a latent.
func TestModelSamplingLTXVShiftsByTokens(t *testing.T) {
	t.Parallel()
	model, err := runtime.LoadModel(golden.Checkpoint(t, "sd15-small"), dtype.Invalid)
	if err != nil {
		t.Fatal(err)
	}
	class, _ := nodes.Default().Get("ModelSamplingLTXV")
	for _, c := range []struct {
		shape []int
		shift float64
	}{{[]int{1, 128, 4, 16, 16}, 0.95}, {[]int{1, 128, 4, 32, 32}, 2.05}, {nil, 2.05}, {[]int{1, 128, 1, 32, 80}, 1.5}} {
		values := pyjson.NewObject("model", model)
		if c.shape != nil {
			values.Set("latent", engine.Latent{Samples: tensor.New(c.shape...)})
		}
		sampling := runClass(t, class, values)[0].(*engine.Model).Sampling()
		// Half way, a flow shifted by s is at exp(s)/(exp(s)+1).
		want := 1 / (1 + math.Exp(-c.shift))
		if got := sampling.PercentToSigma(0.5); !sampling.Flow() || math.Abs(got-want) > 1e-6 {
			t.Errorf("latents of %v: half way is at %v, want %v", c.shape, got, want)
		}
	}
}
