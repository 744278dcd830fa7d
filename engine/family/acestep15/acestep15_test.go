package acestep15_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/song"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// tolerance is ten times torch's own error in float32, about 1e-6.
var tolerance = golden.Tolerance{RMSRel: 1e-5}

func open(t *testing.T) family.Denoiser {
	t.Helper()
	_, src := familytest.Recorded(t, "testdata/ace15", "ace15")
	d, fam, err := family.Open(family.Default, src).Diffusion()
	if err != nil || fam.Name() != "ACE-Step 1.5" {
		t.Fatalf("%v, %v", fam, err)
	}
	return d
}

// TestEqualsUpstream compares calls with codes, without, with the learned null condition and with a reference. 300 latents are more
// tokens than a window of attention.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, _ := familytest.Recorded(t, "testdata/ace15", "ace15")
	d := open(t)
	if d.Memory([]int{1, 64, 3000}, 77) <= 0 {
		t.Error("no estimate of memory")
	}
	codes := &tensor.Tensor{Shape: []int{2, 3}, Data: []float32{0, 35847, 63999, 5, 77, 12345}}
	for name, c := range map[string]struct {
		rows, length int
		values       map[string]any
		null         bool
	}{
		"codes": {2, 21, map[string]any{"audio_codes": codes}, false},
		"plain": {1, 300, nil, false},
		"null":  {2, 21, nil, true},
		"voice": {2, 33, map[string]any{"reference_audio_timbre_latents": []any{golden.Normal("ace15/voice", 2, 64, 33)}}, false},
	} {
		x, text := golden.Normal("ace15/x", c.rows, 64, c.length), golden.Normal("ace15/context", c.rows, 7, 24)
		cond := &sampling.Cond{Tokens: text, Values: map[string]any{"conditioning_lyrics": golden.Normal("ace15/lyrics", c.rows, 5, 24)}}
		for k, v := range c.values {
			cond.Values[k] = v
		}
		if c.null {
			cond.Tokens = tensor.New(text.Shape...)
		}
		list, err := d.Inputs(cond, sampling.Request{Shape: x.Shape, Format: d.Latent()})
		if err != nil {
			t.Fatal(err)
		}
		for i := range list {
			list[i].Value = list[i].Rule.Rows(list[i].Value, c.rows, nil)
		}
		in := sampling.Inputs{List: list, State: &sampling.State{}}
		for range 2 { // the second time with the kept values of the first
			y, err := d.Predict(t.Context(), familytest.Runner{}, family.Call{X: x, T: []float32{0.3, 0.8}[:c.rows], Inputs: in})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			familytest.Compare(t, stored, name, y, tolerance)
		}
	}
}

func TestDetection(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/ace15", "ace15")
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"ACE-Step 1.5": {Source: src, Family: "ACE-Step 1.5", Type: sampling.Flow, Shift: 3},
		"no lyrics":    {Source: src, Without: "lyric_encoder"},
		"no heads":     {Source: src, Without: "q_norm"},
	})
	familytest.CheckLoRAKeys(t, open(t), map[string]patch.Target{
		"base_model.model.layers.0.self_attn.q_proj":   {Key: "decoder.layers.0.self_attn.q_proj.weight"},
		"lycoris_layers_2_mlp_up_proj":                 {Key: "decoder.layers.2.mlp.up_proj.weight"},
		"lora_unet_decoder_layers_1_cross_attn_v_proj": {Key: "decoder.layers.1.cross_attn.v_proj.weight"},
		"diffusion_model.encoder.text_projector":       {Key: "encoder.text_projector.weight"},
	})
}

