package tokenizer_test

import (
	"slices"
	"testing"

	"comfygo/engine/tokenizer"
)

// lengths is a vocabulary that encodes a text as one id, its length.
type lengths struct{}

func (lengths) Encode(text string) ([]int32, error) { return []int32{int32(len(text))}, nil }

func TestSpecials(t *testing.T) {
	t.Parallel()
	tokens := []tokenizer.Special{{Text: "<eot>", ID: 100}, {Text: "<eo", ID: 101}}
	for _, c := range []struct {
		text string
		drop bool
		want []int32
	}{
		{"abc", true, []int32{3}},
		{"", true, nil},
		{"ab<eot>cde<eox", false, []int32{2, 100, 3, 101, 1}},
		{"ab<eot>cde", true, []int32{100, 3}},
		{"<eot><eot>", true, []int32{100}},
	} {
		got, err := tokenizer.Specials{Model: lengths{}, Tokens: tokens, DropFirst: c.drop}.Encode(c.text)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q (drop %t) gives %v, %v; want %v", c.text, c.drop, got, err, c.want)
		}
	}
}

// TestLayout checks the rules that CLIP does not use. The wanted chunks are those of upstream's SDTokenizer with a
// vocabulary of one id a word.
func TestLayout(t *testing.T) {
	t.Parallel()
	opts := func(change func(*tokenizer.Options)) tokenizer.Options {
		o := tokenizer.Options{Start: 8, End: 9, Pad: 7}
		change(&o)
		return o
	}
	for _, c := range []struct {
		name, prompt string
		opts         tokenizer.Options
		want         [][]int32
	}{
		{"no padding", "abc", opts(func(*tokenizer.Options) {}), [][]int32{{8, 3, 9}}},
		{"no special tokens", "abc", opts(func(o *tokenizer.Options) { o.Start, o.End = tokenizer.None, tokenizer.None }), [][]int32{{3}}},
		{"least length", "abc", opts(func(o *tokenizer.Options) { o.MinLength = 5 }), [][]int32{{8, 3, 9, 7, 7}}},
		{"left", "abc", opts(func(o *tokenizer.Options) { o.MinLength, o.PadLeft = 5, true }), [][]int32{{7, 7, 8, 3, 9}}},
		{"least padding", "abc", opts(func(o *tokenizer.Options) { o.MinLength, o.MinPadding = 5, 1 }), [][]int32{{8, 3, 9, 7, 7}}},
		{"least padding alone", "abc", opts(func(o *tokenizer.Options) { o.MinPadding = 2 }), [][]int32{{8, 3, 9, 7, 7}}},
		{"full", "abc", opts(func(o *tokenizer.Options) { o.MaxLength, o.PadToMax = 4, true }), [][]int32{{8, 3, 9, 7}}},
		{"chunks", "a(b)(c)", opts(func(o *tokenizer.Options) { o.MaxLength, o.PadToMax = 4, true }), [][]int32{{8, 1, 1, 9}, {8, 1, 9, 7}}},
		{"unpadded chunks", "a(b)(c)", opts(func(o *tokenizer.Options) { o.MaxLength = 4 }), [][]int32{{8, 1, 1, 9}, {8, 1, 9}}},
		{"unweighted", `a\(b)\(c)`, opts(func(o *tokenizer.Options) { o.Unweighted = true }), [][]int32{{8, 7, 9}}},
	} {
		chunks, err := tokenizer.New(lengths{}, c.opts).Tokenize(c.prompt, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got [][]int32
		for _, chunk := range chunks {
			var ids []int32
			for _, tk := range chunk {
				ids = append(ids, tk.ID)
			}
			got = append(got, ids)
		}
		if !slices.EqualFunc(got, c.want, slices.Equal) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
