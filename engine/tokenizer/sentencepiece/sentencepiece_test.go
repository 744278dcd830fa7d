package sentencepiece_test

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"comfygo/engine/tokenizer/sentencepiece"
)

// goldens is the folder that testdata/make.py wrote; COMFYGO_SENTENCEPIECE names a larger one.
func goldens() string {
	if dir := os.Getenv("COMFYGO_SENTENCEPIECE"); dir != "" {
		return dir
	}
	return "testdata"
}

func load(tb testing.TB, name string) *sentencepiece.Processor {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join(goldens(), name))
	if err != nil {
		tb.Fatal(err)
	}
	p, err := sentencepiece.Parse(data)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func TestIDsEqualTheLibrary(t *testing.T) {
	t.Parallel()
	f, err := os.Open(filepath.Join(goldens(), "ids.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zr, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var sets map[string][][2]json.RawMessage
	if err := json.NewDecoder(zr).Decode(&sets); err != nil {
		t.Fatal(err)
	}
	if len(sets) < 5 {
		t.Fatalf("%d models in the goldens", len(sets))
	}
	for name, cases := range sets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := load(t, name)
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
		})
	}
}

func TestWrongModels(t *testing.T) {
	t.Parallel()
	whole, err := os.ReadFile(filepath.Join("testdata", "unigram.model"))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"empty":           nil,
		"truncated":       whole[:len(whole)/2],
		"no unknown":      []byte("\x0a\x03\x0a\x01a"),
		"twice":           []byte("\x0a\x03\x0a\x01a\x0a\x03\x0a\x01a"),
		"empty piece":     []byte("\x0a\x02\x0a\x00"),
		"wrong byte":      []byte("\x0a\x05\x0a\x01a\x18\x06"),
		"score":           []byte("\x0a\x08\x0a\x01a\x15\x00\x00\xc0\x7f"),
		"word model":      append(slices.Clone(whole), "\x12\x02\x18\x03"...),
		"character map":   append(slices.Clone(whole), "\x1a\x05\x12\x03abc"...),
		"no byte pieces":  append(slices.Clone(whole), "\x12\x03\x98\x02\x01"...),
		"second unknown":  append(slices.Clone(whole), "\x0a\x05\x0a\x01\x01\x18\x02"...),
		"field too large": []byte("\x0a\xff\xff\xff\xff\x0f"),
	} {
		if _, err := sentencepiece.Parse(data); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestPieces(t *testing.T) {
	t.Parallel()
	p := load(t, "unigram.model")
	for piece, want := range map[string]int32{"<pad>": 0, "</s>": 1, "<unk>": 2} {
		if id, ok := p.ID(piece); !ok || id != want {
			t.Errorf("%s is %d, %t; want %d", piece, id, ok, want)
		}
	}
	if _, ok := p.ID("no piece"); ok || p.Size() < 100 {
		t.Errorf("a piece too many among %d", p.Size())
	}
}

// FuzzParse must neither panic nor hang on any model, and ids stay below Size.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"unigram.model", "bpe.model", "unigram-suffix.model", "bpe-bytes.model"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, "a photo\u00a0of <|im_start|> é\U0001f600\xff")
	}
	f.Fuzz(func(t *testing.T, data []byte, text string) {
		p, err := sentencepiece.Parse(data)
		if err != nil {
			return
		}
		got, err := p.Encode(text)
		if err != nil {
			return
		}
		for _, id := range got {
			if id < 0 || int(id) >= p.Size() {
				t.Fatalf("id %d with %d pieces", id, p.Size())
			}
		}
	})
}
