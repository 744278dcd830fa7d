package tokenizer_test

import (
	"encoding/json"
	"testing"

	"comfygo/engine/tensor"
	"comfygo/engine/tokenizer"
	"comfygo/tests/golden"
)

type goldenChunk struct {
	Len int               `json:"len"`
	IDs []json.RawMessage `json:"ids"`
	Pad []int32           `json:"pad"`
	W   json.RawMessage   `json:"w"`
}

type goldenPrompt struct {
	Prompt string                   `json:"prompt"`
	Tokens map[string][]goldenChunk `json:"tokens"`
}

// embTest is the first two columns of the embedding that the goldens were made with.
var embTest = &tensor.Tensor{Shape: []int{3, 2}, Data: []float32{
	0.13282710313796997, -0.39653700590133667, -0.43584591150283813, 0.04000043869018555, -0.44211047887802124, 0.04524362087249756,
}}

// lookup finds the embedding as a folder holding emb_test.safetensors does.
func lookup(name string) (*tensor.Tensor, bool) {
	return embTest, name == "emb_test" || name == "emb_test.safetensors"
}

// clipL is the tokenizer of CLIP ViT-L.
func clipL() *tokenizer.Tokenizer {
	return tokenizer.New(tokenizer.CLIP(), tokenizer.CLIPOptions(tokenizer.CLIPEnd))
}

func TestPromptsEqualUpstream(t *testing.T) {
	t.Parallel()
	var file struct {
		Sets map[string][]goldenPrompt `json:"sets"`
	}
	golden.JSON(t, "text/tokens", &file)
	sets := file.Sets
	for _, c := range []struct {
		set, key string
		tok      *tokenizer.Tokenizer
	}{
		{"sd15", "l", clipL()},
		{"sdxl", "g", tokenizer.New(tokenizer.CLIP(), tokenizer.CLIPOptions(0))},
		{"sd2", "h", tokenizer.New(tokenizer.CLIP(), tokenizer.CLIPOptions(0))},
	} {
		if len(sets[c.set]) == 0 {
			t.Fatalf("no prompts in the set %s", c.set)
		}
		for _, p := range sets[c.set] {
			t.Run(c.set+"/"+p.Prompt, func(t *testing.T) {
				t.Parallel()
				got, err := c.tok.Tokenize(p.Prompt, lookup)
				if err != nil {
					t.Fatal(err)
				}
				checkChunks(t, got, p.Tokens[c.key])
			})
		}
	}
}

func checkChunks(t *testing.T, got tokenizer.Tokens, want []goldenChunk) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d chunks, want %d", len(got), len(want))
	}
	for c, w := range want {
		if len(got[c]) != w.Len {
			t.Fatalf("chunk %d has %d tokens, want %d", c, len(got[c]), w.Len)
		}
		for i, tok := range got[c] {
			checkToken(t, c, i, tok, w)
		}
	}
}

func checkToken(t *testing.T, c, i int, got tokenizer.Token, want goldenChunk) {
	t.Helper()
	weight := 1.0
	var weights []float64
	if json.Unmarshal(want.W, &weights) == nil {
		weight = weights[min(i, len(weights)-1)]
	}
	if got.Weight != weight {
		t.Errorf("chunk %d token %d has weight %v, want %v", c, i, got.Weight, weight)
	}
	if i >= len(want.IDs) {
		if got.ID != want.Pad[0] || got.Embedding != nil {
			t.Errorf("chunk %d token %d is %d, want padding %d", c, i, got.ID, want.Pad[0])
		}
		return
	}
	var row struct {
		Embedding []float32 `json:"embedding_row"`
	}
	if want.IDs[i][0] == '{' {
		if err := json.Unmarshal(want.IDs[i], &row); err != nil {
			t.Fatal(err)
		}
		if len(got.Embedding) != 2 || got.Embedding[0] != row.Embedding[0] || got.Embedding[1] != row.Embedding[1] {
			t.Errorf("chunk %d token %d is %v, want the vector %v", c, i, got, row.Embedding)
		}
		return
	}
	var id int32
	if err := json.Unmarshal(want.IDs[i], &id); err != nil {
		t.Fatal(err)
	}
	if got.ID != id || got.Embedding != nil {
		t.Errorf("chunk %d token %d is %d, want %d", c, i, got.ID, id)
	}
}
