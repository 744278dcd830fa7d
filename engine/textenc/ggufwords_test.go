package textenc_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
	"comfygo/engine/tokenizer/sentencepiece"
	"comfygo/engine/weights"
	"comfygo/tests/gguftest"
)

func openGGUF(t *testing.T, f *gguftest.File) weights.Source {
	t.Helper()
	f.Tensor("x", []int{2}, []float32{1, 2})
	path := filepath.Join(t.TempDir(), "words.gguf")
	if err := os.WriteFile(path, f.Encoded(), 0o600); err != nil {
		t.Fatal(err)
	}
	src, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = src.Close() })
	return src
}

var phrases = []string{"", "a photo of a cat", "  two  spaces\n\tand lines", "Größe 猫 🐈 <end_of_turn>", "1234567 x² it's", "ﬁne ½ Ⅷ"}

// TestGGUFPieces checks that a SentencePiece model means the same in a GGUF file's header as in a file of its own.
func TestGGUFPieces(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"bpe-bytes", "unigram"} {
		data, err := os.ReadFile("../tokenizer/sentencepiece/testdata/" + name + ".model")
		if err != nil {
			t.Fatal(err)
		}
		want, err := sentencepiece.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		f := &gguftest.File{}
		f.Pieces(want.Parts())
		got, err := textenc.GGUF(openGGUF(t, f))
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range phrases {
			a, err1 := got.Encode(text)
			b, err2 := want.Encode(text)
			if err1 != nil || err2 != nil || !slices.Equal(a, b) {
				t.Errorf("%s: %q gives %v, %v; want %v, %v", name, text, a, err1, b, err2)
			}
		}
	}
}

func TestGGUFBytes(t *testing.T) {
	t.Parallel()
	f := &gguftest.File{}
	f.Text("tokenizer.ggml.model", "gpt2")
	f.Text("tokenizer.ggml.pre", "llama-bpe")
	f.Texts("tokenizer.ggml.tokens", []string{"a", "b", "ab", "Ġ", "Ġab", "<|end|>", "<tool>"})
	f.Ints("tokenizer.ggml.token_type", []int32{1, 1, 1, 1, 1, 3, 4})
	f.Texts("tokenizer.ggml.merges", []string{"a b", "Ġ ab"})
	m, err := textenc.GGUF(openGGUF(t, f))
	if err != nil {
		t.Fatal(err)
	}
	ids, err := m.Encode("ab ab<|end|>ba<tool>")
	if want := []int32{2, 4, 5, 1, 0, 6}; err != nil || !slices.Equal(ids, want) {
		t.Errorf("%v, %v; want %v", ids, err, want)
	}
	if text, err := m.(tokenizer.Decoder).Decode(ids); err != nil || text != "ab abba<tool>" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestGGUFWithoutWords(t *testing.T) {
	t.Parallel()
	if m, err := textenc.GGUF(openGGUF(t, &gguftest.File{})); m != nil || err != nil {
		t.Errorf("%v, %v; want neither", m, err)
	}
	for want, change := range map[string]func(f *gguftest.File){
		`kind "bert"`: func(f *gguftest.File) { f.Text("tokenizer.ggml.model", "bert") },
		`pre-tokenizer "falcon"`: func(f *gguftest.File) {
			f.Text("tokenizer.ggml.model", "gpt2")
			f.Text("tokenizer.ggml.pre", "falcon")
		},
		"0 scores": func(f *gguftest.File) { f.Text("tokenizer.ggml.model", "llama") },
		"wanted numbers": func(f *gguftest.File) {
			f.Text("tokenizer.ggml.model", "llama")
			f.Texts("tokenizer.ggml.token_type", []string{"x"})
		},
		"2 types": func(f *gguftest.File) {
			f.Text("tokenizer.ggml.model", "gpt2")
			f.Ints("tokenizer.ggml.token_type", []int32{1, 1})
		},
		"merges": func(f *gguftest.File) {
			f.Text("tokenizer.ggml.model", "gpt2")
			f.Texts("tokenizer.ggml.merges", []string{"a\nb"})
		},
	} {
		f := &gguftest.File{}
		f.Texts("tokenizer.ggml.tokens", []string{"a"})
		change(f)
		if _, err := textenc.GGUF(openGGUF(t, f)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q in it", err, want)
		}
	}
	f := &gguftest.File{}
	f.Ints("tokenizer.ggml.tokens", []int32{1})
	if _, err := textenc.GGUF(openGGUF(t, f)); err == nil || !strings.Contains(err.Error(), "wanted texts") {
		t.Errorf("numbers as tokens: %v", err)
	}
}
