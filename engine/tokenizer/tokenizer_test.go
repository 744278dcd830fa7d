package tokenizer_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"comfygo/engine/tensor"
	"comfygo/engine/tokenizer"
)

func TestWeights(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		prompt string
		want   []tokenizer.Segment
	}{
		{"", nil},
		{"(a:١.٥)", []tokenizer.Segment{{Text: "a", Weight: 1.5}}},
		{"(a:1_0.5)", []tokenizer.Segment{{Text: "a", Weight: 10.5}}},
		{"(a:1__0)", []tokenizer.Segment{{Text: "a:1__0", Weight: 1.1}}},
		{"(a:0x10)", []tokenizer.Segment{{Text: "a:0x10", Weight: 1.1}}},
		{"(a:1e999)", []tokenizer.Segment{{Text: "a", Weight: math.Inf(1)}}},
		{")(a:1.2)", []tokenizer.Segment{{Text: ")(a:1.2)", Weight: 1}}},
		{"x) (b) y", []tokenizer.Segment{{Text: "x) (b) y", Weight: 1}}},
		{`\(a\) (b\):2)`, []tokenizer.Segment{{Text: "(a) ", Weight: 1}, {Text: "b)", Weight: 2}}},
	} {
		got, err := tokenizer.ParseWeights(c.prompt)
		if err != nil || len(got) != len(c.want) {
			t.Errorf("%q gives %v, %v; want %v", c.prompt, got, err, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%q: part %d is %v, want %v", c.prompt, i, got[i], c.want[i])
			}
		}
	}
}

func TestAbsurdNestingIsAnError(t *testing.T) {
	t.Parallel()
	_, err := clipL().Tokenize(strings.Repeat("(", 1e5)+"a"+strings.Repeat(")", 1e5), nil)
	if err == nil {
		t.Error("no error for 100000 nested parentheses")
	}
}

func TestEmbeddingNames(t *testing.T) {
	t.Parallel()
	row := &tensor.Tensor{Shape: []int{2}, Data: []float32{1, 2}}
	for _, c := range []struct {
		prompt        string
		rows, missing int
		asked         string
	}{
		{"embedding:one", 1, 0, "one"},
		{"a embedding:one[x] b", 1, 0, "one"},
		{"embedding: one", 1, 0, "one"},
		{"embedding:,one,", 1, 0, ",one, one"},
		{"xembedding:one", 0, 0, ""},
		{"embedding:", 0, 1, ""},
		{"embedding:two", 0, 1, "two"},
	} {
		missing := 0
		var asked []string
		opts := tokenizer.CLIPOptions(0)
		opts.Missing = func(string) { missing++ }
		tok := tokenizer.New(tokenizer.CLIP(), opts)
		chunks, err := tok.Tokenize(c.prompt, func(name string) (*tensor.Tensor, bool) {
			asked = append(asked, name)
			return row, name == "one"
		})
		if err != nil {
			t.Fatal(err)
		}
		rows := 0
		for _, tk := range chunks[0] {
			if tk.Embedding != nil {
				rows++
			}
		}
		if got := strings.Join(asked, " "); rows != c.rows || missing != c.missing || got != c.asked {
			t.Errorf("%q: %d vectors, %d missing, asked %q; want %d, %d, %q", c.prompt, rows, missing, got, c.rows, c.missing, c.asked)
		}
	}
}

// One endless word must not take the square of its length.
func TestEndlessWordIsQuick(t *testing.T) {
	t.Parallel()
	start := time.Now()
	chunks, err := clipL().Tokenize(strings.Repeat("q", 1<<18), nil)
	if err != nil || len(chunks) < 100 {
		t.Fatalf("%d chunks, %v", len(chunks), err)
	}
	if d := time.Since(start); d > 30*time.Second {
		t.Errorf("one word of 262144 letters took %v", d)
	}
}

func FuzzTokenize(f *testing.F) {
	for _, s := range []string{"", "a (b:1.2) c", `\(`, "embedding:x, (y", "<|endoftext|>", "İ\xff", "((a:nan)", "日本 \x00\x01"} {
		f.Add(s)
	}
	tok := clipL()
	row := &tensor.Tensor{Shape: []int{9, 1}, Data: make([]float32, 9)}
	f.Fuzz(func(t *testing.T, prompt string) {
		chunks, err := tok.Tokenize(prompt, func(name string) (*tensor.Tensor, bool) { return row, len(name) == 1 })
		if err != nil {
			return
		}
		for _, chunk := range chunks {
			if len(chunk) != 77 || chunk[0].ID != tokenizer.CLIPStart {
				t.Fatalf("a chunk of %d tokens beginning with %d", len(chunk), chunk[0].ID)
			}
			for _, tk := range chunk {
				if tk.ID < 0 || int(tk.ID) >= tokenizer.CLIPVocab {
					t.Fatalf("id %d is out of range", tk.ID)
				}
			}
		}
	})
}

func BenchmarkTokenize(b *testing.B) {
	tok := clipL()
	prompt := "masterpiece, best quality, 1girl, solo, (detailed background:1.2), a white house under a blue sky, [lowres]"
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tok.Tokenize(prompt, nil); err != nil {
			b.Fatal(err)
		}
	}
}
