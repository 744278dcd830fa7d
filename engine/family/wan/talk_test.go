package wan_test

import (
	"maps"
	"strings"
	"testing"

	"comfygo/engine/family"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	inner "comfygo/internal/golden"
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

// talkers are a small model and audio layers for it, as testdata/talk.py recorded them.
func talkers(t *testing.T) (*inner.Tensors, family.Denoiser, family.PatchNetwork) {
	t.Helper()
	stored, src := familytest.Recorded(t, "testdata/talk", "wantalk")
	d, _, err := family.Open(family.Default, weights.Sub(src, "model.")).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	p, err := family.Open(family.Default, weights.Sub(src, "patch.")).ModelPatch()
	if err != nil {
		t.Fatal(err)
	}
	if err = p.Fits(d); err != nil {
		t.Fatal(err)
	}
	return stored, d, p
}

// speeches are calls of talkers: the number of speakers and of frames, and where the speakers are.
var speeches = map[string]struct {
	persons, frames int
	scale           float32
	masks           *tensor.Tensor
}{
	"one":   {persons: 1, frames: 9, scale: 0.8},
	"image": {persons: 1, frames: 1, scale: 1},
	// Each token of 3x2 is four of the mask's pixels, the first of which counts.
	"two": {persons: 2, frames: 9, scale: 1, masks: enlarged([]float32{1, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 1})},
}

// enlarged are masks of 3x2 at twice the size, with ones in pixels that do not count.
func enlarged(cells []float32) *tensor.Tensor {
	out := tensor.New(2, 6, 4)
	for i := range out.Data {
		row, column := i/4%6, i%4
		out.Data[i] = 1
		if row%2+column%2 == 0 {
			out.Data[i] = cells[i/24*6+row/2*2+column/2]
		}
	}
	return out
}

// say runs a call of talkers.
func say(t *testing.T, d family.Denoiser, p family.PatchNetwork, run family.Runner, name string, rows int) (*tensor.Tensor, error) {
	t.Helper()
	c := speeches[name]
	made := func(name string, shape ...int) *tensor.Tensor {
		one := golden.Normal("wantalk/"+name, append([]int{1}, shape...)...)
		return sampling.PickRows(one, rows)
	}
	in, err := p.Input(t.Context(), run, family.PatchCall{Audio: golden.Normal("wantalk/windows"+string(rune('0'+c.persons)), c.persons, c.frames, 5, 6)})
	if err != nil {
		return nil, err
	}
	times := []float32{300, 300}
	return d.Predict(t.Context(), run, family.Call{
		X: made("x", 16, (c.frames+3)/4, 6, 4), T: times[:rows], Inputs: sampling.Inputs{List: []sampling.Input{{Name: sampling.InputContext, Value: made("context", 7, 24), Rule: sampling.ByRows}}},
		Attached: []family.Attached{{Net: p, Input: in, Mask: c.masks, Strength: c.scale}},
	})
}

// TestTalkEqualsUpstream compares videos that follow speech; torch's own error in float32 is below 1e-6. Upstream takes one row only: each of several
// equals it.
func TestTalkEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, d, p := talkers(t)
	for name := range maps.Keys(speeches) {
		for rows := 1; rows <= 2; rows++ {
			y, err := say(t, d, p, familytest.Runner{}, name, rows)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			familytest.Compare(t, stored, name, y.Slice(rows-1, rows), golden.Tolerance{RMSRel: 1e-5})
		}
	}
}

func TestTalkCUDA(t *testing.T) {
	t.Parallel()
	_, d, p := talkers(t)
	for _, target := range familytest.Targets(t) {
		for name := range maps.Keys(speeches) {
			run := &dryrun.Runner{Spec: family.Spec{Target: target}}
			if _, err := say(t, d, p, run, name, 1); err != nil || run.Err != nil {
				t.Fatalf("%s: %v, %v", name, err, run.Err)
			}
			for _, g := range run.Graphs {
				cudakernels.Check(t, g)
			}
		}
	}
}

func TestWrongTalk(t *testing.T) {
	t.Parallel()
	_, d, p := talkers(t)
	for name, c := range map[string]struct {
		audio *tensor.Tensor
		want  string
	}{
		"none":    {nil, "connect an audio encoder"},
		"windows": {tensor.New(1, 9, 4, 6), "speech of shape"},
		"frames":  {tensor.New(1, 8, 5, 6), "multiple of 4"},
		"encoder": {tensor.New(1, 9, 5, 7), "Wav2Vec2"},
	} {
		if _, err := p.Input(t.Context(), familytest.Runner{}, family.PatchCall{Audio: c.audio}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	list := []sampling.Input{{Name: sampling.InputContext, Value: tensor.New(1, 7, 24), Rule: sampling.ByRows}}
	for name, c := range map[string]struct {
		attached family.Attached
		further  *tensor.Tensor
		want     string
	}{
		"length":     {attached: family.Attached{Net: p, Input: tensor.New(2, 4, 12)}, want: "3"},
		"masks":      {attached: family.Attached{Net: p, Input: tensor.New(3, 8, 12), Mask: tensor.New(3, 2, 2)}, want: "masks of speakers"},
		"references": {attached: family.Attached{Net: p, Input: tensor.New(3, 4, 12)}, further: tensor.New(1, 16, 1, 6, 4), want: "reference"},
	} {
		in := list
		if c.further != nil {
			in = append(in, sampling.Input{Name: "context0", Value: c.further, Rule: sampling.ByRows})
		}
		_, err := d.Predict(t.Context(), familytest.Runner{}, family.Call{X: tensor.New(1, 16, 3, 6, 4), T: []float32{1}, Inputs: sampling.Inputs{List: in}, Attached: []family.Attached{c.attached}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	_, src := recordedNetwork(t, "text")
	other, _, err := family.Open(family.Default, src).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	if err = p.Fits(other); err == nil || !strings.Contains(err.Error(), "640") {
		t.Errorf("another width: %v", err)
	}
	_, src = recordedNetwork(t, "humo")
	if other, _, err = family.Open(family.Default, src).Diffusion(); err != nil {
		t.Fatal(err)
	}
	if err = p.Fits(other); err == nil || !strings.Contains(err.Error(), "HuMo") {
		t.Errorf("another form: %v", err)
	}
	if _, err := family.Open(family.Default, dryrun.List("audio_proj.proj1.weight 16 30\naudio_proj.proj1_vf.weight 16 30\n")).ModelPatch(); err == nil || !strings.Contains(err.Error(), "windows of 5 and 8") {
		t.Errorf("other windows: %v", err)
	}
}
