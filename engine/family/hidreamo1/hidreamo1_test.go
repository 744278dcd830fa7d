package hidreamo1_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/hidreamo1"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// some are every 97th of the values of an image.
func some(x *tensor.Tensor) *tensor.Tensor {
	out := &tensor.Tensor{}
	for i := 0; i < len(x.Data); i += 97 {
		out.Data = append(out.Data, x.Data[i])
	}
	out.Shape = []int{len(out.Data)}
	return out
}

func prompt() *tensor.Tensor {
	return &tensor.Tensor{Shape: []int{1, 9}, Data: []float32{3, 7, 11, 40, 41, 42, 43, 5, 151673}}
}

func predict(t *testing.T, d family.Denoiser, run family.Runner, images ...any) (*tensor.Tensor, error) {
	t.Helper()
	cond := &sampling.Cond{Values: map[string]any{"text_input_ids": prompt(), "reference_latents": images}}
	in, err := d.Inputs(cond, sampling.Request{Format: d.Latent()})
	if err != nil {
		t.Fatal(err)
	}
	return d.Predict(t.Context(), run, family.Call{X: golden.Normal("hidreamo1/x", 2, 3, 96, 128), T: []float32{300, 800}, Inputs: sampling.Inputs{List: in}})
}

// TestEqualsUpstream compares predictions from text, and with one and two reference images. These are resized and read by the vision tower,
// which costs a few digits.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/hidreamo1", "hidreamo1")
	d, fam, err := family.Open(family.Default, src).Diffusion()
	if err != nil || fam.Name() != "HiDream O1" {
		t.Fatalf("%v, %v", fam, err)
	}
	one, two := golden.Image("hidreamo1/one", 1, 90, 140, 3), golden.Image("hidreamo1/two", 1, 300, 120, 3)
	for name, images := range map[string][]any{"text": nil, "one": {one}, "two": {one, two}} {
		y, err := predict(t, d, familytest.Runner{}, images...)
		if err != nil {
			t.Fatal(name, err)
		}
		familytest.Compare(t, stored, name, some(y), golden.Tolerance{RMSRel: 1e-4})
	}
	if d.Memory([]int{1, 3, 512, 512}, 40) <= 0 {
		t.Error("no estimate of memory")
	}
	if kind, s := d.Sampling(); kind != sampling.Flow || s.Shift != 3 || s.NoiseScale != 8 {
		t.Errorf("sampling %v %+v", kind, s)
	}
}

