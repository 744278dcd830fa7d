package gemma4_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/gemma4"
	"comfygo/engine/tensor"
	"comfygo/engine/textgen"
	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
	inner "comfygo/internal/golden"
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// near is ten times what float32 is off in six layers.
var near = golden.Tolerance{RMSRel: 1e-5}

var (
	smallConfig = gemma4.Config{
		Width: 32, Layers: 6, Period: 3, Heads: 4, MLP: 40, Vocab: 96, HeadDim: [2]int{32, 16}, KVHeads: [2]int{1, 1}, Window: 8, Shared: 3, PerLayer: 8,
	}
	plainConfig = gemma4.Config{
		Width: 32, Layers: 6, Period: 6, Heads: 4, MLP: 40, Vocab: 96, HeadDim: [2]int{32, 16}, KVHeads: [2]int{1, 2}, Window: 40, Suppressed: []int32{7, 60},
	}
)

// small is a model like E2B with its towers, plain one like 12B.
func small(src weights.Source) *gemma4.Encoder {
	return gemma4.Small(src, smallConfig, 35).With(
		gemma4.Vision{Width: 32, Layers: 2, Heads: 2, HeadDim: 16, MLP: 48, Places: 64, Out: 32},
		gemma4.Audio{Width: 32, Layers: 2, Heads: 2, MLP: 48, Kernel: 5, Between: 20, Out: 32},
	)
}

func plain(src weights.Source) *gemma4.Encoder {
	return gemma4.Small(src, plainConfig, 48).Plain(24, 40, 640)
}

func prompt() tokenizer.Tokens {
	row := make([]tokenizer.Token, 11)
	for i := range row {
		row[i] = tokenizer.Token{ID: int32((i*37 + 5) % 96), Weight: 1}
	}
	return tokenizer.Tokens{row}
}

// shown is the media of a prompt: the recorded image, the first frame of the video and the sound, as a model reads them.
func shown(t *testing.T, e *gemma4.Encoder) *family.Prompt {
	t.Helper()
	wave := golden.Normal("gemma4/wave", 1, 2, 9000)
	for i := range wave.Data {
		wave.Data[i] /= 4
	}
	p := &family.Prompt{Images: []*tensor.Tensor{golden.Image("gemma4/image", 1, 75, 118, 3)}, Sound: &family.Sound{Waveform: wave, Rate: 44100}}
	if err := e.Prepare(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	return p
}

// some are every 997th of the values of an image.
func some(x *tensor.Tensor) *tensor.Tensor {
	out := &tensor.Tensor{}
	for i := 0; i < len(x.Data); i += 997 {
		out.Data = append(out.Data, x.Data[i])
	}
	out.Shape = []int{len(out.Data)}
	return out
}

// tokensOf are recorded tokens.
func tokensOf(t *testing.T, stored *inner.Tensors, name string) []int32 {
	t.Helper()
	v, err := stored.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	var out []int32
	for _, x := range v.Data {
		out = append(out, int32(x))
	}
	return out
}

// generated generates text for a prompt, and compares the tokens and the logits of the first and the last step.
func generated(t *testing.T, e *gemma4.Encoder, stored *inner.Tensors, name string, tokens tokenizer.Tokens, o textgen.Options) {
	t.Helper()
	choose, err := textgen.New(o)
	if err != nil {
		t.Fatal(err)
	}
	var seen [][]float32
	want := tokensOf(t, stored, name)
	got, err := e.Generate(t.Context(), familytest.Runner{}, tokens, family.GenerateOptions{
		MaxLength: len(want), Stop: []int32{}, Count: choose.Count,
		Next: func(l []float32) (int32, error) { seen = append(seen, slices.Clone(l)); return choose.Next(l) },
	})
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%s: %v, %v; want %v", name, got, err, want)
		return
	}
	if !o.Sample {
		familytest.Compare(t, stored, "logits", &tensor.Tensor{Shape: []int{2, 96}, Data: append(seen[0], seen[len(seen)-1]...)}, near)
	}
}

