package minimaxmusic_test

import (
	"fmt"
	"maps"
	"math"
	"os"
	"strings"
	"testing"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/minimaxmusic"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	inner "comfygo/internal/golden"
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

const salt = "minimaxmusic"

func normal(name string, shape ...int) *tensor.Tensor { return golden.Normal(salt+"/"+name, shape...) }

// near is ten times torch's own error in float32, about 1e-6.
var near = golden.Tolerance{RMSRel: 1e-5}

func denoiser(t *testing.T, src weights.Source) family.Denoiser {
	t.Helper()
	d, fam, err := family.Open(family.Default, src).Diffusion()
	if err != nil || fam.Name() != "MiniMax Music 3" {
		t.Fatalf("%v, %v", fam, err)
	}
	return d
}

// cond is the conditioning of testdata/record.py.
func cond() *sampling.Cond {
	scale := &tensor.Tensor{Shape: []int{2, 1, 1}, Data: []float32{1, 0.5}}
	return &sampling.Cond{Tokens: normal("context", 2, 5, 8*4096), Values: map[string]any{minimaxmusic.KeyScale: scale}}
}

// TestNetworkEqualsUpstream compares latents shorter and longer than the song's states, and ones of several windows.
func TestNetworkEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/network", salt)
	d := denoiser(t, src)
	in, err := d.Inputs(cond(), sampling.Request{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{12, 17, 700} {
		every := 1
		if n >= 100 {
			every = 13
		}
		x := normal(fmt.Sprintf("x%d", n), 2, 128, n)
		// Upstream's network gets one less the sigma, which is the timestep here.
		y, err := d.Predict(t.Context(), familytest.Runner{}, family.Call{X: x, T: []float32{0.7, 1 - 0.8}, Inputs: sampling.Inputs{List: in}})
		if err != nil {
			t.Fatal(err)
		}
		familytest.CompareEvery(t, stored, fmt.Sprintf("l%d", n), y, x.Shape, every, near)
	}
	for _, target := range familytest.Targets(t) {
		run := &dryrun.Runner{Spec: family.Spec{Target: target}}
		if _, err := d.Predict(t.Context(), run, family.Call{X: tensor.New(2, 128, 9), T: []float32{0.7, 0.2}, Inputs: sampling.Inputs{List: in}}); err != nil {
			t.Fatal(err)
		}
		for _, g := range run.Graphs {
			cudakernels.Check(t, g)
		}
	}
}

func TestVAEEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/vae", salt)
	v, err := family.Open(family.Default, src).VAE()
	if err != nil || v == nil {
		t.Fatalf("%v, %v", v, err)
	}
	y, err := v.Decode(t.Context(), familytest.Runner{}, normal("z", 1, 128, 5))
	if err != nil {
		t.Fatal(err)
	}
	// The random factors of some activations are near zero, whose reciprocals magnify float32's error.
	familytest.CompareEvery(t, stored, "decode", y, []int{1, 2, 2560}, 1, golden.Tolerance{RMSRel: 1e-4})
	// A latent of two pieces: what the first one holds at its end has to follow from what the second one begins with.
	long := normal("long", 1, 128, 300)
	whole, err := v.Decode(t.Context(), familytest.Runner{}, long)
	if err != nil || whole.Dim(2) != 300*512 {
		t.Fatal(err)
	}
	const from = 200 // latent values, before the end of the first piece
	cut := tensor.New(1, 128, 100)
	for c := range 128 {
		copy(cut.Data[c*100:(c+1)*100], long.Data[c*300+from:])
	}
	end, err := v.Decode(t.Context(), familytest.Runner{}, cut)
	if err != nil {
		t.Fatal(err)
	}
	for i := 30 * 512; i < 70*512; i++ { // far from the sides of the cut
		if d := float64(whole.Data[from*512+i] - end.Data[i]); math.Abs(d) > 1e-3 {
			t.Fatalf("sample %d of the whole is %v, of a part %v", from*512+i, whole.Data[from*512+i], end.Data[i])
		}
	}
	if _, err := v.Encode(t.Context(), familytest.Runner{}, y); err == nil || !strings.Contains(err.Error(), "only decodes") {
		t.Errorf("encoding: %v", err)
	}
	if _, err := v.Decode(t.Context(), familytest.Runner{}, tensor.New(1, 64, 5)); err == nil || !strings.Contains(err.Error(), "128") {
		t.Errorf("a latent of 64 channels: %v", err)
	}
	for _, target := range familytest.Targets(t) {
		run := &dryrun.Runner{Spec: family.Spec{Target: target}}
		if _, err := v.Decode(t.Context(), run, tensor.New(1, 128, 4)); err != nil {
			t.Fatal(err)
		}
		for _, g := range run.Graphs {
			cudakernels.Check(t, g)
		}
	}
}

func writer(t *testing.T, src weights.Source) family.TextEncoder {
	t.Helper()
	e, err := family.Open(family.Default, src).Text()
	if err != nil || e == nil {
		t.Fatalf("%v, %v", e, err)
	}
	return e
}

var ids = []int64{151644, 151671, 300, 5000, 77, 151672, 151673, 10, 20, 151674, 151645, 151669}

// TestSongsEqualUpstream compares the states of three frames, and so all codes that were chosen, of files with and without tables of their own for
// codes and joined projections. The tolerance is ten times torch's own error in float32 after these steps.
func TestSongsEqualUpstream(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"pruned", "whole"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stored, src := familytest.Recorded(t, "testdata/"+name, salt)
			got, err := minimaxmusic.Write(t.Context(), familytest.Runner{}, writer(t, src), ids, minimaxmusic.Song{Seed: 7, Frames: 3, Guidance: 1.5, Top: 50})
			if err != nil {
				t.Fatal(err)
			}
			if got, err = got.Reshape(3, 256); err != nil {
				t.Fatal(err)
			}
			familytest.Compare(t, stored, "song", got, golden.Tolerance{RMSRel: 1e-4})
		})
	}
}

