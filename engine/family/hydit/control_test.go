package hydit_test

import (
	"os"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// recordedCall is the call of testdata/record.py, by the inputs of a model.
func recordedCall(t *testing.T, m family.Denoiser) family.Call {
	t.Helper()
	mask := func(n int, ones ...int) *tensor.Tensor {
		x := tensor.New(len(ones), n)
		for i, count := range ones {
			for j := range count {
				x.Index(i).Data[j] = 1
			}
		}
		return x
	}
	in, err := m.Inputs(&sampling.Cond{Tokens: golden.Normal("hydit/context", 2, 6, 24), Values: map[string]any{
		"conditioning_mt5xl": golden.Normal("hydit/wide", 2, 8, 16), sampling.KeyAttentionMask: mask(6, 6, 3), "attention_mask_mt5xl": mask(8, 5, 8),
	}}, sampling.Request{Format: m.Latent()})
	if err != nil {
		t.Fatal(err)
	}
	return family.Call{X: golden.Normal("hydit/x", 2, 4, 6, 5), T: []float32{900, 300}, Inputs: sampling.Inputs{List: in}}
}

// TestControlEqualsUpstream compares the residuals of a ControlNet, and a prediction with residuals; torch's own error in float32 is
// about 1e-6.
func TestControlEqualsUpstream(t *testing.T) {
	t.Parallel()
	steered, src := familytest.Recorded(t, "testdata/steered", "hydit")
	m, _, err := family.Open(family.Default, src).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	call := recordedCall(t, m)
	stored, src := familytest.Recorded(t, "testdata/control", "hydit")
	n, err := family.Open(family.Default, src).Control()
	if err != nil || n.Steers() != "Hunyuan-DiT" || n.Hint().Latent.Channels != 4 {
		t.Fatalf("%v, %v", n, err)
	}
	control := family.ControlCall{Call: call, Hint: golden.Normal("hydit/hint", 2, 4, 6, 5), Model: m}
	r, err := n.Residuals(t.Context(), familytest.Runner{}, control)
	if err != nil || len(r.Output) != 19 {
		t.Fatal(err)
	}
	familytest.Compare(t, stored, "first", r.Output[0], golden.Tolerance{RMSRel: 1e-5})
	familytest.Compare(t, stored, "last", r.Output[18], golden.Tolerance{RMSRel: 1e-5})

	call.Residuals = &family.Residuals{Output: []*tensor.Tensor{golden.Normal("hydit/residual0", 2, 9, 128), golden.Normal("hydit/residual1", 2, 9, 128)}}
	y, err := m.Predict(t.Context(), familytest.Runner{}, call)
	if err != nil {
		t.Fatal(err)
	}
	familytest.Compare(t, steered, "out", y, golden.Tolerance{RMSRel: 1e-5})
	for _, target := range familytest.Targets(t) {
		run := &dryrun.Runner{Spec: family.Spec{Target: target}}
		if _, err := n.Residuals(t.Context(), run, control); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Predict(t.Context(), run, call); err != nil {
			t.Fatal(err)
		}
		for _, g := range run.Graphs {
			cudakernels.Check(t, g)
		}
	}
}

// TestWrongControl passes files, models and residuals that do not fit.
func TestWrongControl(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/control", "hydit")
	n, err := family.Open(family.Default, src).Control()
	if err != nil {
		t.Fatal(err)
	}
	if _, fam, err := family.Open(family.Default, src).Diffusion(); err == nil {
		t.Errorf("read as a model of %s", fam.Name())
	}
	_, src = familytest.Recorded(t, "testdata/steered", "hydit")
	m, _, err := family.Open(family.Default, src).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	call := recordedCall(t, m)
	other := familytest.Model(t, "sd35-small", dtype.Invalid)
	for want, c := range map[string]family.ControlCall{
		"for a model of Hunyuan-DiT": {Call: call, Model: other, Hint: tensor.New(2, 4, 6, 5)},
		"the hint's latent":          {Call: call, Model: m, Hint: tensor.New(2, 4, 8, 8)},
		"text encoding":              {Call: family.Call{X: call.X, T: call.T}, Model: m, Hint: tensor.New(2, 4, 6, 5)},
	} {
		if _, err := n.Residuals(t.Context(), familytest.Runner{}, c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	some := tensor.New(2, 9, 128)
	for want, r := range map[string]*family.Residuals{
		"the model has 2":   {Output: []*tensor.Tensor{some}},
		"of other families": {Middle: some},
		"width 8":           {Output: []*tensor.Tensor{tensor.New(2, 9, 8), some}},
	} {
		if err := m.(family.Steered).CheckResiduals(r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
