package qwenimage_test

import (
	"os"
	"testing"

	"comfygo/engine/family"
	"comfygo/engine/family/familytest"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// TestLayeredEqualsUpstream runs a model of layers on the CPU, also with a reference latent; torch's own error in float32 is about 1e-6.
func TestLayeredEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/layered", "layered")
	m, _ := open(t, src)
	x := golden.Normal("layered/x", 1, 16, 3, 4, 6)
	for name, refs := range map[string][]*tensor.Tensor{"layers": nil, "reference": {golden.Normal("layered/ref", 1, 16, 1, 4, 6)}} {
		c := &sampling.Cond{Tokens: golden.Normal("layered/context", 1, 5, 24), Values: map[string]any{}}
		f := m.Latent()
		f.Scale, f.Mean, f.Deviation = 1, nil, nil // references are given as the network reads them
		if refs != nil {
			c.Values[sampling.KeyReferences] = []any{refs[0]}
		}
		in, err := m.Inputs(c, sampling.Request{Shape: x.Shape, Format: f})
		if err != nil {
			t.Fatal(err)
		}
		y, err := m.Predict(t.Context(), familytest.Runner{}, family.Call{X: x, T: []float32{0.3}, Inputs: sampling.Inputs{List: in}})
		if err != nil {
			t.Fatal(err)
		}
		familytest.Compare(t, stored, name, y, golden.Tolerance{RMSRel: 1e-5})
	}
}
