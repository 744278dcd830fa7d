package hf

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"

	"comfygo/engine/tokenizer/bpe"
)

// tekkenFile is a Mistral Tekken vocabulary: byte strings by rank, and special tokens.
type tekkenFile struct {
	Config struct {
		Vocab    int32 `json:"default_vocab_size"`
		Specials int32 `json:"default_num_special_tokens"`
	} `json:"config"`
	Vocab []struct {
		Rank  int32  `json:"rank"`
		Bytes []byte `json:"token_bytes"`
	} `json:"vocab"`
	Specials []struct {
		Rank  int32   `json:"rank"`
		Text  string  `json:"token_str"`
		Bytes *[]byte `json:"token_bytes"`
	} `json:"special_tokens"`
}

// Tekken reads a Mistral Tekken vocabulary (the content of tekken.json or of a tekken_model tensor). Tokens are joined in
// the order of their ids; upstream: text_encoders/bpe_tokenizer.py.
func Tekken(data []byte) (*Pipeline, error) {
	var f tekkenFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("reading a Tekken vocabulary: %w", err)
	}
	ids := make(map[string]int32, len(f.Vocab)+len(f.Specials))
	var added []AddedToken
	special := map[string]bool{}
	for _, s := range f.Specials {
		if s.Bytes != nil {
			s.Text = string(*s.Bytes)
			ids[s.Text], special[s.Text] = s.Rank, true
		}
		added = append(added, AddedToken{ID: s.Rank, Content: s.Text, Special: true})
	}
	var tokens []string
	for _, v := range f.Vocab {
		if v.Rank < 0 || len(v.Bytes) == 0 {
			return nil, fmt.Errorf("reading a Tekken vocabulary: the token of rank %d has %d bytes", v.Rank, len(v.Bytes))
		}
		if v.Rank < f.Config.Vocab-f.Config.Specials {
			ids[string(v.Bytes)] = v.Rank + f.Config.Specials
			if !special[string(v.Bytes)] {
				tokens = append(tokens, string(v.Bytes))
			}
		}
	}
	slices.SortStableFunc(tokens, func(a, b string) int { return cmp.Compare(ids[a], ids[b]) })
	spec := bpeSpec{Vocab: make(map[string]int32, len(tokens))}
	for _, t := range tokens {
		spec.Vocab[shown(t)] = ids[t]
	}
	for _, t := range tokens {
		spec.Merges = append(spec.Merges, tekkenMerges(t, ids)...)
	}
	split, err := byteLevelSplit(PatternLlama3)
	if err != nil {
		return nil, err
	}
	m, err := spec.build()
	if err != nil {
		return nil, fmt.Errorf("reading a Tekken vocabulary: %w", err)
	}
	return newPipeline(m, nil, split, added)
}

// tekkenMerges lists the pairs of tokens that make up token, lowest ids first.
func tekkenMerges(token string, ids map[string]int32) []mergeSpec {
	type halves struct{ left, right string }
	var out []halves
	for i := 1; i < len(token); i++ {
		left, right := token[:i], token[i:]
		_, ok1 := ids[left]
		_, ok2 := ids[right]
		if ok1 && ok2 {
			out = append(out, halves{left, right})
		}
	}
	slices.SortStableFunc(out, func(a, b halves) int {
		return cmp.Or(cmp.Compare(ids[a.left], ids[b.left]), cmp.Compare(ids[a.right], ids[b.right]))
	})
	merges := make([]mergeSpec, len(out))
	for i, h := range out {
		merges[i] = mergeSpec{shown(h.left), shown(h.right)}
	}
	return merges
}

// shown is a byte string in the printable characters of byte-level vocabularies.
func shown(s string) string {
	out := make([]byte, 0, 2*len(s))
	for i := range len(s) {
		out = utf8.AppendRune(out, byteRunes[s[i]])
	}
	return string(out)
}

var byteRunes = func() (runes [256]rune) {
	for _, b := range bpe.ByteRunes() {
		runes[b.Value] = b.Rune
	}
	return runes
}()
