package hf

import (
	"fmt"
	"unicode/utf8"
)

// wordPiece takes the longest token that a word begins with, then the longest that the rest begins with, and so on.
type wordPiece struct {
	vocab   map[string]int32
	unknown int32
	prefix  string // marks tokens inside a word
	longest int    // words of more characters are unknown
	top     int32
}

// wordPieceSpec is the model in tokenizer.json.
type wordPieceSpec struct {
	Vocab   map[string]int32 `json:"vocab"`
	Unknown string           `json:"unk_token"`
	Prefix  string           `json:"continuing_subword_prefix"`
	Longest int              `json:"max_input_chars_per_word"`
}

func (s wordPieceSpec) build() (*wordPiece, error) {
	unknown, ok := s.Vocab[s.Unknown]
	if !ok {
		return nil, fmt.Errorf("the unknown token %q is not in the vocabulary", s.Unknown)
	}
	top, err := highest(s.Vocab)
	return &wordPiece{vocab: s.Vocab, unknown: unknown, prefix: s.Prefix, longest: s.Longest, top: top}, err
}

func (w *wordPiece) id(token string) (int32, bool) {
	id, ok := w.vocab[token]
	return id, ok
}

func (w *wordPiece) size() int { return int(w.top) + 1 }

func (w *wordPiece) appendWord(ids []int32, word string) ([]int32, error) {
	if utf8.RuneCountInString(word) > w.longest {
		return append(ids, w.unknown), nil
	}
	at := len(ids)
	for from := 0; from < len(word); {
		to := len(word)
		for ; to > from; to -= lastRune(word[from:to]) {
			s := word[from:to]
			if from > 0 {
				s = w.prefix + s
			}
			if id, ok := w.vocab[s]; ok {
				ids = append(ids, id)
				break
			}
		}
		if to == from {
			return append(ids[:at], w.unknown), nil
		}
		from = to
	}
	return ids, nil
}

func lastRune(s string) int {
	_, n := utf8.DecodeLastRuneInString(s)
	return n
}
