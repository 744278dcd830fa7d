package acestep_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/family"
	"comfygo/engine/family/acestep"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/song"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// tolerance is ten times torch's own error in float32, about 1e-6.
var tolerance = golden.Tolerance{RMSRel: 1e-5}

// TestVAEEqualsUpstream decodes and encodes music of less than one piece and of several. Encoding allows for torch's Fourier transform in
// float32, whose error the logarithm of quiet bands shows.
func TestVAEEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/vae", "ace")
	v, err := family.Open(family.Default, src).VAE()
	if err != nil || v == nil {
		t.Fatalf("%v, %v", v, err)
	}
	if i := v.Info(); i.Audio == nil || i.Audio.Hop != 4096 || i.Audio.Rate != 44100 || i.Channels != 8 || !i.CanEncode {
		t.Fatalf("%+v", i)
	}
	for _, n := range []int{3, 70} {
		y, err := v.Decode(t.Context(), familytest.Runner{}, golden.Scale(golden.Normal(fmt.Sprintf("ace/z%d", n), 1, 8, 16, n), 0.25))
		if err != nil {
			t.Fatal(err)
		}
		familytest.CompareSome(t, stored, fmt.Sprintf("decode%d", n), y, []int{1, 2, n * 4096}, tolerance)
		z, err := v.Encode(t.Context(), familytest.Runner{}, golden.Scale(golden.Normal(fmt.Sprintf("ace/x%d", n), 1, 2, n*4096), 0.125))
		if err != nil {
			t.Fatal(err)
		}
		familytest.CompareSome(t, stored, fmt.Sprintf("encode%d", n), z, []int{1, 8, 16, n}, tolerance)
	}
	for says, x := range map[string]*tensor.Tensor{"an image": tensor.New(1, 8, 4, 4), "a line": tensor.New(1, 8, 16)} {
		if _, err := v.Decode(t.Context(), familytest.Runner{}, x); err == nil || !strings.Contains(err.Error(), "audio latents") {
			t.Errorf("%s: %v", says, err)
		}
	}
	if _, err := v.Encode(t.Context(), familytest.Runner{}, tensor.New(1, 2, 4095)); err == nil || !strings.Contains(err.Error(), "at least 4096") {
		t.Errorf("too little audio: %v", err)
	}
	if v.DecodeMemory([]int{1, 8, 16, 3000}) <= 0 || v.EncodeMemory([]int{1, 2, 1 << 20}) <= 0 {
		t.Error("no estimate of memory")
	}
}

func TestVAEErrors(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/vae", "ace")
	for _, without := range []string{"decoder.up_blocks.3", "vocoder.head.ups.6", "decoder.conv_out"} {
		if v, err := family.Open(family.Default, familytest.Without(src, without)).VAE(); err == nil || !strings.Contains(err.Error(), "ACE-Step VAE") {
			t.Errorf("without %s: %v, %v", without, v, err)
		}
	}
}

// lyrics is testdata/lyrics.json.
type lyrics struct {
	Lyrics []struct {
		Text string
		IDs  [][]int32
	}
	Clean  [][3]string
	Romaji [][2]string
}

// beside is a weight file in testdata.
type beside struct{ weights.Source }

func (beside) Path() string { return "testdata/model.safetensors" }

// TestLyricsEqualUpstream reads lyrics by the vocabulary of testdata.
func TestLyricsEqualUpstream(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/lyrics.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc lyrics
	if err := json.Unmarshal(data, &doc); err != nil || len(doc.Lyrics) < 10 || len(doc.Clean) < 5 {
		t.Fatalf("%d lyrics, %v", len(doc.Lyrics), err)
	}
	for _, c := range doc.Clean {
		if got := acestep.Clean(c[0], c[1]); got != c[2] {
			t.Errorf("clean(%q, %s) is %q, want %q", c[0], c[1], got, c[2])
		}
	}
	for _, c := range doc.Romaji {
		if got := acestep.Romaji(c[0]); got != c[1] {
			t.Errorf("romaji(%q) is %q, want %q", c[0], got, c[1])
		}
	}
	read := acestep.Tokens(beside{dryrun.List("")})
	for _, c := range doc.Lyrics {
		rows, err := read(c.Text, family.TokenizeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var got []int32
		for _, token := range rows[0] {
			got = append(got, token.ID)
		}
		if len(rows) != 1 || !slices.Equal(got, c.IDs[0]) {
			t.Errorf("%q:\n%v, want\n%v", c.Text, got, c.IDs[0])
		}
	}
	missing := acestep.Tokens(dryrun.List(""))
	if _, err := missing("la", family.TokenizeOptions{}); err == nil || !strings.Contains(err.Error(), "ace_lyrics_tokenizer") {
		t.Errorf("without a vocabulary: %v", err)
	}
	if rows, err := missing("", family.TokenizeOptions{}); err != nil || len(rows[0]) != 1 {
		t.Errorf("no lyrics: %v, %v", rows, err)
	}
}

func TestDetection(t *testing.T) {
	t.Parallel()
	_, file := familytest.Recorded(t, "testdata/model", "ace")
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"ACE-Step": {Source: file, Family: "ACE-Step", Type: sampling.Flow, Shift: 3},
		"no genre": {Source: file, Without: "genre_embedder"},
		"no words": {Source: file, Without: "lyric_embs"},
	})
}