func TestPromptsEqualUpstream(t *testing.T) {
	t.Parallel()
	var want struct {
		Prompts [][3]string
		Seeds   [][2]uint64
	}
	if err := inner.ReadJSON("testdata/prompts.json", &want); err != nil {
		t.Fatal(err)
	}
	for _, p := range want.Prompts {
		if got := minimaxmusic.PromptOf(p[0], p[1]); got != p[2] {
			t.Errorf("%q with %q:\n%q, want\n%q", p[0], p[1], got, p[2])
		}
	}
	for _, s := range want.Seeds {
		if got := minimaxmusic.SeedOf(s[0], "ar"); got != s[1] {
			t.Errorf("the seed of %d is %d, want %d", s[0], got, s[1])
		}
	}
}

func TestBadFilesAndInputs(t *testing.T) {
	t.Parallel()
	_, net := familytest.Recorded(t, "testdata/network", salt)
	_, vae := familytest.Recorded(t, "testdata/vae", salt)
	_, song := familytest.Recorded(t, "testdata/pruned", salt)
	d, e := denoiser(t, net), writer(t, song)
	for name, err := range map[string]error{
		"a model without times":   opened(net, "timestep_features"),
		"a VAE with a stage less": decoder(vae, "model.4.block.1"),
		"a song without codes":    text(song, "audio_extra_embedding"),
		"a song without a head":   text(song, "lm_head"),
	} {
		if err == nil || !strings.Contains(err.Error(), "reading the shape") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := d.Inputs(&sampling.Cond{Tokens: tensor.New(1, 3, 8*4096)}, sampling.Request{}); err == nil || !strings.Contains(err.Error(), "MiniMaxMusic3TextEncode") {
		t.Errorf("a text encoding: %v", err)
	}
	for name, c := range map[string]family.Call{
		"the latent of an image": {X: tensor.New(1, 4, 8, 8), T: []float32{0.5}},
		"states of other width":  {X: tensor.New(1, 128, 8), T: []float32{0.5}, Inputs: sampling.Inputs{List: []sampling.Input{{Name: sampling.InputContext, Value: tensor.New(1, 3, 16)}}}},
	} {
		if _, err := d.Predict(t.Context(), familytest.Runner{}, c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	plain := minimaxmusic.Song{Frames: 1, Guidance: 1.5, Top: 50}
	if _, err := minimaxmusic.Write(t.Context(), familytest.Runner{}, e, make([]int64, 6000), plain); err == nil || !strings.Contains(err.Error(), "5000") {
		t.Errorf("a long prompt: %v", err)
	}
	plain.Guidance = math.NaN()
	if _, err := minimaxmusic.Write(t.Context(), familytest.Runner{}, e, ids, plain); err == nil || !strings.Contains(err.Error(), "finite") {
		t.Errorf("a guidance that is NaN: %v", err)
	}
	if _, err := e.Tokenize("a", family.TokenizeOptions{}); err == nil || !strings.Contains(err.Error(), "tokenizer_json") {
		t.Errorf("a file without tokenizer: %v", err)
	}
}

func opened(src weights.Source, part string) error {
	_, _, err := family.Open(family.Default, familytest.Without(src, part)).Diffusion()
	return err
}

func decoder(src weights.Source, part string) error {
	_, err := family.Open(family.Default, familytest.Without(src, part)).VAE()
	return err
}

func text(src weights.Source, part string) error {
	_, err := family.Open(family.Default, familytest.Without(src, part)).Text()
	return err
}

// words is a tokenizer that knows whole texts.
type words map[string]int32

// Encode implements tokenizer.Model.
func (w words) Encode(text string) ([]int32, error) { return []int32{w[text]}, nil }

func TestTokenizersAreChecked(t *testing.T) {
	t.Parallel()
	if err := minimaxmusic.CheckWords(words(minimaxmusic.Specials), "song"); err != nil {
		t.Error(err)
	}
	other := words(maps.Clone(minimaxmusic.Specials))
	other["<|audio_end|>"]++
	if err := minimaxmusic.CheckWords(other, "song"); err == nil || !strings.Contains(err.Error(), "MiniMax Music 3") {
		t.Errorf("a tokenizer of other numbers: %v", err)
	}
}
