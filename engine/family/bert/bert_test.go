package bert_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
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

// located is a file at a path.
type located struct {
	weights.Source
	path string
}

func (l located) Path() string { return l.path }

// words is a vocabulary as large as that of the recorded network, with the special tokens in their places.
func words() []string {
	list := make([]string, 110)
	for i := range list {
		list[i] = fmt.Sprintf("[unused%d]", i)
	}
	for i, w := range map[int]string{0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]", 1: "a", 2: "photo", 3: "##graph", 4: "of", 5: "猫", 6: "cafe", 7: ","} {
		list[i] = w
	}
	return list
}

// TestTokens lays prompts out with a vocabulary beside the weights. The numbers are those of transformers' BertTokenizer 5.24
// for the same list.
func TestTokens(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	src, _ := open(t)
	e, err := family.Open(family.Default, located{src, filepath.Join(dir, "bert.safetensors")}).Text()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Tokenize("a", family.TokenizeOptions{}); err == nil || !strings.Contains(err.Error(), "hydit_clip_tokenizer") {
		t.Errorf("without a vocabulary: %v, want an error that says where to put it", err)
	}
	folder := filepath.Join(dir, "hydit_clip_tokenizer")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(path string, list []string) {
		if err := os.WriteFile(path, []byte(strings.Join(list, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	swapped := words()
	swapped[101], swapped[102] = swapped[102], swapped[101]
	for want, list := range map[string][]string{"109 words": words()[:109], "in line": swapped} {
		write(filepath.Join(dir, "vocab.txt"), list)
		if _, err := e.Tokenize("a", family.TokenizeOptions{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a vocabulary of another model: %v, want %q in it", err, want)
		}
	}
	write(filepath.Join(folder, "vocab.txt"), words()) // it takes precedence
	for prompt, want := range map[string][]int32{
		"":                             {101, 102, 0},
		"A Photograph of a [MASK], 猫猫": {101, 1, 2, 3, 4, 1, 103, 7, 5, 5, 102, 0},
		"Café photos":                  {101, 6, 100, 102, 0},
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
