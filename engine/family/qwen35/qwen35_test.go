package qwen35_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/qwen35"
	"comfygo/engine/tensor"
	"comfygo/engine/textgen"
	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// near is ten times what float32 is off in four layers, of which upstream computes linear attention in another order.
var near = golden.Tolerance{RMSRel: 1e-5}

var config = qwen35.Config{
	Key: "qwen35_2b", Width: 32, Layers: 4, MLP: 40, Vocab: 96, Heads: 4, KVHeads: 2, HeadDim: 32, KeyHeads: 2, KeyDim: 8, ValueHeads: 4, ValueDim: 12,
	Sections: [3]int{2, 1, 1}, Kernel: 4,
}

func prompt(n int) tokenizer.Tokens {
	row := make([]tokenizer.Token, n)
	for i := range row {
		row[i] = tokenizer.Token{ID: int32((i*37 + 5) % 96), Weight: 1}
	}
	return tokenizer.Tokens{row}
}

// TestEqualsUpstream compares states of a prompt of more than one piece, the tokens and logits that follow it, and states of a prompt with an image.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/qwen35", "qwen35")
	e, err := qwen35.New(src, config).WithVision()
	if err != nil {
		t.Fatal(err)
	}
	o := family.EncodeOptions{Layer: -2, RawHidden: true, Masked: true}
	got, err := e.Encode(t.Context(), familytest.Runner{}, prompt(70), o)
	if err != nil {
		t.Fatal(err)
	}
	familytest.Compare(t, stored, "inner", got.Hidden, near)

	want, err := stored.Get("greedy")
	if err != nil {
		t.Fatal(err)
	}
	choose, err := textgen.New(textgen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var seen [][]float32
	ids, err := e.Generate(t.Context(), familytest.Runner{}, prompt(70), family.GenerateOptions{
		MaxLength: len(want.Data), Stop: []int32{}, Next: func(l []float32) (int32, error) { seen = append(seen, slices.Clone(l)); return choose.Next(l) },
	})
	if err != nil || len(ids) != len(want.Data) {
		t.Fatal(ids, err)
	}
	for i, id := range ids {
		if float32(id) != want.Data[i] {
			t.Errorf("tokens %v, want %v", ids, want.Data)
			break
		}
	}
	familytest.Compare(t, stored, "logits", &tensor.Tensor{Shape: []int{2, 96}, Data: append(seen[0], seen[len(seen)-1]...)}, near)

	row := prompt(11)[0]
	with := tokenizer.Tokens{slices.Insert(slices.Clone(row), 5, tokenizer.Token{Image: golden.Image("qwen35/image", 1, 75, 118, 3), Weight: 1})}
	if got, err = e.Encode(t.Context(), familytest.Runner{}, with, o); err != nil {
		t.Fatal(err)
	}
	familytest.Compare(t, stored, "image", got.Hidden, golden.Tolerance{RMSRel: 1e-4})
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	x := tensor.New(1, 32, 32, 3)
	for want, p := range map[string]family.Prompt{
		"<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n<think>\n</think>\n":                                                                    {Text: "hi"},
		"<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|><|vision_start|><|image_pad|><|vision_end|>hi<|im_end|>\n<|im_start|>assistant\n": {Text: "hi", Thinking: true, Images: []*tensor.Tensor{x, x}},
		"<|im_start|>mine": {Text: "<|im_start|>mine"},
	} {
		if got := qwen35.Write(p); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// located is a file at a path.
type located struct {
	weights.Source
	path string
}

func (l located) Path() string { return l.path }

// TestWords reads a vocabulary beside the file; if it is missing, the error states its location.
func TestWords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := qwen35.New(located{dryrun.List(""), filepath.Join(dir, "te.safetensors")}, config)
	if _, err := e.Tokenize("a", family.TokenizeOptions{}); err == nil || !strings.Contains(err.Error(), "qwen35_tokenizer") {
		t.Errorf("no vocabulary: %v", err)
	}
	folder := filepath.Join(dir, "qwen35_tokenizer")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"vocab.json": `{"a":0,"b":1,"Ġ":2,"ab":9}`, "merges.txt": "a b\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := e.Tokenize("ab b<|im_end|><think>", family.TokenizeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var ids []int32
	for _, tok := range got[0] {
		ids = append(ids, tok.ID)
	}
	if want := []int32{9, 2, 1, 248046, 248068}; !slices.Equal(ids, want) {
		t.Errorf("%v, want %v", ids, want)
	}
	if text, err := e.Decode(append(ids, 248076)); err != nil || text != "ab b<think>" {
		t.Errorf("%q, %v", text, err)
	}
}

// list are the shapes of a file of 2048 values a token, four layers and few heads.
func list(width int) string {
	var b strings.Builder
	root := "model.language_model."
	fmt.Fprintf(&b, "%sembed_tokens.weight 96 %d\n%snorm.weight %d\n", root, width, root, width)
	for i := range 4 {
		l := fmt.Sprintf("%slayers.%d.", root, i)
		fmt.Fprintf(&b, "%sinput_layernorm.weight %d\n%spost_attention_layernorm.weight %d\n%smlp.gate_proj.weight 24 %d\n%smlp.up_proj.weight 24 %d\n%smlp.down_proj.weight %d 24\n", l, width, l, width, l, width, l, width, l, width)
		if i == 3 {
			fmt.Fprintf(&b, "%sself_attn.q_proj.weight 128 %d\n%sself_attn.k_proj.weight 32 %d\n%sself_attn.v_proj.weight 32 %d\n%sself_attn.o_proj.weight %d 64\n%sself_attn.q_norm.weight 32\n%sself_attn.k_norm.weight 32\n", l, width, l, width, l, width, l, width, l, l)
			continue
		}
		fmt.Fprintf(&b, "%slinear_attn.A_log 16\n%slinear_attn.dt_bias 16\n%slinear_attn.norm.weight 8\n%slinear_attn.conv1d.weight 384 1 4\n%slinear_attn.in_proj_qkv.weight 384 %d\n%slinear_attn.in_proj_z.weight 128 %d\n%slinear_attn.in_proj_a.weight 16 %d\n%slinear_attn.in_proj_b.weight 16 %d\n%slinear_attn.out_proj.weight %d 128\n", l, l, l, l, l, width, l, width, l, width, l, width, l, width)
	}
	return b.String()
}

func TestDetection(t *testing.T) {
	t.Parallel()
	for width, key := range map[int]string{1024: "qwen35_08b", 2048: "qwen35_2b", 2560: "qwen35_4b", 4096: "qwen35_9b", 64: "qwen35_2b"} {
		e, err := family.Open(family.Default, dryrun.List(list(width))).Text()
		if err != nil || e.Key() != key || e.Width() != width {
			t.Errorf("%d: %v, %v; want %s", width, e, err, key)
		}
	}
	nine, err := family.Open(family.Default, dryrun.List(list(4096))).Text()
	if err != nil {
		t.Fatal(err)
	}
	if err := nine.(family.Generator).CanGenerate(); err == nil || !strings.Contains(err.Error(), "lm_head.weight") {
		t.Errorf("a model without its output layer: %v", err)
	}
	wrong := strings.Replace(list(64), "linear_attn.A_log 16\n", "linear_attn.A_log 12\n", 1)
	if _, err := family.Open(family.Default, dryrun.List(wrong)).Text(); err == nil || !strings.Contains(err.Error(), "heads of keys") {
		t.Errorf("heads that do not divide: %v", err)
	}
	_, src := familytest.Recorded(t, "testdata/qwen35", "qwen35")
	e := qwen35.New(src, config)
	for want, tokens := range map[string]tokenizer.Tokens{"no vision tower": {{{Image: tensor.New(1, 4, 4, 3)}}}, "2 chunks": append(prompt(2), prompt(2)...)} {
		if _, err := e.Generate(t.Context(), familytest.Runner{}, tokens, family.GenerateOptions{MaxLength: 1}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q in it", err, want)
		}
	}
}

// TestKernels writes the graphs of pieces and of single tokens for CUDA.
func TestKernels(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/qwen35", "qwen35")
	for _, stored := range []dtype.DType{dtype.F32, dtype.F16, dtype.BF16} {
		e := qwen35.New(familytest.Stored(src, stored), config)
		for _, target := range familytest.Targets(t) {
			run := &dryrun.Runner{Spec: family.Spec{Target: target}}
			next := func([]float32) (int32, error) { return 1, nil }
			if _, err := e.Generate(t.Context(), run, prompt(3), family.GenerateOptions{MaxLength: 2, Stop: []int32{}, Next: next}); err != nil {
				t.Errorf("%s: %v", target.Compute, err)
			}
			for _, g := range run.Graphs {
				cudakernels.Check(t, g)
			}
		}
	}
}