func open(t *testing.T) family.Denoiser {
	t.Helper()
	_, src := familytest.Recorded(t, "testdata/model", "ace")
	d, fam, err := family.Open(family.Default, src).Diffusion()
	if err != nil || fam.Name() != "ACE-Step" {
		t.Fatalf("%v, %v", fam, err)
	}
	return d
}

// TestEqualsUpstream compares calls of a network of two layers, whose encoder of lyrics has one.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, _ := familytest.Recorded(t, "testdata/model", "ace")
	d := open(t)
	if d.Memory([]int{1, 8, 16, 1000}, 77) <= 0 {
		t.Error("no estimate of memory")
	}
	x, words := golden.Normal("ace/x", 2, 8, 16, 9), &tensor.Tensor{Shape: []int{2, 5}, Data: []float32{1, 2, 3, 4, 5, 6, 19, 0, 7, 7}}
	in, err := d.Inputs(&sampling.Cond{Tokens: golden.Normal("ace/context", 2, 6, 24), Values: map[string]any{"conditioning_lyrics": words, "lyrics_strength": 0.75}},
		sampling.Request{Shape: x.Shape, Format: d.Latent()})
	if err != nil {
		t.Fatal(err)
	}
	for i := range in {
		in[i].Value = in[i].Rule.Rows(in[i].Value, 2, nil)
	}
	y, err := d.Predict(t.Context(), familytest.Runner{}, family.Call{X: x, T: []float32{300, 800}, Inputs: sampling.Inputs{List: in, State: &sampling.State{}}})
	if err != nil {
		t.Fatal(err)
	}
	familytest.Compare(t, stored, "out", y, tolerance)
	familytest.CheckLoRAKeys(t, d, map[string]patch.Target{
		"transformer_blocks.0.cross_attn.to_q":         {Key: "transformer_blocks.0.cross_attn.to_q.weight"},
		"lora_unet_transformer_blocks_1_attn_to_out_0": {Key: "transformer_blocks.1.attn.to_out.0.weight"},
		"diffusion_model.lyric_encoder.embed.out.0":    {Key: "lyric_encoder.embed.out.0.weight"},
	})
	for _, target := range familytest.Targets(t) {
		run := &dryrun.Runner{Spec: family.Spec{Target: target}}
		if _, err := d.Predict(t.Context(), run, family.Call{X: x, T: []float32{300, 800}, Inputs: sampling.Inputs{List: in}}); err != nil || len(run.Graphs) != 2 {
			t.Fatalf("%d graphs, %v", len(run.Graphs), err)
		}
		for _, g := range run.Graphs {
			cudakernels.Check(t, g)
		}
	}
}

// TestInputErrors checks entries that the model cannot read.
func TestInputErrors(t *testing.T) {
	t.Parallel()
	d := open(t)
	text := tensor.New(1, 6, 24)
	for says, c := range map[string]struct {
		cond  sampling.Cond
		shape []int
	}{
		"text encoding": {sampling.Cond{}, []int{1, 8, 16, 20}},
		"audio latents": {sampling.Cond{Tokens: text}, []int{1, 8, 64, 64}},
		"no lyrics":     {sampling.Cond{Tokens: text}, []int{1, 8, 16, 20}},
		"is of type":    {sampling.Cond{Tokens: text, Values: map[string]any{"conditioning_lyrics": "la"}}, []int{1, 8, 16, 20}},
	} {
		_, err := d.Inputs(&c.cond, sampling.Request{Shape: c.shape, Format: d.Latent()})
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v; want an error that says %q", err, says)
		}
	}
	in := []sampling.Input{
		{Name: sampling.InputContext, Value: text},
		{Name: "lyric_token_idx", Value: &tensor.Tensor{Shape: []int{1, 1}, Data: []float32{20}}},
		{Name: "speaker_embeds", Value: tensor.New(1, 12)},
		{Name: "lyrics_strength", Value: tensor.New(1)},
	}
	call := family.Call{X: tensor.New(1, 8, 16, 20), T: []float32{1}, Inputs: sampling.Inputs{List: in}}
	if _, err := d.Predict(t.Context(), familytest.Runner{}, call); err == nil || !strings.Contains(err.Error(), "token 20") {
		t.Errorf("a token that there is not: %v", err)
	}
}

// TestScheme joins the encoding of tags with the tokens of lyrics.
func TestScheme(t *testing.T) {
	t.Parallel()
	for _, s := range family.Default.Schemes() {
		if s.Name() != "ACE-Step" {
			continue
		}
		e := s.Encoders()[1]
		rows, err := e.Tokenize(e.Beside(beside{dryrun.List("")}), family.Prompt{Text: "tags", Extra: song.Song{Lyrics: "the two"}}, family.TokenizeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		out, err := s.Join(map[string]family.Encoding{"umt5base": {Hidden: tensor.New(1, 2, 768)}, "lyrics": {Tokens: rows}})
		if err != nil {
			t.Fatal(err)
		}
		if x := out.Extra["conditioning_lyrics"].(*tensor.Tensor); x.Len() != len(rows[0]) || x.Data[0] != 261 || x.Len() < 4 {
			t.Errorf("lyrics %v of tokens %v", x, rows)
		}
		if _, err := s.Join(map[string]family.Encoding{"umt5base": {Hidden: tensor.New(1, 2, 768)}}); err == nil {
			t.Error("an encoding without lyrics is taken")
		}
		return
	}
	t.Error("there is no scheme")
}
