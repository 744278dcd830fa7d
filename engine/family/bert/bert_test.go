package bert_test

import (
	"os"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/bert"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// near is ten times what float32 is off after two layers, at least 1e-5.
var near = golden.Tolerance{RMSRel: 1e-5}

func open(t *testing.T) (weights.Source, family.TextEncoder) {
	t.Helper()
	src, err := weights.Open("testdata/bert.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = src.Close() })
	e, err := family.Open(family.Default, src).Text()
	if err != nil || e.Key() != bert.Key {
		t.Fatal(e, err)
	}
	return src, e
}

func tokens() tokenizer.Tokens {
	row := make([]tokenizer.Token, 10)
	for i, id := range []int32{101, 5, 17, 90, 3, 102} {
		row[i].ID = id
	}
	for i := range row {
		row[i].Weight = 1
	}
	return tokenizer.Tokens{row}
}

// TestRecorded compares with upstream's module (testdata/record.py).
func TestRecorded(t *testing.T) {
	t.Parallel()
	src, e := open(t)
	for name, o := range map[string]family.EncodeOptions{
		"golden.plain": {}, "golden.masked": {Masked: true}, "golden.inner": {Masked: true, Layer: -2},
	} {
		got, err := e.Encode(t.Context(), familytest.Runner{}, tokens(), o)
		if err != nil {
			t.Fatal(err)
		}
		entry, _ := src.Lookup(name)
		want, err := weights.Float32s(entry)
		if err != nil {
			t.Fatal(err)
		}
		golden.Compare(t, name, got.Hidden.Data, want, near)
	}
}

// TestTokens compares with transformers' BertTokenizer on upstream's vocabulary.
func TestTokens(t *testing.T) {
	t.Parallel()
	_, e := open(t)
	for prompt, want := range map[string][]int32{
		"":                        {101, 102, 0},
		"A Photo of a [MASK] cat": {101, 143, 9020, 8205, 143, 103, 10165, 102, 0},
	} {
		got, err := e.Tokenize(prompt, family.TokenizeOptions{})
		if err != nil || len(got) != 1 || len(got[0]) != 77 {
			t.Fatal(got, err)
		}
		for i, id := range want {
			if got[0][i].ID != id {
				t.Errorf("%q: token %d is %d, want %d", prompt, i, got[0][i].ID, id)
			}
		}
	}
}

func TestTooLong(t *testing.T) {
	t.Parallel()
	_, e := open(t)
	long := tokenizer.Tokens{append(tokens()[0], append(tokens()[0], tokens()[0]...)...)}
	if _, err := e.Encode(t.Context(), familytest.Runner{}, long, family.EncodeOptions{}); err == nil {
		t.Error("no error for more tokens than there are positions")
	}
}

func TestKernels(t *testing.T) {
	t.Parallel()
	src, _ := open(t)
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
