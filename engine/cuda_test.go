package engine_test

import (
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/dtype"
	"comfygo/engine/ort"
	"comfygo/engine/sampling"
	"comfygo/tests/golden"
)

// TestCUDAGraph checks the graphs that are written for a GPU against upstream's float32 results, run on the CPU. The
// float16 bound is the error of torch's own float16 on this model (1.8e-3). The bfloat16 graph, whose group norms and
// upsamplings have a form of their own, is run with float32 in place of bfloat16, and held to the bound of float32.
func TestCUDAGraph(t *testing.T) {
	t.Parallel()
	stored := golden.Load(t, "forward/sd15", nil)
	m, err := shared.LoadModel(golden.Checkpoint(t, "sd15-small"), dtype.Invalid)
	if err != nil {
		t.Fatal(err)
	}
	cond := golden.Normal("fwd/sd15/public/0/c", 1, 77, 768)
	for _, c := range []struct {
		compute dtype.DType
		rms     float64
	}{{dtype.F32, 1.5e-5}, {dtype.F16, 1.8e-3}, {dtype.BF16, 1.5e-5}} {
		t.Run(c.compute.String(), func(t *testing.T) {
			t.Parallel()
			got, err := engine.PredictWithCUDAGraph(t.Context(), m, c.compute, stored.Get(t, "f0/1.x"), stored.Get(t, "f0/1.timestep").Data, cond)
			if err != nil {
				t.Fatal(err)
			}
			golden.Compare(t, "f0/1.out", got.Data, stored.Get(t, "f0/1.out").Data, golden.Tolerance{RMSRel: c.rms})
		})
	}
}

// TestCUDAWithoutGPU requests a GPU on a machine without one: loading works, and running returns the reason of its failure.
func TestCUDAWithoutGPU(t *testing.T) {
	if lib, err := shared.OpenLibrary(); err != nil {
		t.Fatal(err)
	} else if lib.CheckCUDA(t.Context(), 0) == nil {
		t.Log("there is a GPU: nothing to refuse")
		return
	}
	rt := shared.OnDevice(ort.Device{Kind: ort.CUDA})
	t.Cleanup(rt.FreeModels)
	m, err := rt.LoadModel(golden.Checkpoint(t, "sd15-small"), dtype.Invalid)
	if err != nil {
		t.Fatal(err)
	}
	stored := golden.Load(t, "forward/sd15", nil)
	x := stored.Get(t, "f0/0.x")
	_, err = m.Predict(t.Context(), x, []float32{1}, sampling.Text(golden.Normal("c", 1, 77, 768)))
	if err == nil || !strings.Contains(strings.ToLower(err.Error()), "cuda") {
		t.Fatalf("got %v, want an error that speaks of CUDA", err)
	}
}
