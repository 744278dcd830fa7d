// Package hf reads tokenizers in the formats of Hugging Face's tokenizers library (tokenizer.json; vocab.json with
// merges.txt; vocab.txt) and encodes text as that library does: added tokens, normalizer, pre-tokenizer, model.
//
// Characters are classified and composed by the Unicode version of Go's tables; the library's own are older in places
// (BERT: 8.0, NFKC: 12.0), so that newer characters may give other tokens.
//
// Post-CPUs are left out: start and end tokens belong to tokenizer.Options.
package hf

import "fmt"

// Pipeline encodes text. It may be used by several goroutines at once.
type Pipeline struct {
	added     *addedTokens
	normalize normalizer   // nil: none
	split     preTokenizer // nil: none
	model     model
	decode    []decodeStep // of DecodeAll; nil: none
}

// model turns one word, as the pre-tokenizer leaves it, into ids.
type model interface {
	appendWord(ids []int32, word string) ([]int32, error)
	id(token string) (int32, bool)
	size() int
}

// Encode implements tokenizer.Model.
func (p *Pipeline) Encode(text string) ([]int32, error) {
	var ids []int32
	for _, part := range p.added.extract(text, p.normalize) {
		if part.added {
			ids = append(ids, part.id)
			continue
		}
		words := []span{part.span}
		if p.split != nil {
			words = p.split.split(words)
		}
		for _, w := range words {
			if w.text == "" {
				continue
			}
			var err error
			if ids, err = p.model.appendWord(ids, w.text); err != nil {
				return nil, fmt.Errorf("encoding %.40q: %w", w.text, err)
			}
		}
	}
	return ids, nil
}

// ID returns the id of a token: an added one or one of the vocabulary.
func (p *Pipeline) ID(token string) (int32, bool) {
	if id, ok := p.added.id(token); ok {
		return id, true
	}
	return p.model.id(token)
}

// Size returns the number of ids; every id is below it.
func (p *Pipeline) Size() int { return max(p.model.size(), p.added.size()) }

// span is a part of the text under work.
type span struct {
	text string
	// first reports that the part begins where the input begins.
	first bool
}

// part is a span, or the place of an added token.
type part struct {
	span
	added bool
	id    int32
}
