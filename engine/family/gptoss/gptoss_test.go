package gptoss_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/gptoss"
	"comfygo/engine/tensor"
	"comfygo/engine/tokenizer"
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// small is the network of testdata/record.py.
var small = gptoss.Config{Width: 32, Layers: 4, Vocab: 40, Heads: 4, KVHeads: 2, HeadDim: 16, Experts: 6, Inner: 24, Active: 4, Window: 3, Selected: []int{1, 3}}

// TestEqualsUpstream compares the states after two layers; torch's own error in float32 is about 1e-6.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/gptoss", "gptoss")
	e := gptoss.New(src, small)
	got := tensor.New(2, 7, 64)
	for i, row := range [][]int32{{1, 39, 7, 7, 20, 3, 11}, {5, 6, 38, 2, 1, 0, 9}} {
		var tokens []tokenizer.Token
		for _, id := range row {
			tokens = append(tokens, tokenizer.Token{ID: id, Weight: 1})
		}
		out, err := e.Encode(t.Context(), familytest.Runner{}, tokenizer.Tokens{tokens}, family.EncodeOptions{ReturnMask: true})
		if err != nil || !slices.Equal(out.Mask.Shape, []int{1, 7}) {
			t.Fatal(err, out.Mask)
		}
		copy(got.Index(i).Data, out.Hidden.Data)
		for _, target := range familytest.Targets(t) {
			run := &dryrun.Runner{Spec: family.Spec{Target: target}}
			if _, err := gptoss.New(familytest.Stored(src, target.Compute), small).Encode(t.Context(), run, tokenizer.Tokens{tokens}, family.EncodeOptions{}); err != nil {
				t.Fatal(err)
			}
			cudakernels.Check(t, run.Graphs[0])
		}
	}
	familytest.Compare(t, stored, "states", got, golden.Tolerance{RMSRel: 1e-5})
}

// list is a file of 24 layers with the names of real ones.
func list() string {
	b := &strings.Builder{}
	fmt.Fprintln(b, "embed_tokens.weight 40 32\nnorm.weight 32\ntokenizer_json 1")
	for i := range 24 {
		for _, line := range []string{
			"input_layernorm.weight 32", "post_attention_layernorm.weight 32", "self_attn.sinks 4", "self_attn.q_proj.weight 64 32", "self_attn.k_proj.weight 32 32",
			"self_attn.v_proj.weight 32 32", "self_attn.o_proj.weight 32 64", "mlp.router.weight 6 32", "mlp.router.bias 6",
			"mlp.experts.gate_up_proj.weight 6 48 32", "mlp.experts.gate_up_proj.bias 6 48", "mlp.experts.down_proj.weight 6 32 24", "mlp.experts.down_proj.bias 6 32",
		} {
			fmt.Fprintf(b, "layers.%d.%s\n", i, line)
		}
	}
	return b.String()
}

func TestDetection(t *testing.T) {
	t.Parallel()
	e, err := family.Open(family.Default, dryrun.List(list())).Text()
	if err != nil || e.Key() != gptoss.Key || e.Width() != 32 {
		t.Fatalf("%v, %v", e, err)
	}
	if n, ok := e.Weights().Lookup("layers.3.mlp.experts.5.down_proj.weight"); !ok || !slices.Equal(n.Shape, []int{32, 24}) {
		t.Errorf("an expert's weight is %v", n)
	}
	for want, text := range map[string]string{
		"24 layers":  strings.ReplaceAll(list(), "layers.23.", "layers.99."),
		"40 experts": strings.ReplaceAll(list(), "gate_up_proj.weight 6", "gate_up_proj.weight 40"),
		"embed":      strings.ReplaceAll(list(), "embed_tokens", "tokens"),
	} {
		if _, err := family.Open(family.Default, dryrun.List(text)).Text(); err == nil {
			t.Errorf("%s: no error", want)
		}
	}
	if _, err := e.Tokenize("a cat", family.TokenizeOptions{}); err == nil {
		t.Error("a file without tokenizer: no error")
	}
}

// TestText lays prompts out by a tokenizer of words, and leaves the chat before them out of the encoding.
func TestText(t *testing.T) {
	t.Parallel()
	var scheme family.Single
	for _, s := range family.Default.Schemes() {
		if one, ok := s.(family.Single); ok && s.Type() == gptoss.Loader {
			scheme = one
		}
	}
	words := func(text string, _ family.TokenizeOptions) (tokenizer.Tokens, error) {
		var row []tokenizer.Token
		for range strings.Fields(text) {
			row = append(row, tokenizer.Token{ID: 1, Weight: 1})
		}
		return tokenizer.Tokens{row}, nil
	}
	for text, want := range map[string]int{" ": 1, "a cat": 61, strings.Repeat("word ", 1000): 512} {
		out, err := scheme.Encoder.Tokenize(words, family.Prompt{Text: text}, family.TokenizeOptions{})
		if err != nil || len(out) != 1 || len(out[0]) != want {
			t.Errorf("%.10q: %d tokens, want %d, %v", text, len(out[0]), want, err)
		}
	}
	_, src := familytest.Recorded(t, "testdata/gptoss", "gptoss")
	empty, err := scheme.Encoder.Tokenize(words, family.Prompt{}, family.TokenizeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := scheme.Encoder.Run(t.Context(), family.SchemeCall{Net: gptoss.New(src, small), Runner: familytest.Runner{}, Tokens: map[string]tokenizer.Tokens{gptoss.Key: empty}})
	if err != nil || !slices.Equal(e.Hidden.Shape, []int{1, 1, 64}) || e.Mask.Data[0] != 0 {
		t.Fatalf("%+v, %v", e, err)
	}
	if e, err = scheme.Finish(e, nil); err != nil || e.Hidden.Dim(1) != 1 {
		t.Errorf("an empty prompt: %v, %v", e.Hidden, err)
	}
	long := family.Encoding{Hidden: tensor.New(1, 120, 2), Mask: tensor.New(1, 120)}
	if e, err = scheme.Finish(long, nil); err != nil || e.Hidden.Dim(1) != 23 || e.Mask.Dim(1) != 23 {
		t.Errorf("a prompt of 23 tokens: %v, %v", e.Hidden, err)
	}
}
