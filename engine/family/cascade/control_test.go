package cascade_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/family"
	"comfygo/engine/family/familytest"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/warning"
	"comfygo/engine/weights"
	"comfygo/tests/golden"
)

func openControl(t *testing.T, src weights.Source) family.ControlNetwork {
	t.Helper()
	n, err := family.Open(family.Default, src).Control()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestControlNetsEqualUpstream compares what both kinds of ControlNets add to blocks 0, 8 and 63.
func TestControlNetsEqualUpstream(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		x    *tensor.Tensor
		hint family.Hint
	}{
		"control": {golden.Normal("cascade/pixels", 1, 3, 64, 96), family.Hint{Channels: 3, Scale: 32, Multiple: 8, Method: "bilinear"}},
		"large":   {golden.Normal("cascade/latent", 1, 4, 8, 16), family.Hint{Channels: 4, Scale: 1, Multiple: 8}},
	} {
		stored, src := familytest.Recorded(t, "testdata/"+name, "cascade")
		n := openControl(t, src)
		if h := n.Hint(); h.Channels != c.hint.Channels || h.Scale != c.hint.Scale || h.Multiple != c.hint.Multiple || h.Method != c.hint.Method {
			t.Errorf("%s: the hint is %+v, want %+v", name, h, c.hint)
		}
		r, err := n.Residuals(t.Context(), familytest.Runner{}, family.ControlCall{Hint: c.x})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if places := fmt.Sprint(family.Places(r.Input, 100)); places != "[0 4 8 12 51 55 59 63]" {
			t.Errorf("%s: it adds to %s", name, places)
			continue
		}
		var all []float32
		for _, block := range []int{0, 8, 63} {
			all = append(all, r.Input[block].Data...)
		}
		shape := append([]int{1, 36}, r.Input[0].Shape[2:]...)
		familytest.Compare(t, stored, "out", &tensor.Tensor{Shape: shape, Data: all}, tolerance)
	}
}

// steering are residuals of another size than the latent, as record.py has them.
func steering() *family.Residuals {
	input := make([]*tensor.Tensor, 64)
	for _, i := range []int{0, 4, 8, 12, 51, 55, 59, 63} {
		input[i] = golden.Normal(fmt.Sprintf("cascade/control%d", i), 2, 64, 3, 4)
	}
	return &family.Residuals{Input: input}
}

// TestSteeredEqualsUpstream compares a call of stage C that a ControlNet steers: the model has 14 residual blocks, so that four
// of the eight residuals count.
func TestSteeredEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/steered", "cascade")
	d := open(t, src)
	call := family.Call{
		X: golden.Normal("cascade/x", 2, 16, 5, 6), T: []float32{0.3, 0.8}, Inputs: sampling.Inputs{List: inputsC()}, Residuals: steering(),
	}
	if err := d.(family.Steered).CheckResiduals(call.Residuals); err != nil {
		t.Fatal(err)
	}
	y, err := d.Predict(t.Context(), familytest.Runner{}, call)
	if err != nil {
		t.Fatal(err)
	}
	familytest.Compare(t, stored, "out", y, tolerance)
}

// TestControlOfOthers: stage B does not support ControlNets and returns an error; inputs that do not fit return errors that
// name them.
func TestControlOfOthers(t *testing.T) {
	t.Parallel()
	var told []string
	ctx := warning.With(t.Context(), func(text string) { told = append(told, text) })
	b := open(t, recorded(t, "b"))
	call := family.Call{X: golden.Normal("cascade/x", 2, 4, 12, 10), T: []float32{0.3, 0.8}, Inputs: sampling.Inputs{List: inputsB()}}
	plain, err := b.Predict(ctx, familytest.Runner{}, call)
	if err != nil || len(told) > 0 {
		t.Fatal(err, told)
	}
	call.Residuals = steering()
	if err := b.(family.Steered).CheckResiduals(call.Residuals); err != nil {
		t.Error(err)
	}
	y, err := b.Predict(ctx, familytest.Runner{}, call)
	if err != nil || len(told) != 1 || !strings.Contains(told[0], "no effect on stage B") {
		t.Errorf("%v, told %q", err, told)
	}
	if !slices.Equal(y.Data, plain.Data) {
		t.Error("a ControlNet changes stage B")
	}
	c := open(t, recorded(t, "c")).(family.Steered)
	for name, r := range map[string]*family.Residuals{
		"another width": {Input: []*tensor.Tensor{tensor.New(1, 320, 8, 8)}}, "a middle": {Middle: tensor.New(1, 64, 8, 8)},
	} {
		if err := c.CheckResiduals(r); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if n, err := family.Open(family.Default, familytest.Without(recorded(t, "control"), "projections")).Control(); err == nil {
		t.Errorf("without projections it is %T", n)
	}
	n := openControl(t, recorded(t, "control"))
	other := open(t, recorded(t, "c"))
	if _, err := n.Residuals(t.Context(), familytest.Runner{}, family.ControlCall{Hint: tensor.New(1, 3, 64, 64), Call: family.Call{}, Model: foreign{other}}); err == nil {
		t.Error("a model of another family is steered")
	}
}

// foreign is a model of another family.
type foreign struct{ family.Denoiser }
