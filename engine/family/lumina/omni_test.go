package lumina_test

import (
	"fmt"
	"strings"
	"testing"

	"comfygo/engine/family"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

// referenceImages are the latents, texts and encodings of the recorded calls.
func referenceImages(rows, texts, encodings int) map[string]any {
	some := func(name string, shape ...int) *tensor.Tensor {
		return golden.Normal("lumina/"+name, append([]int{2}, shape...)...).Slice(0, rows)
	}
	refs := []any{some("ref0", 16, 4, 6), some("ref1", 16, 14, 12)}
	values := map[string]any{sampling.KeyReferences: refs}
	var list, seen []any
	for i, n := range []int{3, 33, 5, 2}[:texts] {
		list = append(list, some(fmt.Sprintf("text%d", i), n, 16))
	}
	for i, size := range [][2]int{{4, 3}, {5, 8}}[:encodings] {
		x := some(fmt.Sprintf("seen%d", i), size[0], size[1], 24)
		seen = append(seen, family.ImageEncoding{Last: &tensor.Tensor{Shape: []int{rows, size[0] * size[1], 24}, Data: x.Data}, Rows: size[0], Columns: size[1]})
	}
	if list != nil {
		values[sampling.KeyReferenceText] = list
	}
	if seen != nil {
		values[sampling.KeyVisionOutputs] = seen
	}
	return values
}

// TestReferencesEqualUpstream compares calls with reference images; torch's own error in float32 is about 1e-6.
func TestReferencesEqualUpstream(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file, name             string
		rows, texts, encodings int
	}{{"refs", "plain", 2, 0, 0}, {"refs", "texts", 1, 4, 0}, {"omni", "plain", 2, 1, 0}, {"omni", "seen", 1, 4, 2}} {
		stored, src := familytest.Recorded(t, "testdata/"+c.file, "lumina")
		d, fam, err := family.Open(family.Default, src).Diffusion()
		if err != nil || fam.Name() != "Z-Image" {
			t.Fatalf("%v, %v", fam, err)
		}
		cond := &sampling.Cond{Tokens: golden.Normal("lumina/context", 2, 5, 16).Slice(0, c.rows), Values: referenceImages(c.rows, c.texts, c.encodings)}
		cond = cond.Watched()
		in, err := d.Inputs(cond, sampling.Request{Format: sampling.LatentFormat{Scale: 1}})
		if err != nil {
			t.Fatal(err)
		}
		if unread := cond.Unread(); len(unread) > 0 {
			t.Errorf("%s: %v were not read", c.name, unread)
		}
		call := family.Call{X: golden.Normal("lumina/latent", 2, 16, 5, 8).Slice(0, c.rows), T: []float32{0.3, 0.8}[:c.rows], Inputs: sampling.Inputs{List: in}}
		y, err := d.Predict(t.Context(), familytest.Runner{}, call)
		if err != nil {
			t.Fatal(err)
		}
		familytest.Compare(t, stored, c.name, y, golden.Tolerance{RMSRel: 1e-5})
		for _, target := range familytest.Targets(t) {
			run := &dryrun.Runner{Spec: family.Spec{Target: target}}
			d, _, err := family.Open(family.Default, familytest.Stored(src, target.Compute)).Diffusion()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := d.Predict(t.Context(), run, call); err != nil || len(run.Graphs) != 1 {
				t.Fatalf("for CUDA: %d graphs, %v", len(run.Graphs), err)
			}
			cudakernels.Check(t, run.Graphs[0])
		}
		call.Attached = []family.Attached{{}}
		if _, err := d.Predict(t.Context(), familytest.Runner{}, call); err == nil || !strings.Contains(err.Error(), "cannot be combined") {
			t.Errorf("with a model patch: %v", err)
		}
	}
}

// TestWrongReferences passes invalid reference images.
func TestWrongReferences(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/omni", "lumina")
	d, _, err := family.Open(family.Default, src).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]map[string]any{
		"16 values a token":     {sampling.KeyReferenceText: []any{tensor.New(1, 3, 8)}},
		"take SigLIP 2":         {sampling.KeyVisionOutputs: []any{family.ImageEncoding{Last: tensor.New(1, 12, 8), Rows: 4, Columns: 3}}},
		"sizes that 2 divides":  {sampling.KeyReferences: []any{tensor.New(2, 16, 5, 4)}},
		"is no latent":          {sampling.KeyReferences: []any{1}},
		"is of type int":        {sampling.KeyVisionOutputs: 1},
		"are of type int":       {sampling.KeyReferenceText: 1},
		"the model reads 16 ch": {sampling.KeyReferences: []any{tensor.New(2, 4, 4, 4)}},
	} {
		cond := &sampling.Cond{Tokens: golden.Normal("lumina/context", 2, 5, 16), Values: map[string]any{sampling.KeyReferences: []any{tensor.New(2, 16, 4, 4)}}}
		for k, v := range change {
			cond.Values[k] = v
		}
		in, err := d.Inputs(cond, sampling.Request{Format: sampling.LatentFormat{Scale: 1}})
		if err == nil {
			_, err = d.Predict(t.Context(), familytest.Runner{}, family.Call{X: tensor.New(2, 16, 4, 4), T: []float32{0.3, 0.8}, Inputs: sampling.Inputs{List: in}})
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	// unCLIPConditioning carries encodings, too.
	cond := &sampling.Cond{Tokens: golden.Normal("lumina/context", 2, 5, 16), Values: referenceImages(2, 4, 0)}
	seen := referenceImages(2, 4, 2)[sampling.KeyVisionOutputs].([]any)
	cond.Values[sampling.KeyUnCLIP] = []any{map[string]any{sampling.KeyVisionOutput: seen[0]}, map[string]any{"strength": 1.0}}
	if in, err := d.Inputs(cond, sampling.Request{Format: sampling.LatentFormat{Scale: 1}}); err != nil || len(in) != 1+2+4+1 {
		t.Errorf("%d inputs, %v", len(in), err)
	}
}
