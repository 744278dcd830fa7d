package hf

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"comfygo/engine/tokenizer/unigram"
)

// unigramModel is a unigram language model as the tokenizers library runs it: all pieces, also special ones, can come
// out, and scores are float64.
type unigramModel struct {
	unigram.Model
	ids          map[string]int32
	byteFallback bool
}

// unigramSpec is the model in tokenizer.json.
type unigramSpec struct {
	Vocab        []scored `json:"vocab"`
	Unknown      *int32   `json:"unk_id"`
	ByteFallback bool     `json:"byte_fallback"`
}

// scored is ["piece", score].
type scored struct {
	piece string
	score float64
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *scored) UnmarshalJSON(data []byte) error {
	var pair [2]json.RawMessage
	if err := json.Unmarshal(data, &pair); err != nil {
		return err
	}
	if err := json.Unmarshal(pair[0], &s.piece); err != nil {
		return err
	}
	var n json.Number
	err := json.Unmarshal(pair[1], &n)
	if s.score = approximate(string(n)); err == nil && math.IsInf(s.score, 0) {
		err = fmt.Errorf("the score %s of %q is out of range", n, s.piece)
	}
	return err
}

// approximate reads a JSON number as the tokenizers library does: the digits that fit into 64 bits, then one division or
// multiplication by a power of ten. The last bit may differ from the nearest float64, and with it which of two equally
// likely segmentations wins.
func approximate(number string) float64 {
	digits, negative := strings.CutPrefix(number, "-")
	mantissa, exp, _ := strings.Cut(strings.ToLower(digits), "e")
	exponent, _ := strconv.Atoi(exp)
	whole, fraction, _ := strings.Cut(mantissa, ".")
	var significand uint64
	full := false
	for i, c := range whole + fraction {
		next := significand*10 + uint64(c-'0')
		full = full || significand > (math.MaxUint64-uint64(c-'0'))/10
		switch {
		case !full:
			significand = next
			if i >= len(whole) {
				exponent--
			}
		case i < len(whole):
			exponent++
		}
	}
	f := float64(significand)
	for exponent < -308 && f != 0 {
		f, exponent = f/1e308, exponent+308
	}
	switch {
	case f == 0:
	case exponent < 0:
		f /= math.Pow10(-exponent)
	default:
		f *= math.Pow10(exponent)
	}
	if negative {
		return -f
	}
	return f
}

// unknownPenalty is the cost of an unknown character beyond the least likely piece.
const unknownPenalty = 10

func (s unigramSpec) build() (*unigramModel, error) {
	if len(s.Vocab) == 0 {
		return nil, errors.New("the vocabulary is empty")
	}
	if s.Unknown != nil && (*s.Unknown < 0 || int(*s.Unknown) >= len(s.Vocab)) {
		return nil, fmt.Errorf("the unknown token %d is not in the vocabulary of %d", *s.Unknown, len(s.Vocab))
	}
	m := &unigramModel{ids: make(map[string]int32, len(s.Vocab)), byteFallback: s.ByteFallback}
	m.Unknown = -1
	if s.Unknown != nil {
		m.Unknown = *s.Unknown
	}
	pieces := make([]string, len(s.Vocab))
	m.Scores = make([]float64, len(s.Vocab))
	least := math.Inf(1)
	for i, v := range s.Vocab {
		pieces[i], m.Scores[i] = v.piece, v.score
		m.ids[v.piece] = int32(i)
		least = min(least, v.score)
	}
	m.UnknownScore = least - unknownPenalty
	m.Pieces = unigram.NewPrefixes(pieces, nil)
	return m, nil
}

func (m *unigramModel) id(token string) (int32, bool) {
	id, ok := m.ids[token]
	return id, ok
}

func (m *unigramModel) size() int { return len(m.Scores) }

// errNoUnknown reports text that the vocabulary does not cover.
var errNoUnknown = errors.New("a character has no token and the vocabulary has no unknown token")

func (m *unigramModel) appendWord(ids []int32, word string) ([]int32, error) {
	segments := m.Segment(word)
	for i := 0; i < len(segments); i++ {
		s := segments[i]
		if s.ID != m.Unknown {
			ids = append(ids, s.ID)
			continue
		}
		for i+1 < len(segments) && segments[i+1].ID == m.Unknown { // neighbouring unknown characters become one
			i++
			s.End = segments[i].End
		}
		var err error
		if ids, err = m.appendUnknown(ids, word[s.Start:s.End]); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

func (m *unigramModel) appendUnknown(ids []int32, text string) ([]int32, error) {
	if id, ok := m.ids[text]; ok {
		return append(ids, id), nil
	}
	if m.byteFallback {
		at := len(ids)
		for i := range len(text) {
			id, ok := m.ids[byteToken(text[i])]
			if !ok {
				ids = ids[:at]
				break
			}
			ids = append(ids, id)
		}
		if len(ids) > at {
			return ids, nil
		}
	}
	if m.Unknown < 0 {
		return nil, errNoUnknown
	}
	return append(ids, m.Unknown), nil
}
