package nn_test

import (
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/nn"
)

func TestTargetFor(t *testing.T) {
	t.Parallel()
	cases := []struct {
		in   nn.TargetOptions
		want nn.Target
	}{
		{nn.TargetOptions{}, nn.Target{Compute: dtype.F32}},
		{nn.TargetOptions{Compute: dtype.BF16, Block: 16, MapWeights: true, Weights: dtype.F8E4M3}, nn.Target{Compute: dtype.F32, Block: 16, Lean: true, Weights: dtype.F8E4M3}},
		{nn.TargetOptions{Linear: true, Int8: true}, nn.Target{Compute: dtype.F32, Linear: true, Int8: true}},
		{nn.TargetOptions{Int8: true}, nn.Target{Compute: dtype.F32}},
		{nn.TargetOptions{Linear: true, Bfloat16: true}, nn.Target{Compute: dtype.F32, Linear: true, Bfloat16: true}},
		{nn.TargetOptions{Bfloat16: true}, nn.Target{Compute: dtype.F32}},
		{nn.TargetOptions{CUDA: true, Linear: true, Bfloat16: true}, nn.Target{CUDA: true, Compute: dtype.F16}},
		{nn.TargetOptions{CUDA: true, Linear: true, Int8: true}, nn.Target{CUDA: true, Compute: dtype.F16}},
		{nn.TargetOptions{CUDA: true}, nn.Target{CUDA: true, Compute: dtype.F16}},
		{nn.TargetOptions{CUDA: true, Compute: dtype.F32, Block: 16, MapWeights: true, Weights: dtype.F8E5M2}, nn.Target{CUDA: true, Compute: dtype.F32, Weights: dtype.F8E5M2}},
	}
	for _, c := range cases {
		if got, err := nn.TargetFor(c.in); err != nil || got != c.want {
			t.Errorf("%+v: got %+v, %v, want %+v", c.in, got, err, c.want)
		}
	}
	if _, err := nn.TargetFor(nn.TargetOptions{CUDA: true, Compute: dtype.F8E4M3}); err == nil {
		t.Error("float8 activations were accepted")
	}
}
