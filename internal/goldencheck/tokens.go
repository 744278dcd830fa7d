package goldencheck

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/engine/tokenizer"
)

// tokenChunk is one row of tokens; a run of equal ones at the end is cut to one, and Pad holds it.
type tokenChunk struct {
	Len int               `json:"len"`
	IDs []json.RawMessage `json:"ids"`
	Pad []int32           `json:"pad"`
	W   json.RawMessage   `json:"w"` // 1, or a weight for each of IDs
}

type tokenPrompt struct {
	Prompt string                  `json:"prompt"`
	Tokens map[string][]tokenChunk `json:"tokens"`
	Error  string                  `json:"error"`
}

// checkTokens compares what tokenizers make of prompts. A golden is one tokenizer of one set.
func checkTokens(ctx context.Context, r *run, f *file) error {
	var g struct {
		Sets map[string][]tokenPrompt `json:"sets"`
	}
	if err := f.decode(&g); err != nil {
		return err
	}
	for _, set := range slices.Sorted(maps.Keys(g.Sets)) {
		encoders := map[string]bool{}
		for _, p := range g.Sets[set] {
			for name := range p.Tokens {
				encoders[name] = true
			}
		}
		if len(encoders) == 0 {
			r.note(f, set, "", unavailable("upstream itself failed on each of the %d prompts", len(g.Sets[set])))
		}
		for _, name := range slices.Sorted(maps.Keys(encoders)) {
			detail, err := r.tokenSet(ctx, set, name, g.Sets[set])
			r.note(f, set+" "+name, detail, err)
		}
	}
	return nil
}

// tokenSet tokenizes the prompts of a set for one of its encoders.
func (r *run) tokenSet(_ context.Context, set, encoder string, prompts []tokenPrompt) (string, error) {
	scheme, tok, err := schemeOf(set, encoder)
	if err != nil {
		return "", err
	}
	var errs []error
	count := 0
	for _, p := range prompts {
		want, ok := p.Tokens[encoder]
		if !ok {
			continue
		}
		count++
		got, err := scheme.Tokenize(tok, family.Prompt{Text: p.Prompt}, family.TokenizeOptions{
			Embedding: func(name string) (*tensor.Tensor, bool) { return embeddingRows(name, prompts) },
		})
		if err == nil {
			err = compareTokens(got, want)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("prompt %.60q: %w", p.Prompt, err))
		}
	}
	if len(errs) > 0 {
		return "", fmt.Errorf("%d of %d prompts differ; %w", len(errs), count, errs[0])
	}
	return fmt.Sprintf("%d prompts", count), nil
}

// setTypes are the loader types of sets that are called otherwise.
var setTypes = map[string]string{
	"sd15": "stable_diffusion", "sd2": "stable_diffusion", "aura": "auraflow", "z_image": "lumina2", "klein": "flux2", "longcat": "longcat_image",
}

// encoderKeys are the keys of encoders that sets call otherwise.
var encoderKeys = map[string]string{"l": "clip_l", "g": "clip_g", "h": "clip_h"}

// otherKeys are those of encoders that have another key in a set alone.
var otherKeys = map[string]string{"cosmos t5xxl": "t5xxl_old"}

// schemeOf returns an encoder of the scheme of a set, as upstream names it, and its tokenizer.
func schemeOf(set, encoder string) (family.SchemeEncoder, family.Tokenizer, error) {
	kind, key := set, encoder
	if t, ok := setTypes[set]; ok {
		kind = t
	}
	if k, ok := encoderKeys[encoder]; ok {
		key = k
	}
	if k, ok := otherKeys[set+" "+encoder]; ok {
		key = k
	}
	schemes := family.Default.Schemes()
	if encoder == "l" && !slices.ContainsFunc(schemes, func(s family.Scheme) bool { return s.Type() == kind }) {
		// CLIP-L makes the same tokens in every scheme, so it is recognised in a set of an unknown name, too. The padding of CLIP-G
		// differs.
		kind = ""
	}
	for _, s := range schemes {
		for _, e := range s.Encoders() {
			if kind != "" && s.Type() != kind || e.Key != key {
				continue
			}
			if e.Alone != nil {
				return e, e.Alone, nil
			}
			for _, f := range family.Default.Text() {
				if v, ok := f.(family.Vocabulary); ok && v.Tokenizer(key) != nil {
					return e, v.Tokenizer(key), nil
				}
			}
		}
	}
	return family.SchemeEncoder{}, nil, unavailable("the tokenizer %s of %s is not built into the program", encoder, set)
}

// embeddingRows returns the textual inversion of the prompts; goldens hold the first two values of each vector.
func embeddingRows(name string, prompts []tokenPrompt) (*tensor.Tensor, bool) {
	if name != "emb_test" && name != "emb_test.safetensors" {
		return nil, false
	}
	for _, p := range prompts {
		if p.Prompt != "embedding:emb_test" {
			continue
		}
		for _, chunks := range p.Tokens {
			if len(chunks) == 0 {
				continue
			}
			out := &tensor.Tensor{Shape: []int{0, 2}}
			for _, id := range chunks[0].IDs {
				if row := embeddingRow(id); len(row) == 2 {
					out.Data = append(out.Data, row...)
					out.Shape[0]++
				}
			}
			if out.Shape[0] > 0 {
				return out, true
			}
		}
	}
	return nil, false
}

// embeddingRow returns the stored values of an embedding's vector, or nil for the number of a token.
func embeddingRow(id json.RawMessage) []float32 {
	var row struct {
		Embedding []float32 `json:"embedding_row"`
	}
	if json.Unmarshal(id, &row) != nil {
		return nil
	}
	return row.Embedding
}

func compareTokens(got tokenizer.Tokens, want []tokenChunk) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d chunks, want %d", len(got), len(want))
	}
	for c, w := range want {
		if len(got[c]) != w.Len {
			return fmt.Errorf("chunk %d has %d tokens, want %d", c, len(got[c]), w.Len)
		}
		var weights []float64
		if len(w.W) > 0 && w.W[0] == '[' {
			if err := json.Unmarshal(w.W, &weights); err != nil {
				return err
			}
		}
		for i, tok := range got[c] {
			if err := compareToken(tok, i, w, weights); err != nil {
				return fmt.Errorf("chunk %d token %d: %w", c, i, err)
			}
		}
	}
	return nil
}

func compareToken(got tokenizer.Token, i int, want tokenChunk, weights []float64) error {
	weight := 1.0
	if len(weights) > 0 {
		weight = weights[min(i, len(weights)-1)]
	}
	if got.Weight != weight {
		return fmt.Errorf("weight %v, want %v", got.Weight, weight)
	}
	id := int32(0)
	switch {
	case i >= len(want.IDs) && len(want.Pad) == 0:
		return fmt.Errorf("the golden has no padding")
	case i >= len(want.IDs):
		id = want.Pad[0]
	default:
		if row := embeddingRow(want.IDs[i]); len(row) > 0 {
			if n := min(len(row), len(got.Embedding)); n == 0 || !slices.Equal(got.Embedding[:n], row[:n]) {
				return fmt.Errorf("%v, want a vector that begins with %v", got, row)
			}
			return nil
		}
		if err := json.Unmarshal(want.IDs[i], &id); err != nil {
			return err
		}
	}
	if got.ID != id || got.Embedding != nil {
		return fmt.Errorf("%d, want %d", got.ID, id)
	}
	return nil
}