// TestInputErrors checks entries that the model cannot read.
func TestInputErrors(t *testing.T) {
	t.Parallel()
	d := open(t)
	text, lyrics := tensor.New(1, 7, 24), tensor.New(1, 5, 24)
	for says, c := range map[string]struct {
		cond  sampling.Cond
		shape []int
	}{
		"text encoding": {sampling.Cond{}, []int{1, 64, 20}},
		"audio latents": {sampling.Cond{Tokens: text}, []int{1, 64, 20, 20}},
		"no lyrics":     {sampling.Cond{Tokens: text}, []int{1, 64, 20}},
		"is of type":    {sampling.Cond{Tokens: text, Values: map[string]any{"conditioning_lyrics": "la"}}, []int{1, 64, 20}},
		"reference audio has shape": {sampling.Cond{Tokens: text, Values: map[string]any{
			"conditioning_lyrics": lyrics, "reference_audio_timbre_latents": []any{tensor.New(1, 8, 16, 4)},
		}}, []int{1, 64, 20}},
	} {
		_, err := d.Inputs(&c.cond, sampling.Request{Shape: c.shape, Format: d.Latent()})
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v; want an error that says %q", err, says)
		}
	}
	in := sampling.Inputs{List: []sampling.Input{
		{Name: sampling.InputContext, Value: text},
		{Name: "lyric_embed", Value: lyrics},
		{Name: "refer_audio", Value: tensor.New(1, 64, 20)},
		{Name: "audio_codes", Value: &tensor.Tensor{Shape: []int{1, 1}, Data: []float32{64000}}},
	}}
	call := family.Call{X: tensor.New(1, 64, 20), T: []float32{1}, Inputs: in}
	if _, err := d.Predict(t.Context(), familytest.Runner{}, call); err == nil || !strings.Contains(err.Error(), "64000") {
		t.Errorf("a code that there is not: %v", err)
	}
}

// TestCUDA looks up the operators of all graphs among CUDA's kernels.
func TestCUDA(t *testing.T) {
	t.Parallel()
	d := open(t)
	voice := map[string]any{"conditioning_lyrics": tensor.New(1, 5, 24), "reference_audio_timbre_latents": []any{tensor.New(1, 64, 9)}}
	for _, target := range familytest.Targets(t) {
		run := &dryrun.Runner{Spec: family.Spec{Target: target}}
		x := tensor.New(1, 64, 20)
		in, err := d.Inputs(&sampling.Cond{Tokens: golden.Normal("ace15/context", 1, 7, 24), Values: voice}, sampling.Request{Shape: x.Shape, Format: d.Latent()})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Predict(t.Context(), run, family.Call{X: x, T: []float32{1}, Inputs: sampling.Inputs{List: in}}); err != nil || len(run.Graphs) != 4 {
			t.Fatalf("%d graphs, %v", len(run.Graphs), err)
		}
		for _, g := range run.Graphs {
			cudakernels.Check(t, g)
		}
	}
}

// words is the tokenizer of a text encoder.
func words(t *testing.T, key string) family.Tokenizer {
	t.Helper()
	for _, f := range family.Default.Text() {
		if v, ok := f.(family.Vocabulary); ok && v.Tokenizer(key) != nil {
			return v.Tokenizer(key)
		}
	}
	t.Fatalf("no tokenizer of %s", key)
	return nil
}

// recorded is a prompt of testdata/tokens.json.
type recorded struct {
	Song struct {
		Text, Lyrics, Language, Keyscale string
		BPM, Timesignature               int
		Duration                         float64
	}
	Tokens map[string][][]int32
}

// TestPromptsEqualUpstream lays prompts out for all encoders.
func TestPromptsEqualUpstream(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/tokens.json")
	if err != nil {
		t.Fatal(err)
	}
	var songs []recorded
	if err := json.Unmarshal(data, &songs); err != nil || len(songs) != 3 {
		t.Fatalf("%d songs, %v", len(songs), err)
	}
	var encoders []family.SchemeEncoder
	for _, s := range family.Default.Schemes() {
		if s.Name() == "ACE-Step 1.5" {
			encoders = s.Encoders()
		}
	}
	for _, s := range songs {
		p := family.Prompt{Text: s.Song.Text}
		if s.Song.BPM > 0 {
			p.Extra = song.Song{Lyrics: s.Song.Lyrics, Language: s.Song.Language, Key: s.Song.Keyscale, BPM: s.Song.BPM, Beats: s.Song.Timesignature, Duration: s.Song.Duration}
		}
		for entry, key := range map[string]string{"qwen3_06b": "qwen3_06b", "lyrics": "lyrics", "lm_prompt_negative": "lm_prompt_negative", "qwen3_2b": "lm_prompt", "qwen3_4b": "lm_prompt"} {
			i := slices.IndexFunc(encoders, func(e family.SchemeEncoder) bool { return e.Key == entry })
			tokens, err := encoders[i].Tokenize(words(t, encoders[i].Network()), p, family.TokenizeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var got []int32
			for _, token := range tokens[0] {
				got = append(got, token.ID)
			}
			if !slices.Equal(got, s.Tokens[key][0]) {
				t.Errorf("%q, %s:\n%v, want\n%v", s.Song.Text, entry, got, s.Tokens[key][0])
			}
		}
	}
}
