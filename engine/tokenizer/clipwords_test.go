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

// plain returns the ids of a text by the vocabulary alone.
func plain(t *testing.T, text string) []int32 {
	t.Helper()
	ids, err := tokenizer.CLIP().Encode(text)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return ids
}

func TestMixedStringsEqualUpstream(t *testing.T) {
	t.Parallel()
	for _, c := range readCleaning(t).Cases {
		var text string
		var want []int32
		if json.Unmarshal(c[0], &text) != nil || json.Unmarshal(c[1], &want) != nil {
			t.Fatalf("unreadable case %s", c[0])
		}
		if got := plain(t, text); !slices.Equal(got, want) {
			t.Errorf("%q gives %v, want %v", text, got, want)
		}
	}
}

func TestEveryCodePointEqualsUpstream(t *testing.T) {
	t.Parallel()
	c := readCleaning(t)
	h := sha256.New()
	for _, r := range c.Ranges {
		for p := r[0]; p <= r[1]; p++ {
			fmt.Fprintf(h, "%d:", p)
			for i, id := range plain(t, "a"+string(p)+"b") {
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
