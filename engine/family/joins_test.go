package family_test

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/engine/tokenizer"
)

// padding is the token that masks end at.
const padding = 151643

// join is one scheme of testdata/joins.json.
type join struct {
	Type, Key string
	Layers    int
	Cases     []struct {
		Prompt      string
		Shape       []int
		First, Last []float32
		Masked      *int
	}
}

// TestJoinsEqualUpstream checks what schemes keep of an encoding: the states of token i are the number i, and of the k-th
// layer 1000k more (testdata/joins.py).
func TestJoinsEqualUpstream(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/joins.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []join
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	for _, j := range list {
		t.Run(j.Type, func(t *testing.T) {
			t.Parallel()
			scheme, entry, tok := find(t, j.Type, j.Key)
			for _, c := range j.Cases {
				tokens, err := entry.Tokenize(tok, family.Prompt{Text: c.Prompt}, family.TokenizeOptions{})
				if err != nil {
					t.Fatal(err)
				}
				parts := map[string]family.Encoding{j.Key: states(tokens, j.Layers, entry.Options.ReturnMask), "clip_l": {Pooled: tensor.New(1, 1)}}
				got, err := scheme.Join(parts)
				if err != nil {
					t.Fatal(err)
				}
				n, w := got.Hidden.Dim(1), got.Hidden.Dim(2)
				first, last := got.Hidden.Data[:w], got.Hidden.Data[(n-1)*w:]
				if !slices.Equal(got.Hidden.Shape, c.Shape) || !slices.Equal(first, c.First) || !slices.Equal(last, c.Last) {
					t.Errorf("%q: %v from %v to %v, want %v from %v to %v", c.Prompt, got.Hidden.Shape, first, last, c.Shape, c.First, c.Last)
				}
				if masked := zeros(got.Mask); (masked == nil) != (c.Masked == nil) || masked != nil && *masked != *c.Masked {
					t.Errorf("%q: the mask is %v", c.Prompt, got.Mask)
				}
			}
		})
	}
}

func find(t *testing.T, kind, key string) (family.Scheme, family.SchemeEncoder, family.Tokenizer) {
	t.Helper()
	for _, s := range family.Default.Schemes() {
		for _, e := range s.Encoders() {
			for _, f := range family.Default.Text() {
				if v, ok := f.(family.Vocabulary); ok && s.Type() == kind && e.Key == key && v.Tokenizer(key) != nil {
					return s, e, v.Tokenizer(key)
				}
			}
		}
	}
	t.Fatalf("there is no scheme of type %s with %s", kind, key)
	return nil, family.SchemeEncoder{}, nil
}

// states is the encoding of tokens whose states are their numbers.
func states(tokens tokenizer.Tokens, layers int, masked bool) family.Encoding {
	n := len(tokens[0])
	e := family.Encoding{Hidden: tensor.New(1, n, 1), Tokens: tokens}
	if layers > 1 {
		e.Hidden = tensor.New(1, layers, n, 1)
	}
	for i := range e.Hidden.Data {
		e.Hidden.Data[i] = float32(i%n + 1000*(i/n))
	}
	if !masked {
		return e
	}
	e.Mask = tensor.New(1, n)
	for i, tok := range tokens[0] {
		if tok.ID == padding {
			break
		}
		e.Mask.Data[i] = 1
	}
	return e
}

func zeros(mask *tensor.Tensor) *int {
	if mask == nil {
		return nil
	}
	n := 0
	for _, v := range mask.Data {
		if v == 0 {
			n++
		}
	}
	return &n
}
