package hf

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"comfygo/engine/tokenizer/bpe"
)

// bpeModel is a byte pair vocabulary over characters (which byte-level pre-tokenizers make of bytes).
type bpeModel struct {
	vocab  map[string]int32
	merges bpe.Merges
	// unknown is the id of the unknown token; -1: characters without a token are left out.
	unknown int32
	prefix  string // put before every character but a word's first
	suffix  string // put after a word's last character
	bpeSwitches
	top int32

	once   sync.Once
	tokens map[int32]string // by id, for decoding
}

// bpeSwitches are settings of the model in tokenizer.json.
type bpeSwitches struct {
	FuseUnknown  bool `json:"fuse_unk"`
	ByteFallback bool `json:"byte_fallback"`
	// IgnoreMerges encodes a word that is itself a token as that token, without merges.
	IgnoreMerges bool `json:"ignore_merges"`
}

// bpeSpec is the model in tokenizer.json.
type bpeSpec struct {
	Vocab   map[string]int32 `json:"vocab"`
	Merges  []mergeSpec      `json:"merges"`
	Unknown *string          `json:"unk_token"`
	Prefix  *string          `json:"continuing_subword_prefix"`
	Suffix  *string          `json:"end_of_word_suffix"`
	bpeSwitches
}

// mergeSpec is a merge: "left right" or ["left","right"].
type mergeSpec [2]string

// UnmarshalJSON implements json.Unmarshaler.
func (m *mergeSpec) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '[' {
		return json.Unmarshal(data, (*[2]string)(m))
	}
	var line string
	if err := json.Unmarshal(data, &line); err != nil {
		return err
	}
	return m.parse(line)
}

func (m *mergeSpec) parse(line string) error {
	left, right, ok := strings.Cut(line, " ")
	if !ok || strings.Contains(right, " ") {
		return fmt.Errorf("the merge %q does not join two tokens", line)
	}
	*m = mergeSpec{left, right}
	return nil
}

func (s bpeSpec) build() (*bpeModel, error) {
	m := &bpeModel{vocab: s.Vocab, merges: bpe.New(len(s.Merges)), unknown: -1, bpeSwitches: s.bpeSwitches}
	if s.Prefix != nil {
		m.prefix = *s.Prefix
	}
	if s.Suffix != nil {
		m.suffix = *s.Suffix
	}
	if s.Unknown != nil {
		id, ok := s.Vocab[*s.Unknown]
		if !ok {
			return nil, fmt.Errorf("the unknown token %q is not in the vocabulary", *s.Unknown)
		}
		m.unknown = id
	}
	var err error
	if m.top, err = highest(s.Vocab); err != nil {
		return nil, err
	}
	for rank, pair := range s.Merges {
		left, ok1 := s.Vocab[pair[0]]
		right, ok2 := s.Vocab[pair[1]]
		to, ok3 := s.Vocab[pair[0]+strings.TrimPrefix(pair[1], m.prefix)]
		if !ok1 || !ok2 || !ok3 {
			return nil, fmt.Errorf("merge %d of %q and %q: they and what they make are not all in the vocabulary", rank, pair[0], pair[1])
		}
		m.merges.Add(left, right, bpe.Merge{Rank: int32(rank), ID: to})
	}
	return m, nil
}

// highest returns the greatest id of a vocabulary.
func highest(vocab map[string]int32) (int32, error) {
	top := int32(-1)
	for token, id := range vocab {
		if id < 0 {
			return 0, fmt.Errorf("the token %q has the id %d", token, id)
		}
		top = max(top, id)
	}
	if top < 0 {
		return 0, fmt.Errorf("the vocabulary is empty")
	}
	return top, nil
}

func (m *bpeModel) id(token string) (int32, bool) {
	id, ok := m.vocab[token]
	return id, ok
}

func (m *bpeModel) size() int { return int(m.top) + 1 }

func (m *bpeModel) appendWord(ids []int32, word string) ([]int32, error) {
	if id, ok := m.vocab[word]; ok && m.IgnoreMerges {
		return append(ids, id), nil
	}
	at := len(ids)
	pending := false // an unknown token that is still to be appended
	for i := 0; i < len(word); {
		_, n := utf8.DecodeRuneInString(word[i:])
		s := word[i : i+n]
		if i > 0 {
			s = m.prefix + s
		}
		if i += n; i == len(word) {
			s += m.suffix
		}
		id, ok := m.vocab[s]
		if !ok {
			var fellBack bool
			if ids, fellBack = m.fallBack(ids, s); fellBack || m.unknown < 0 {
				continue
			}
			if pending && !m.FuseUnknown {
				ids = append(ids, m.unknown)
			}
			pending = true
			continue
		}
		if pending {
			ids, pending = append(ids, m.unknown), false
		}
		ids = append(ids, id)
	}
	if pending {
		ids = append(ids, m.unknown)
	}
	return ids[:at+len(m.merges.Apply(ids[at:]))], nil
}

// fallBack appends the byte tokens of s, if the model uses them and has them all.
func (m *bpeModel) fallBack(ids []int32, s string) ([]int32, bool) {
	if !m.ByteFallback {
		return ids, false
	}
	at := len(ids)
	for i := range len(s) {
		id, ok := m.vocab[byteToken(s[i])]
		if !ok {
			return ids[:at], false
		}
		ids = append(ids, id)
	}
	return ids, true
}

// byteToken is how byte fallback spells a byte.
func byteToken(b byte) string { return fmt.Sprintf("<0x%02X>", b) }
