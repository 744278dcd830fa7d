package jina_test

import (
	"os"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/jina"
	"comfygo/engine/tensor"
	"comfygo/engine/tokenizer"
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

func tokens() tokenizer.Tokens {
	var row []tokenizer.Token
	for _, id := range []int32{0, 5, 17, 9, 33, 2, 1, 1} {
		row = append(row, tokenizer.Token{ID: id, Weight: 1})
	}
	return tokenizer.Tokens{row}
}

// TestEqualsUpstream compares states and the pooled output with padding hidden; torch's own error in float32 is about 1e-6.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/jina", "jina")
	e, err := family.Open(family.Default, src).Text()
	if err != nil || e.Key() != jina.Key || e.Width() != 128 {
		t.Fatal(e, err)
	}
	got, err := e.Encode(t.Context(), familytest.Runner{}, tokens(), family.EncodeOptions{Masked: true, ReturnMask: true})
	if err != nil {
		t.Fatal(err)
	}
	familytest.Compare(t, stored, "out", got.Hidden, golden.Tolerance{RMSRel: 1e-5})
	familytest.Compare(t, stored, "pooled", got.Pooled, golden.Tolerance{RMSRel: 1e-5})
	if want := []float32{1, 1, 1, 1, 1, 1, 0, 0}; len(got.Mask.Data) != 8 || got.Mask.Data[5] != want[5] || got.Mask.Data[6] != want[6] {
		t.Errorf("mask %v, want %v", got.Mask.Data, want)
	}
	if _, err := e.Tokenize("a", family.TokenizeOptions{}); err == nil || !strings.Contains(err.Error(), "spiece_model") {
		t.Errorf("a file without a tokenizer: %v", err)
	}
}

// TestNewBie: the encoding is Gemma's, the pooled one Jina's, and both files are needed.
func TestNewBie(t *testing.T) {
	t.Parallel()
	for _, s := range family.Default.Schemes() {
		if s.Name() != "NewBie" {
			continue
		}
		hidden, pooled := tensor.New(1, 2, 3), tensor.New(1, 4)
		got, err := s.Join(map[string]family.Encoding{"gemma3_4b": {Hidden: hidden}, jina.Key: {Hidden: tensor.New(1, 5, 4), Pooled: pooled}})
		if err != nil || got.Hidden != hidden || got.Pooled != pooled {
			t.Errorf("%v, %v", got, err)
		}
		if _, err := s.Join(map[string]family.Encoding{jina.Key: {}}); err == nil || !strings.Contains(err.Error(), "gemma3_4b") {
			t.Errorf("one encoder alone: %v", err)
		}
		return
	}
	t.Error("no scheme")
}

func TestWrongShape(t *testing.T) {
	t.Parallel()
	src := dryrun.List("model.encoder.layers.0.mixer.Wqkv.weight 30 10\nmodel.embeddings.word_embeddings.weight 9 10\n")
	if _, err := family.Open(family.Default, src).Text(); err == nil || !strings.Contains(err.Error(), "word_embeddings [9 10]") {
		t.Errorf("%v", err)
	}
}

func TestKernels(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/jina", "jina")
	for _, stored := range []dtype.DType{dtype.F32, dtype.F16, dtype.BF16} {
		e, err := family.Open(family.Default, familytest.Stored(src, stored)).Text()
		if err != nil {
			t.Fatal(err)
		}
		for _, target := range familytest.Targets(t) {
			run := &dryrun.Runner{Spec: family.Spec{Target: target}}
			if _, err := e.Encode(t.Context(), run, tokens(), family.EncodeOptions{Masked: true}); err != nil {
				t.Errorf("%s: %v", target.Compute, err)
			}
			for _, g := range run.Graphs {
				cudakernels.Check(t, g)
			}
		}
	}
}
