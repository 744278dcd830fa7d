package hf

import (
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"comfygo/engine/tokenizer/bpe"
)

// file is a tokenizer.json.
type file struct {
	Added        []AddedToken    `json:"added_tokens"`
	Normalizer   json.RawMessage `json:"normalizer"`
	PreTokenizer json.RawMessage `json:"pre_tokenizer"`
	Model        json.RawMessage `json:"model"`
	Decoder      *decoderSpec    `json:"decoder"`
}

// Parse reads a tokenizer.json.
func Parse(data []byte) (*Pipeline, error) {
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("reading tokenizer.json: %w", err)
	}
	m, err := readModel(f.Model)
	if err != nil {
		return nil, fmt.Errorf("reading tokenizer.json: %w", err)
	}
	n, err := readNormalizer(f.Normalizer)
	if err != nil {
		return nil, fmt.Errorf("reading tokenizer.json: %w", err)
	}
	p, err := readPreTokenizer(f.PreTokenizer)
	if err != nil {
		return nil, fmt.Errorf("reading tokenizer.json: %w", err)
	}
	out, err := newPipeline(m, n, p, f.Added)
	if err == nil && f.Decoder != nil {
		out.decode = f.Decoder.steps()
	}
	return out, err
}

func newPipeline(m model, n normalizer, p preTokenizer, added []AddedToken) (*Pipeline, error) {
	for _, t := range added {
		if t.ID < 0 {
			return nil, fmt.Errorf("the added token %q has the id %d", t.Content, t.ID)
		}
	}
	return &Pipeline{added: newAddedTokens(added, n), normalize: n, split: p, model: m}, nil
}

func readModel(raw json.RawMessage) (model, error) {
	var kind struct {
		Type   string          `json:"type"`
		Merges json.RawMessage `json:"merges"`
	}
	if len(raw) == 0 {
		return nil, errors.New("it has no model")
	}
	if err := json.Unmarshal(raw, &kind); err != nil {
		return nil, fmt.Errorf("reading the model: %w", err)
	}
	switch {
	case kind.Type == "BPE" || kind.Type == "" && kind.Merges != nil:
		return decode[bpeSpec](raw, func(s bpeSpec) (model, error) { return s.build() })
	case kind.Type == "Unigram":
		return decode[unigramSpec](raw, func(s unigramSpec) (model, error) { return s.build() })
	case kind.Type == "WordPiece":
		return decode[wordPieceSpec](raw, func(s wordPieceSpec) (model, error) { return s.build() })
	}
	return nil, fmt.Errorf("the model type %q is not supported; BPE, Unigram and WordPiece are", kind.Type)
}

func decode[S any](raw json.RawMessage, build func(S) (model, error)) (model, error) {
	var s S
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("reading the model: %w", err)
	}
	return build(s)
}

// The patterns that byte-level vocabularies split text by before merging.
const (
	// PatternGPT2 is GPT-2's.
	PatternGPT2 = gpt2
	// PatternLlama3 is the pattern of Llama 3 and of Mistral's Tekken: up to three digits together.
	PatternLlama3 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	// PatternQwen2 is the pattern of Qwen 2, 2.5 and 3: digits one by one.
	PatternQwen2 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// ByteLevel describes a byte-level BPE tokenizer given as separate files.
type ByteLevel struct {
	// Vocab is the content of vocab.json. Without it, ids follow from the merges: 256 bytes, then one token a merge.
	Vocab []byte
	// Merges is the content of merges.txt.
	Merges []byte
	// Pattern splits text into words before merging.
	Pattern string
	// NFC composes characters first, as Qwen does.
	NFC bool
	// Added are tokens found in the text itself; see AddedTokens.
	Added []AddedToken
}

// Build reads the files.
func (b ByteLevel) Build() (*Pipeline, error) {
	var s bpeSpec
	for line := range strings.SplitSeq(string(b.Merges), "\n") {
		line = strings.TrimRight(line, "\r")
		if line == "" || strings.HasPrefix(line, "#version") {
			continue
		}
		var m mergeSpec
		if err := m.parse(line); err != nil {
			return nil, fmt.Errorf("reading merges.txt: %w", err)
		}
		s.Merges = append(s.Merges, m)
	}
	if b.Vocab == nil {
		s.Vocab = vocabOfMerges(s.Merges)
	} else if err := json.Unmarshal(b.Vocab, &s.Vocab); err != nil {
		return nil, fmt.Errorf("reading vocab.json: %w", err)
	}
	m, err := s.build()
	if err != nil {
		return nil, err
	}
	split, err := byteLevelSplit(b.Pattern)
	if err != nil {
		return nil, err
	}
	var n normalizer
	if b.NFC {
		n, err = normalizerSpec{Type: "NFC"}.build()
	}
	if err != nil {
		return nil, err
	}
	return newPipeline(m, n, split, b.Added)
}

// byteLevelSplit splits by a pattern and shows bytes as characters.
func byteLevelSplit(regex string) (preTokenizer, error) {
	no := false
	return preTokenizerSpec{Type: "Sequence", Pretokenizers: []preTokenizerSpec{
		{Type: "Split", Pattern: pattern{Regex: regex}, Behavior: isolated},
		{Type: "ByteLevel", AddPrefixSpace: &no, UseRegex: &no},
	}}.build()
}

// vocabOfMerges numbers the tokens as GPT-2's vocabularies do.
func vocabOfMerges(merges []mergeSpec) map[string]int32 {
	vocab := make(map[string]int32, 256+len(merges))
	for i, b := range bpe.ByteRunes() {
		vocab[string(b.Rune)] = int32(i)
	}
	for i, m := range merges {
		vocab[m[0]+m[1]] = int32(256 + i)
	}
	return vocab
}

// AddedTokens reads "added_tokens_decoder" of a tokenizer_config.json, ordered by id.
func AddedTokens(config []byte) ([]AddedToken, error) {
	var c struct {
		Decoder map[string]AddedToken `json:"added_tokens_decoder"`
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, fmt.Errorf("reading tokenizer_config.json: %w", err)
	}
	out := make([]AddedToken, 0, len(c.Decoder))
	for key, t := range c.Decoder {
		id, err := strconv.ParseInt(key, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("reading tokenizer_config.json: the added token %q: %w", key, err)
		}
		t.ID = int32(id)
		out = append(out, t)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ID < out[j].ID })
	return out, nil
}

// BERT reads a vocab.txt (a token a line) of a lower-cased BERT model, such as Chinese RoBERTa.
func BERT(vocab []byte) (*Pipeline, error) {
	s := wordPieceSpec{Vocab: map[string]int32{}, Unknown: "[UNK]", Prefix: "##", Longest: 100}
	for i, line := range strings.Split(strings.TrimRight(string(vocab), "\n"), "\n") {
		s.Vocab[strings.TrimRight(line, "\r")] = int32(i)
	}
	m, err := s.build()
	if err != nil {
		return nil, fmt.Errorf("reading vocab.txt: %w", err)
	}
	split, err := preTokenizerSpec{Type: "BertPreTokenizer"}.build()
	if err != nil {
		return nil, err
	}
	var added []AddedToken
	for _, name := range []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"} {
		if id, ok := s.Vocab[name]; ok {
			added = append(added, AddedToken{ID: id, Content: name})
		}
	}
	return newPipeline(m, normalizerFunc(bertSpec{CleanText: true, Chinese: true, Lower: true}.apply), split, added)
}