// TestSmallEqualsUpstream compares states, tokens, logits, and the outputs of the towers for an image and a sound. A prompt is longer than the window
// of sliding layers. Heads of norm 1 and products without a scale make attention sharp: upstream's own states move by up to 2e-4 when the last bit of
// the embeddings changes, so that those after the third layer may be off by more. Features of a sound are logarithms: silence is near ln(0.001),
// where float32's last bit of the waveform is about 1e-4.
func TestSmallEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/small", "gemma4")
	e := small(src)
	got, err := e.Encode(t.Context(), familytest.Runner{}, prompt(), family.EncodeOptions{AllLayers: true, Masked: true})
	if err != nil {
		t.Fatal(err)
	}
	familytest.Compare(t, stored, "states", got.Hidden, golden.Tolerance{RMSRel: 1e-3})
	states, err := stored.Get("states")
	if err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "first states", got.Hidden.Data[:3*11*32], states.Data[:3*11*32], near)
	generated(t, e, stored, "greedy", prompt(), textgen.Options{})
	generated(t, e, stored, "sampled", prompt(), textgen.Options{Sample: true, Temperature: 0.9, TopK: 40, TopP: 0.95, MinP: 0.01, Repetition: 1.1, Presence: 0.1, Seed: 42})

	p := shown(t, e)
	familytest.Compare(t, stored, "pixels", some(p.Images[0]), golden.Tolerance{RMSRel: 2e-3})
	image, err := e.See(t.Context(), familytest.Runner{}, p.Images[0])
	if err != nil {
		t.Fatal(err)
	}
	familytest.Compare(t, stored, "image", image, golden.Tolerance{RMSRel: 2e-3})
	bands := tensor.New(p.Features.Dim(0), 128)
	for i := range bands.Dim(0) {
		copy(bands.Index(i).Data, p.Features.Index(i).Data)
	}
	familytest.Compare(t, stored, "features", bands, golden.Tolerance{RMSRel: 1e-4})
	sound, err := e.Hear(t.Context(), familytest.Runner{}, p.Features)
	if err != nil {
		t.Fatal(err)
	}
	familytest.Compare(t, stored, "sound", sound, golden.Tolerance{RMSRel: 1e-3})

	frame, err := gemma4.Fit(golden.Image("gemma4/video", 50, 30, 40, 3).Slice(0, 1), 70)
	if err != nil {
		t.Fatal(err)
	}
	familytest.Compare(t, stored, "frame", some(frame), golden.Tolerance{RMSRel: 2e-3})
}

// TestPlainEqualsUpstream compares a model like 12B, whose image tokens attend to each other and whose global layers take values from
// keys.
func TestPlainEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/plain", "gemma4")
	e := plain(src)
	p := shown(t, e)
	cut := tensor.New(1, 96, 144, 3)
	for y := range 96 {
		copy(cut.Data[y*144*3:(y+1)*144*3], p.Images[0].Data[y*p.Images[0].Dim(2)*3:])
	}
	image, err := e.See(t.Context(), familytest.Runner{}, cut)
	if err != nil {
		t.Fatal(err)
	}
	familytest.Compare(t, stored, "image", image, golden.Tolerance{RMSRel: 2e-3})
	sound, err := e.Hear(t.Context(), familytest.Runner{}, p.Features)
	if err != nil {
		t.Fatal(err)
	}
	familytest.Compare(t, stored, "sound", sound, golden.Tolerance{RMSRel: 1e-4})
	row := prompt()[0]
	generated(t, e, stored, "greedy", tokenizer.Tokens{slices.Insert(slices.Clone(row), 5, tokenizer.Token{Image: cut, Weight: 1})}, textgen.Options{})
}

