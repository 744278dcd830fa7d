package textenc

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"comfygo/engine/tokenizer"
	"comfygo/engine/tokenizer/hf"
	"comfygo/engine/tokenizer/sentencepiece"
	"comfygo/engine/weights"
)

// The keys under which a GGUF file's header holds a vocabulary.
const (
	ggufTokens   = "tokenizer.ggml.tokens"
	ggufScores   = "tokenizer.ggml.scores"
	ggufTypes    = "tokenizer.ggml.token_type"
	ggufMerges   = "tokenizer.ggml.merges"
	ggufCharsmap = "tokenizer.ggml.precompiled_charsmap"
	ggufModel    = "tokenizer.ggml.model"
	ggufPattern  = "tokenizer.ggml.pre"
	ggufPrefix   = "tokenizer.ggml.add_space_prefix"
	ggufSpaces   = "tokenizer.ggml.remove_extra_whitespaces"
)

// The types of tokens that are found in the text itself.
const (
	typeControl = 3
	typeUser    = 4
)

// GGUF returns the vocabulary in the header of a GGUF file, or nil. It fails for vocabularies other than
// SentencePiece and byte-level BPE.
func GGUF(src weights.Source) (tokenizer.Model, error) {
	tokens, err := weights.GGUFTexts(src, ggufTokens)
	if err != nil || tokens == nil {
		return nil, err
	}
	types, err := weights.GGUFNumbers(src, ggufTypes)
	if err != nil {
		return nil, err
	}
	meta := src.Metadata()
	var m tokenizer.Model
	switch kind := meta[ggufModel]; kind {
	case "llama", "t5":
		m, err = ggufPieces(src, tokens, types, kind == "t5")
	case "gpt2":
		m, err = ggufBytes(src, tokens, types, meta[ggufPattern])
	default:
		err = fmt.Errorf("the kind %q is not supported; llama, t5 and gpt2 are", kind)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the tokenizer of %s: %w", src.Path(), err)
	}
	return m, nil
}

// ggufPieces reads a SentencePiece model.
func ggufPieces(src weights.Source, tokens []string, types []float64, unigram bool) (tokenizer.Model, error) {
	scores, err := weights.GGUFNumbers(src, ggufScores)
	if err != nil {
		return nil, err
	}
	rules, err := weights.GGUFNumbers(src, ggufCharsmap)
	if err != nil {
		return nil, err
	}
	meta := src.Metadata()
	parts := sentencepiece.Parts{
		Pieces: tokens, Unigram: unigram, DummyPrefix: meta[ggufPrefix] != "false", RemoveSpaces: unigram && meta[ggufSpaces] != "false" || meta[ggufSpaces] == "true",
	}
	for _, v := range scores {
		parts.Scores = append(parts.Scores, float32(v))
	}
	for _, v := range types {
		parts.Kinds = append(parts.Kinds, int(v))
	}
	for _, v := range rules {
		parts.Charsmap = append(parts.Charsmap, byte(int(v)))
	}
	return sentencepiece.New(parts)
}

// patterns are the expressions by which byte-level vocabularies split text, by GGUF's names.
var patterns = map[string]string{
	"llama-bpe": hf.PatternLlama3, "llama3": hf.PatternLlama3, "llama-v3": hf.PatternLlama3, "tekken": hf.PatternLlama3, "smaug-bpe": hf.PatternLlama3,
	"qwen2": hf.PatternQwen2, "gpt-2": hf.PatternGPT2, "": hf.PatternGPT2,
}

// ggufBytes reads a byte-level vocabulary.
func ggufBytes(src weights.Source, tokens []string, types []float64, pattern string) (tokenizer.Model, error) {
	split, ok := patterns[pattern]
	if !ok {
		return nil, fmt.Errorf("the pre-tokenizer %q is not supported", pattern)
	}
	merges, err := weights.GGUFTexts(src, ggufMerges)
	if err != nil {
		return nil, err
	}
	if types != nil && len(types) != len(tokens) || slices.ContainsFunc(merges, func(m string) bool { return strings.ContainsAny(m, "\r\n") }) {
		return nil, fmt.Errorf("%d tokens with %d types, or merges of several lines", len(tokens), len(types))
	}
	ids := make(map[string]int32, len(tokens))
	var added []hf.AddedToken
	for i, text := range tokens {
		if types != nil && (types[i] == typeControl || types[i] == typeUser) {
			added = append(added, hf.AddedToken{ID: int32(i), Content: text, Special: types[i] == typeControl})
			continue
		}
		ids[text] = int32(i)
	}
	vocab, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	return hf.ByteLevel{Vocab: vocab, Merges: []byte(strings.Join(merges, "\n")), Pattern: split, NFC: pattern == "qwen2", Added: added}.Build()
}

// Vocabulary returns the vocabulary that embedded reads from a tensor of the file, or the one in the header of a GGUF file without
// that tensor.
func Vocabulary(src weights.Source, key, what string, embedded func(data []byte) (tokenizer.Model, error)) (tokenizer.Model, error) {
	if _, ok := src.Lookup(key); !ok {
		if m, err := GGUF(src); m != nil || err != nil {
			return m, err
		}
	}
	data, err := Embedded(src, key, what)
	if err != nil {
		return nil, err
	}
	return embedded(data)
}
