package hf

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"golang.org/x/text/unicode/norm"

	"comfygo/engine/tokenizer/charsmap"
)

// normalizer rewrites text.
type normalizer interface {
	apply(text string) string
}

type normalizerFunc func(string) string

func (f normalizerFunc) apply(text string) string { return f(text) }

// normalizerSpec is a normalizer in tokenizer.json.
type normalizerSpec struct {
	Type        string           `json:"type"`
	Normalizers []normalizerSpec `json:"normalizers"`
	Pattern     pattern          `json:"pattern"`
	Content     string           `json:"content"`
	Prepend     string           `json:"prepend"`
	Charsmap    []byte           `json:"precompiled_charsmap"`
	StripLeft   bool             `json:"strip_left"`
	StripRight  bool             `json:"strip_right"`
	bertSpec
}

// bertSpec are the switches of BertNormalizer.
type bertSpec struct {
	CleanText    bool  `json:"clean_text"`
	Chinese      bool  `json:"handle_chinese_chars"`
	StripAccents *bool `json:"strip_accents"`
	Lower        bool  `json:"lowercase"`
}

// readNormalizer builds the normalizer of a tokenizer.json; nil if it has none.
func readNormalizer(raw json.RawMessage) (normalizer, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var s normalizerSpec
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("reading the normalizer: %w", err)
	}
	return s.build()
}

func (s normalizerSpec) build() (normalizer, error) {
	switch s.Type {
	case "Sequence":
		return s.sequence()
	case "NFC":
		return normalizerFunc(norm.NFC.String), nil
	case "NFD":
		return normalizerFunc(norm.NFD.String), nil
	case "NFKC":
		return normalizerFunc(norm.NFKC.String), nil
	case "NFKD":
		return normalizerFunc(norm.NFKD.String), nil
	case "Lowercase":
		return normalizerFunc(lower), nil
	case "StripAccents":
		return normalizerFunc(func(text string) string { return without(text, unicode.M) }), nil
	case "Strip":
		return normalizerFunc(s.strip), nil
	case "Prepend":
		return normalizerFunc(func(text string) string {
			if text == "" {
				return ""
			}
			return s.Prepend + text
		}), nil
	case "Replace":
		return s.replace()
	case "Precompiled":
		m, err := charsmap.Parse(s.Charsmap)
		if err != nil {
			return nil, err
		}
		return precompiled{m}, nil
	case "BertNormalizer":
		return normalizerFunc(s.bertSpec.apply), nil
	}
	return nil, fmt.Errorf("the normalizer %q is not supported", s.Type)
}

func (s normalizerSpec) sequence() (normalizer, error) {
	steps := make([]normalizer, len(s.Normalizers))
	for i, n := range s.Normalizers {
		var err error
		if steps[i], err = n.build(); err != nil {
			return nil, err
		}
	}
	return normalizerFunc(func(text string) string {
		for _, n := range steps {
			text = n.apply(text)
		}
		return text
	}), nil
}

func (s normalizerSpec) strip(text string) string {
	if s.StripLeft {
		text = strings.TrimLeftFunc(text, unicode.IsSpace)
	}
	if s.StripRight {
		text = strings.TrimRightFunc(text, unicode.IsSpace)
	}
	return text
}

func (s normalizerSpec) replace() (normalizer, error) {
	m, err := s.Pattern.compile()
	if err != nil {
		return nil, err
	}
	return normalizerFunc(func(text string) string {
		var b strings.Builder
		from := 0
		for _, r := range m.find(text) {
			b.WriteString(text[from:r[0]])
			b.WriteString(s.Content)
			from = r[1]
		}
		b.WriteString(text[from:])
		return b.String()
	}), nil
}

// lower is Rust's to_lowercase of each character alone.
func lower(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r == 'İ' { // the one letter whose lower case is two characters
			b.WriteString("i\u0307")
			continue
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func without(text string, class *unicode.RangeTable) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(class, r) {
			return -1
		}
		return r
	}, text)
}

// precompiled applies a character map to each grapheme of up to five bytes, else to each character. Only the shortest
// rule that the grapheme begins with counts, and the rest of the grapheme is lost, as in the library.
type precompiled struct{ *charsmap.Map }

func (p precompiled) apply(text string) string {
	var b strings.Builder
	state := -1
	for text != "" {
		var g string
		g, text, _, state = uniseg.FirstGraphemeClusterInString(text, state)
		if len(g) < 6 {
			if s, ok := p.Shortest(g); ok {
				b.WriteString(s)
				continue
			}
		}
		for g != "" {
			_, n := utf8.DecodeRuneInString(g)
			if s, ok := p.Shortest(g[:n]); ok {
				b.WriteString(s)
			} else {
				b.WriteString(g[:n])
			}
			g = g[n:]
		}
	}
	return b.String()
}