// TestTemplates compares the text around prompts. Upstream writes a mark for each token of a sound and joins them again.
func TestTemplates(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/templates.json")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	if err := json.Unmarshal(data, &want); err != nil || len(want) != 6 {
		t.Fatal(want, err)
	}
	x := tensor.New(1, 48, 48, 3)
	sound := &family.Sound{}
	for i, p := range []family.Prompt{
		{Images: []*tensor.Tensor{x}, Sound: sound, Features: x},
		{Frames: []*tensor.Tensor{x, x, x}, Thinking: true},
		{Images: []*tensor.Tensor{x, x}},
		{Bare: true},
		{Primed: true},
		{Primed: true, Sound: sound, Features: x, Thinking: true},
	} {
		p.Text = "hi"
		for strings.Contains(want[i], "<|audio|><|audio|>") {
			want[i] = strings.Replace(want[i], "<|audio|><|audio|>", "<|audio|>", 1)
		}
		if got := gemma4.Write(p); got != want[i] {
			t.Errorf("%q, want %q", got, want[i])
		}
	}
	for text, want := range map[string]string{
		"<|channel>thought\nhm<channel|>yes<turn|>": "<think>\nhm</think>yes", "<|channel>final\n a <eos>": "a", "<|channel>thought\nopen": "<think>\nopen",
	} {
		if got := gemma4.Cleaned(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	tokens := gemma4.Arrange(tokenizer.Tokens{{{ID: 258880}, {ID: 5}, {ID: 258881}}}, family.Prompt{Images: []*tensor.Tensor{x}, Features: x})
	if tokens[0][0].Image != x || tokens[0][1].Image != nil || tokens[0][2].Audio != x {
		t.Errorf("tokens %v", tokens)
	}
}

// words is a vocabulary of a few tokens in the form of Gemma's.
const words = `{"added_tokens":[{"id":2,"content":"<bos>","special":true},{"id":5,"content":"<turn|>","special":true}],
"normalizer":{"type":"Replace","pattern":{"String":" "},"content":"▁"},"pre_tokenizer":{"type":"Split","pattern":{"String":" "},"behavior":"MergedWithPrevious","invert":false},
"decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"}]},
"model":{"type":"BPE","unk_token":"<unk>","fuse_unk":true,"byte_fallback":true,"vocab":{"<unk>":0,"<pad>":1,"<bos>":2,"a":3,"▁":4,"<turn|>":5,"▁a":6,"<0xC3>":7,"<0xA4>":8},"merges":[["▁","a"]]}}`

// TestWords checks the vocabulary in a file: tokens after a start token, and back.
func TestWords(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/small", "gemma4")
	if _, err := small(src).Tokenize("a", family.TokenizeOptions{}); err == nil || !strings.Contains(err.Error(), "tokenizer_json") {
		t.Errorf("a file without a vocabulary: %v", err)
	}
	e := small(dryrun.Described([]weights.Entry{{Name: "tokenizer_json", DType: dtype.U8, TypeName: "U8", Shape: []int{len(words)}, Data: []byte(words)}}))
	got, err := e.Tokenize("a a(ä:2)<turn|>", family.TokenizeOptions{})
	var ids []int32
	for _, tok := range got[0] {
		ids = append(ids, tok.ID)
	}
	if err != nil || !slices.Equal(ids, []int32{2, 3, 6, 7, 8, 0, 5}) {
		t.Errorf("%v, %v", ids, err)
	}
	if text, err := e.Decode([]int32{3, 6, 7, 8, 6, 7, 5}); err != nil || text != "a aä a\uFFFD" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := e.Decode([]int32{99}); err == nil {
		t.Error("an unknown token: no error")
	}
}

func TestWrongFiles(t *testing.T) {
	t.Parallel()
	layers := strings.Builder{}
	for i := range 9 {
		layers.WriteString("model.layers." + string(rune('0'+i)) + ".layer_scalar 1\n")
	}
	if _, err := family.Open(family.Default, dryrun.List(layers.String()+"model.layers.0.input_layernorm.weight 32\n")).Text(); err == nil || !strings.Contains(err.Error(), "9 layers") {
		t.Errorf("a model of no known size: %v", err)
	}
	_, src := familytest.Recorded(t, "testdata/small", "gemma4")
	bare := gemma4.Small(src, smallConfig, 35)
	x := tensor.New(1, 48, 48, 3)
	for want, tokens := range map[string]tokenizer.Tokens{
		"no vision tower": {{{Image: x}}}, "no audio tower": {{{Audio: x}}}, "2 chunks": append(prompt(), prompt()...),
	} {
		_, err := bare.Generate(t.Context(), familytest.Runner{}, tokens, family.GenerateOptions{MaxLength: 1})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q in it", err, want)
		}
	}
	if _, err := small(src).See(t.Context(), familytest.Runner{}, tensor.New(1, 40, 48, 3)); err == nil || !strings.Contains(err.Error(), "48 divides") {
		t.Errorf("an image of another size: %v", err)
	}
	if _, err := small(src).Hear(t.Context(), familytest.Runner{}, tensor.New(4, 7)); err == nil || !strings.Contains(err.Error(), "128 bands") {
		t.Errorf("features of another width: %v", err)
	}
	if err := bare.Prepare(t.Context(), &family.Prompt{Sound: &family.Sound{}}); err == nil || !strings.Contains(err.Error(), "no audio tower") {
		t.Errorf("a sound without a tower: %v", err)
	}
}

// TestKernels writes all graphs for CUDA.
func TestKernels(t *testing.T) {
	t.Parallel()
	_, list := familytest.Recorded(t, "testdata/small", "gemma4")
	_, plainList := familytest.Recorded(t, "testdata/plain", "gemma4")
	image := tensor.New(1, 48, 48, 3)
	for _, stored := range []dtype.DType{dtype.F32, dtype.F16, dtype.BF16} {
		for _, target := range familytest.Targets(t) {
			run := &dryrun.Runner{Spec: family.Spec{Target: target}}
			next := family.GenerateOptions{MaxLength: 2, Stop: []int32{}, Next: func([]float32) (int32, error) { return 1, nil }}
			a, b := small(familytest.Stored(list, stored)), plain(familytest.Stored(plainList, stored))
			_, err1 := a.Encode(t.Context(), run, prompt(), family.EncodeOptions{AllLayers: true})
			_, err2 := a.Generate(t.Context(), run, prompt(), next)
			_, err3 := b.Generate(t.Context(), run, prompt(), next)
			_, err4 := a.See(t.Context(), run, image)
			_, err5 := a.Hear(t.Context(), run, tensor.New(9, 129))
			_, err6 := b.See(t.Context(), run, image)
			for _, err := range []error{err1, err2, err3, err4, err5, err6} {
				if err != nil {
					t.Errorf("%s: %v", target.Compute, err)
				}
			}
			for _, g := range run.Graphs {
				cudakernels.Check(t, g)
			}
		}
	}
}
