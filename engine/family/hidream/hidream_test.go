package hidream_test

import (
	"slices"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/tests/cudakernels"
)

func open(t *testing.T, stored dtype.DType) family.Denoiser {
	t.Helper()
	d, fam, err := family.Open(family.Default, familytest.Manifest(t, "mod-hidream", stored)).Diffusion()
	if err != nil || fam.Name() != "HiDream I1" {
		t.Fatalf("%v, %v", fam, err)
	}
	return d
}

func cond() *sampling.Cond {
	return &sampling.Cond{Tokens: tensor.New(1, 5, 192), Pooled: tensor.New(1, 96), Values: map[string]any{"conditioning_llama3": tensor.New(1, 3, 4, 160)}}
}

func TestDetection(t *testing.T) {
	t.Parallel()
	d := open(t, dtype.F16)
	kind, s := d.Sampling()
	if kind != sampling.Flow || s != (sampling.Settings{}) || d.Latent().Channels != 16 {
		t.Errorf("%v %+v, %+v", kind, s, d.Latent())
	}
	if _, _, err := family.Open(family.Default, dryrun.List("caption_projection.0.linear.weight 8 8\n")).Diffusion(); err == nil {
		t.Error("a file without blocks is read")
	}
}

// predict builds the graph of a call.
func predict(t *testing.T, d family.Denoiser, c *sampling.Cond, spec family.Spec) (*tensor.Tensor, *dryrun.Runner, error) {
	t.Helper()
	x := tensor.New(1, 16, 9, 6)
	in, err := d.Inputs(c, sampling.Request{Shape: x.Shape, Format: d.Latent()})
	if err != nil {
		t.Fatal(err)
	}
	run := &dryrun.Runner{Spec: spec}
	y, err := d.Predict(t.Context(), run, family.Call{X: x, T: []float32{500}, Inputs: sampling.Inputs{List: in}})
	return y, run, err
}

// TestCUDA writes the graphs by hand: the kinds of text that the model reads are none that can be found by trying.
func TestCUDA(t *testing.T) {
	t.Parallel()
	for _, stored := range []dtype.DType{dtype.F32, dtype.F16, dtype.BF16} {
		d := open(t, stored)
		for _, target := range familytest.Targets(t) {
			_, run, err := predict(t, d, cond(), family.Spec{Target: target})
			if err != nil || len(run.Graphs) != 1 {
				t.Fatalf("%v, %d graphs", err, len(run.Graphs))
			}
			cudakernels.Check(t, run.Graphs[0])
		}
	}
}

// TestEdit reads an image beside the noisy latent.
func TestEdit(t *testing.T) {
	t.Parallel()
	d, spec := open(t, dtype.F16), family.Spec{Target: familytest.Targets(t)[0]}
	c := cond()
	c.Values[sampling.KeyConcatLatent] = tensor.New(1, 16, 9, 4)
	y, run, err := predict(t, d, c, spec)
	if err != nil || run.Err != nil || !slices.Equal(y.Shape, []int{1, 16, 9, 6}) {
		t.Errorf("%v, %v", err, run.Err)
	}
	c.Values[sampling.KeyConcatLatent] = tensor.New(1, 16, 8, 4)
	if _, _, err := predict(t, d, c, spec); err == nil {
		t.Error("an image of another height: no error")
	}
}

func TestWrongInputs(t *testing.T) {
	t.Parallel()
	d, spec := open(t, dtype.F16), family.Spec{Target: familytest.Targets(t)[0]}
	if _, err := d.Inputs(&sampling.Cond{Tokens: tensor.New(1, 5, 192)}, sampling.Request{}); err == nil {
		t.Error("no pooled encoding: no error")
	}
	for name, change := range map[string]func(c *sampling.Cond){
		"text":   func(c *sampling.Cond) { c.Tokens = tensor.New(1, 5, 100) },
		"pooled": func(c *sampling.Cond) { c.Pooled = tensor.New(1, 95) },
		"layers": func(c *sampling.Cond) { c.Values["conditioning_llama3"] = tensor.New(1, 3, 4, 16) },
	} {
		c := cond()
		change(c)
		if _, _, err := predict(t, d, c, spec); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestLoRAKeys(t *testing.T) {
	t.Parallel()
	var keys patch.KeyMap
	open(t, dtype.F16).(family.Adaptable).LoRAKeys(&keys, "diffusion_model.")
	const layer = "double_stream_blocks.0.block.attn1.to_q_t"
	for _, name := range []string{"transformer." + layer, "lycoris_double_stream_blocks_0_block_attn1_to_q_t", "diffusion_model." + layer} {
		if got, ok := keys.Lookup(name); !ok || got.Key != "diffusion_model."+layer+".weight" {
			t.Errorf("%s stands for %+v", name, got)
		}
	}
}
