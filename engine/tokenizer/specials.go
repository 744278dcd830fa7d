package tokenizer

import (
	"fmt"
	"slices"
	"strings"
)

// Specials finds some tokens in the text itself before a vocabulary sees the rest: upstream adds them around SentencePiece
// models, which never produce special pieces from text (upstream: SPieceTokenizer).
type Specials struct {
	Model
	// Tokens are tried in order at each position.
	Tokens []Special
	// DropFirst leaves out the first id of a text that holds any of the tokens. Upstream cuts off the start token that
	// the vocabulary is expected to add, but with special tokens it adds none.
	DropFirst bool
}

// Special is a token and its spelling.
type Special struct {
	Text string
	ID   int32
}

// Encode implements Model.
func (s Specials) Encode(text string) ([]int32, error) {
	var ids []int32
	from, found := 0, false
	for at := 0; at < len(text); {
		t, ok := s.at(text[at:])
		if !ok {
			at++
			continue
		}
		var err error
		if ids, err = s.plain(ids, text[from:at]); err != nil {
			return nil, err
		}
		ids, found = append(ids, t.ID), true
		at += len(t.Text)
		from = at
	}
	ids, err := s.plain(ids, text[from:])
	if err == nil && found && s.DropFirst {
		ids = ids[1:]
	}
	return ids, err
}

func (s Specials) at(text string) (Special, bool) {
	for _, t := range s.Tokens {
		if t.Text != "" && strings.HasPrefix(text, t.Text) {
			return t, true
		}
	}
	return Special{}, false
}

func (s Specials) plain(ids []int32, text string) ([]int32, error) {
	if text == "" {
		return ids, nil
	}
	more, err := s.Model.Encode(text)
	return append(ids, more...), err
}

// Decode implements Decoder.
func (s Specials) Decode(ids []int32) (string, error) {
	d, ok := s.Model.(Decoder)
	if !ok {
		return "", fmt.Errorf("decoding tokens: the vocabulary cannot turn tokens into text")
	}
	return d.Decode(slices.DeleteFunc(slices.Clone(ids), func(id int32) bool {
		return slices.ContainsFunc(s.Tokens, func(t Special) bool { return t.ID == id })
	}))
}
