package hf

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
)

// preTokenizer divides text into words.
type preTokenizer interface {
	split(in []span) []span
}

// preTokenizerSpec is a pre-tokenizer in tokenizer.json.
type preTokenizerSpec struct {
	Type           string             `json:"type"`
	Pretokenizers  []preTokenizerSpec `json:"pretokenizers"`
	Pattern        pattern            `json:"pattern"`
	Behavior       string             `json:"behavior"`
	Invert         bool               `json:"invert"`
	AddPrefixSpace *bool              `json:"add_prefix_space"`
	UseRegex       *bool              `json:"use_regex"`
	Replacement    string             `json:"replacement"`
	Prepend        string             `json:"prepend_scheme"`
	Split          *bool              `json:"split"`
	Individual     bool               `json:"individual_digits"`
}

// gpt2 is the pattern of ByteLevel's own splitting.
const gpt2 = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

// readPreTokenizer builds the pre-tokenizer of a tokenizer.json; nil if it has none.
func readPreTokenizer(raw json.RawMessage) (preTokenizer, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var s preTokenizerSpec
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("reading the pre-tokenizer: %w", err)
	}
	return s.build()
}

func (s preTokenizerSpec) build() (preTokenizer, error) {
	switch s.Type {
	case "Sequence":
		steps := make(sequence, len(s.Pretokenizers))
		for i, p := range s.Pretokenizers {
			var err error
			if steps[i], err = p.build(); err != nil {
				return nil, err
			}
		}
		return steps, nil
	case "Split":
		m, err := s.Pattern.compile()
		if err != nil {
			return nil, err
		}
		return newSplitter(m.find, s.Behavior, s.Invert)
	case "ByteLevel":
		return s.byteLevel()
	case "Metaspace":
		return s.metaspace()
	case "Whitespace":
		m, err := pattern{Regex: `\w+|[^\w\s]+`}.compile()
		if err != nil {
			return nil, err
		}
		return splitter{find: m.find, behavior: removed, invert: true}, nil
	case "WhitespaceSplit":
		return splitter{find: runes(unicode.IsSpace), behavior: removed}, nil
	case "Punctuation":
		return newSplitter(runes(punctuation), or(s.Behavior, isolated), false)
	case "Digits":
		behavior := contiguous
		if s.Individual {
			behavior = isolated
		}
		return splitter{find: runes(unicode.IsNumber), behavior: behavior}, nil
	case "BertPreTokenizer":
		return sequence{splitter{find: runes(unicode.IsSpace), behavior: removed}, splitter{find: runes(punctuation), behavior: isolated}}, nil
	}
	return nil, fmt.Errorf("the pre-tokenizer %q is not supported", s.Type)
}

func or(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

// punctuation reports what BERT sets apart: ASCII symbols and Unicode punctuation.
func punctuation(r rune) bool {
	return unicode.Is(unicode.P, r) || r <= unicode.MaxASCII && unicode.Is(unicode.S, r)
}

type sequence []preTokenizer

func (s sequence) split(in []span) []span {
	for _, p := range s {
		in = p.split(in)
	}
	return in
}

// eachSpan is a pre-tokenizer that rewrites each part alone.
type eachSpan func(span) []span

func (f eachSpan) split(in []span) []span {
	var out []span
	for _, s := range in {
		for _, t := range f(s) {
			if t.text != "" {
				out = append(out, t)
			}
		}
	}
	return out
}

// byteLevel shows each byte as a printable character, after splitting by GPT-2's pattern where the file asks for it.
func (s preTokenizerSpec) byteLevel() (preTokenizer, error) {
	show := eachSpan(func(s span) []span { return []span{{text: shown(s.text), first: s.first}} })
	var steps sequence
	if s.AddPrefixSpace == nil || *s.AddPrefixSpace {
		steps = append(steps, eachSpan(func(s span) []span {
			if !strings.HasPrefix(s.text, " ") {
				s.text = " " + s.text
			}
			return []span{s}
		}))
	}
	if s.UseRegex == nil || *s.UseRegex {
		m, err := pattern{Regex: gpt2}.compile()
		if err != nil {
			return nil, err
		}
		steps = append(steps, splitter{find: m.find, behavior: isolated})
	}
	return append(steps, show), nil
}

// metaspace shows spaces as a symbol, puts one before the text and splits before each.
func (s preTokenizerSpec) metaspace() (preTokenizer, error) {
	symbol := or(s.Replacement, "\u2581")
	scheme := s.Prepend
	if scheme == "" { // the older form of the setting
		scheme = "always"
		if s.AddPrefixSpace != nil && !*s.AddPrefixSpace {
			scheme = "never"
		}
	}
	if scheme != "always" && scheme != "first" && scheme != "never" {
		return nil, fmt.Errorf("the pre-tokenizer Metaspace prepends %q; always, first and never are known", scheme)
	}
	steps := sequence{eachSpan(func(s span) []span {
		s.text = strings.ReplaceAll(s.text, " ", symbol)
		if (scheme == "always" || scheme == "first" && s.first) && !strings.HasPrefix(s.text, symbol) {
			s.text = symbol + s.text
		}
		return []span{s}
	})}
	if s.Split == nil || *s.Split {
		m, err := pattern{String: symbol}.compile()
		if err != nil {
			return nil, err
		}
		steps = append(steps, splitter{find: m.find, behavior: mergedWithNext})
	}
	return steps, nil
}