// TestSmoothing compares smoothed predictions of a function that knows the places of patches.
func TestSmoothing(t *testing.T) {
	t.Parallel()
	stored, _ := familytest.Recorded(t, "testdata/hidreamo1", "hidreamo1")
	four := [][2]int{{-8, -8}, {8, -8}, {-8, 8}, {8, 8}}
	two := [][2]int{{0, 0}, {16, 16}}
	eight := [][2]int{{0, 0}, {16, 0}, {0, 16}, {16, 16}, {8, 8}, {24, 8}, {8, 24}, {24, 24}}
	for name, c := range map[string]struct {
		s  hidreamo1.Smoothing
		at float32
	}{
		"average": {hidreamo1.Smoothing{Start: 1000, Levels: [][][2]int{two}, Blend: "average", Strength: 1}, 500},
		"window":  {hidreamo1.Smoothing{Start: 1000, Levels: [][][2]int{four}, Blend: "window", Strength: 0.7}, 500},
		"median":  {hidreamo1.Smoothing{Start: 1000, Levels: [][][2]int{two, four, eight}, Blend: "median", Strength: 1}, 100},
	} {
		calls := 0
		y, err := hidreamo1.Smooth([]hidreamo1.Smoothing{c.s}, golden.Normal("hidreamo1/y", 1, 3, 96, 128), c.at, func(x *tensor.Tensor) (*tensor.Tensor, error) {
			calls++
			out, w := tensor.New(x.Shape...), x.Dim(3)
			for i := range out.Data {
				at := i % w
				out.Data[i] = x.Data[i]*0.5 + x.Data[i-at+(at+w-1)%w]*0.25 + float32(at%32)/32
			}
			return out, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		familytest.Compare(t, stored, name, some(y), golden.Tolerance{RMSRel: 1e-6})
		if name == "average" && calls != 2 {
			t.Errorf("%d predictions, want 2", calls)
		}
	}
	calls := 0
	late := []hidreamo1.Smoothing{{Start: 200, End: 100, Levels: [][][2]int{two}}}
	if _, err := hidreamo1.Smooth(late, tensor.New(1, 3, 32, 32), 500, func(x *tensor.Tensor) (*tensor.Tensor, error) { calls++; return x, nil }); err != nil || calls != 1 {
		t.Errorf("outside of its range: %d predictions, %v", calls, err)
	}
}

// TestTokens compares the tokens of a prompt with parentheses, which are text.
func TestTokens(t *testing.T) {
	t.Parallel()
	stored, _ := familytest.Recorded(t, "testdata/hidreamo1", "hidreamo1")
	want, err := stored.Get("tokens")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range family.Default.Schemes() {
		if s.Name() != "HiDream O1" {
			continue
		}
		tokens, err := s.Encoders()[0].Tokenize(nil, family.Prompt{Text: "a (cat:1.2), 猫"}, family.TokenizeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		e, err := s.Join(map[string]family.Encoding{"hidream_o1": {Tokens: tokens}})
		if err != nil {
			t.Fatal(err)
		}
		ids, ok := e.Extra["text_input_ids"].(*tensor.Tensor)
		if !ok || !slices.Equal(ids.Data, want.Data) || !slices.Equal(e.Hidden.Shape, []int{1, len(want.Data), 1}) {
			t.Errorf("%v, want %v", e.Extra, want.Data)
		}
		if _, err := s.Join(nil); err == nil {
			t.Error("no tokens: no error")
		}
		return
	}
	t.Error("no scheme")
}

func TestDetection(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/hidreamo1", "hidreamo1")
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"HiDream O1":   {Source: src, Family: "HiDream O1", Type: sampling.Flow, Shift: 3},
		"no time":      {Source: src, Without: "t_embedder1"},
		"other shapes": {Source: dryrun.List("t_embedder1.mlp.0.weight 8 256\nx_embedder.proj1.weight 8 3072\nlanguage_model.embed_tokens.weight 9 8\n")},
	})
	d, _, err := family.Open(family.Default, src).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	familytest.CheckLoRAKeys(t, d, map[string]patch.Target{
		"diffusion_model.language_model.layers.1.self_attn.q_proj": {Key: "language_model.layers.1.self_attn.q_proj.weight"},
	})
	if _, err := d.Inputs(&sampling.Cond{}, sampling.Request{}); err == nil || !strings.Contains(err.Error(), "CLIP output") {
		t.Errorf("an entry without tokens: %v", err)
	}
	latent := &sampling.Cond{Values: map[string]any{"text_input_ids": prompt(), "reference_latents": []any{tensor.New(1, 16, 8)}}}
	if _, err := d.Inputs(latent, sampling.Request{}); err == nil || !strings.Contains(err.Error(), "HiDreamO1ReferenceImages") {
		t.Errorf("a reference that is no image: %v", err)
	}
	if _, err := predict(t, d, familytest.Runner{}, tensor.New(1, 2, 4000, 3)); err == nil || !strings.Contains(err.Error(), "no patch") {
		t.Errorf("an image of one line: %v", err)
	}
	for _, target := range familytest.Targets(t) {
		run := &dryrun.Runner{Spec: family.Spec{Target: target}}
		if _, err := predict(t, d, run, golden.Image("hidreamo1/one", 1, 90, 140, 3)); err != nil {
			t.Errorf("%s: %v", target.Compute, err)
		}
		for _, g := range run.Graphs {
			cudakernels.Check(t, g)
		}
	}
}
