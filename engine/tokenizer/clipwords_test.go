package tokenizer_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"

	"comfygo/engine/tokenizer"
)

type cleaning struct {
	Cases  [][2]json.RawMessage `json:"cases"`
	Ranges [][2]rune            `json:"ranges"`
	SHA256 string               `json:"sha256"`
}

func readCleaning(t *testing.T) cleaning {
	t.Helper()
	data, err := os.ReadFile("testdata/cleaning.json")
	if err != nil {
		t.Fatal(err)
	}
	var c cleaning
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// plain returns the ids of a short text whose parentheses mean nothing, without marks and padding.
func plain(t *testing.T, tok *tokenizer.Tokenizer, text string) []int32 {
	t.Helper()
	chunks, err := tok.Tokenize(text, nil)
	if err != nil || len(chunks) != 1 {
		t.Fatalf("%q gives %d chunks, %v", text, len(chunks), err)
	}
	var ids []int32
	for _, tk := range chunks[0][1:] {
		if tk.WordID > 0 {
			ids = append(ids, tk.ID)
		}
	}
	return ids
}

// unweighted is CLIP's tokenizer with chunks of n tokens, reading parentheses as text.
func unweighted(n int) *tokenizer.Tokenizer {
	opts := tokenizer.CLIPOptions(0)
	opts.MaxLength, opts.Unweighted = n, true
	return tokenizer.New(tokenizer.CLIP(), opts)
}

func TestMixedStringsEqualUpstream(t *testing.T) {
	t.Parallel()
	tok := unweighted(256)
	for _, c := range readCleaning(t).Cases {
		var text string
		var want []int32
		if json.Unmarshal(c[0], &text) != nil || json.Unmarshal(c[1], &want) != nil {
			t.Fatalf("unreadable case %s", c[0])
		}
		if got := plain(t, tok, text); !slices.Equal(got, want) {
			t.Errorf("%q gives %v, want %v", text, got, want)
		}
	}
}

func TestEveryCodePointEqualsUpstream(t *testing.T) {
	t.Parallel()
	c := readCleaning(t)
	tok := unweighted(32)
	h := sha256.New()
	for _, r := range c.Ranges {
		for p := r[0]; p <= r[1]; p++ {
			fmt.Fprintf(h, "%d:", p)
			for i, id := range plain(t, tok, "a"+string(p)+"b") {
				if i > 0 {
					h.Write([]byte{','})
				}
				fmt.Fprint(h, id)
			}
			h.Write([]byte{'\n'})
		}
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != c.SHA256 {
		t.Errorf("the tokens of all code points hash to %s, want %s", got, c.SHA256)
	}
}
