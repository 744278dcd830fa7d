package hf_test

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/tokenizer/hf"
)

// goldens is the folder that testdata/make.py wrote; COMFYGO_HF_TOKENIZERS names a larger one.
func goldens() string {
	if dir := os.Getenv("COMFYGO_HF_TOKENIZERS"); dir != "" {
		return dir
	}
	return "testdata"
}

func read(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join(goldens(), name))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// ids returns, by file, strings with the ids that the tokenizers library gives.
func ids(tb testing.TB) map[string][][2]json.RawMessage {
	tb.Helper()
	f, err := os.Open(filepath.Join(goldens(), "ids.json.gz"))
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	zr, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	var sets map[string][][2]json.RawMessage
	if err := json.NewDecoder(zr).Decode(&sets); err != nil {
		tb.Fatal(err)
	}
	return sets
}

func check(t *testing.T, p *hf.Pipeline, cases [][2]json.RawMessage) {
	t.Helper()
	wrong := 0
	for _, c := range cases {
		var text string
		var want []int32
		if json.Unmarshal(c[0], &text) != nil || json.Unmarshal(c[1], &want) != nil {
			t.Fatalf("unreadable case %s", c[0])
		}
		got, err := p.Encode(text)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			if wrong++; wrong <= 5 {
				t.Errorf("%q gives %v, want %v", text, got, want)
			}
		}
	}
	t.Logf("%d of %d strings differ", wrong, len(cases))
}

func TestIDsEqualTheLibrary(t *testing.T) {
	t.Parallel()
	sets := ids(t)
	if len(sets) < 14 {
		t.Fatalf("%d tokenizers in the goldens", len(sets))
	}
	for name, cases := range sets {
		t.Run(strings.TrimSuffix(name, ".json"), func(t *testing.T) {
			t.Parallel()
			p, err := hf.Parse(read(t, name))
			if err != nil {
				t.Fatal(err)
			}
			check(t, p, cases)
		})
	}
}
