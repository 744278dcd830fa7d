package hf

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"comfygo/engine/tokenizer/unigram"
)

// AddedToken is a token that is found in the text itself, before the model processes it.
type AddedToken struct {
	ID      int32  `json:"id"`
	Content string `json:"content"`
	// SingleWord finds the token only where no letter, digit or underscore adjoins it.
	SingleWord bool `json:"single_word"`
	// LStrip and RStrip take in the white space before and after it.
	LStrip bool `json:"lstrip"`
	RStrip bool `json:"rstrip"`
	// Normalized finds it in normalized text instead of the original.
	Normalized bool `json:"normalized"`
	// Special leaves the token out of decoded text.
	Special bool `json:"special"`
}

// addedTokens finds added tokens.
type addedTokens struct {
	ids       map[string]int32
	byID      map[int32]AddedToken
	raw, late tokenSet
	max       int32
}

// tokenSet finds the tokens of one kind, the longest at each position.
type tokenSet struct {
	tokens []AddedToken
	find   *unigram.Prefixes
}

func newTokenSet(tokens []AddedToken, content func(AddedToken) string) tokenSet {
	texts := make([]string, len(tokens))
	for i, t := range tokens {
		texts[i] = content(t)
	}
	return tokenSet{tokens: tokens, find: unigram.NewPrefixes(texts, nil)}
}

func newAddedTokens(tokens []AddedToken, n normalizer) *addedTokens {
	a := &addedTokens{ids: make(map[string]int32, len(tokens)), byID: make(map[int32]AddedToken, len(tokens)), max: -1}
	var raw, late []AddedToken
	for _, t := range tokens {
		if t.Content == "" {
			continue
		}
		a.ids[t.Content] = t.ID
		a.byID[t.ID] = t
		a.max = max(a.max, t.ID)
		if t.Normalized {
			late = append(late, t)
		} else {
			raw = append(raw, t)
		}
	}
	a.raw = newTokenSet(raw, func(t AddedToken) string { return t.Content })
	a.late = newTokenSet(late, func(t AddedToken) string {
		if n == nil {
			return t.Content
		}
		return n.apply(t.Content)
	})
	return a
}

func (a *addedTokens) id(token string) (int32, bool) {
	id, ok := a.ids[token]
	return id, ok
}

func (a *addedTokens) size() int { return int(a.max) + 1 }

// extract divides text at the added tokens and normalizes the parts between them.
func (a *addedTokens) extract(text string, n normalizer) []part {
	var out []part
	for _, p := range a.raw.extract(nil, span{text: text, first: true}) {
		if p.added {
			out = append(out, p)
			continue
		}
		if n != nil {
			p.text = n.apply(p.text)
		}
		out = a.late.extract(out, p.span)
	}
	return out
}

// extract appends the parts of s.
func (t tokenSet) extract(out []part, s span) []part {
	text, from := s.text, 0
	plain := func(to int) {
		if from < to {
			out = append(out, part{span: span{text: text[from:to], first: s.first && from == 0}})
		}
	}
	if t.find.Len() == 0 {
		plain(len(text))
		return out
	}
	for at := 0; at < len(text); {
		n, i, ok := t.find.Longest(text[at:])
		if !ok {
			at++
			continue
		}
		start, end := at, at+n
		at = end
		tok := t.tokens[i]
		if tok.SingleWord && (endsInWord(text[:start]) || beginsWithWord(text[end:])) {
			continue
		}
		if tok.LStrip {
			start = max(len(strings.TrimRightFunc(text[:start], unicode.IsSpace)), from)
		}
		if tok.RStrip {
			end = len(text) - len(strings.TrimLeftFunc(text[end:], unicode.IsSpace))
			at = end
		}
		plain(start)
		out = append(out, part{added: true, id: tok.ID})
		from = end
	}
	plain(len(text))
	return out
}

func endsInWord(s string) bool {
	r, _ := utf8.DecodeLastRuneInString(s)
	return s != "" && wordRune(r)
}

func beginsWithWord(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return s != "" && wordRune(r)
}

// wordRune reports what \w matches in the library's regular expressions.
func wordRune(r rune) bool {
	return unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic) || r == 0x200c || r == 0x200d
}
