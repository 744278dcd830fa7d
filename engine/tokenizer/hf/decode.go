package hf

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"comfygo/engine/tokenizer/bpe"
)

// Decode turns ids into text, special tokens left out. Invalid UTF-8 becomes U+FFFD. It fails for vocabularies that are not
// byte-level, and for unknown ids.
func (p *Pipeline) Decode(ids []int32) (string, error) {
	m, ok := p.model.(*bpeModel)
	if !ok {
		return "", fmt.Errorf("decoding tokens: only byte-level vocabularies can be decoded")
	}
	m.once.Do(m.invert)
	var text []byte
	for _, id := range ids {
		token, added := p.added.byID[id]
		if added && token.Special {
			continue
		}
		if !added {
			if token.Content, ok = m.tokens[id]; !ok {
				return "", fmt.Errorf("decoding tokens: the vocabulary has no token %d", id)
			}
		}
		bytes, ok := spelled(token.Content)
		if !ok && !added {
			return "", fmt.Errorf("decoding tokens: token %d, %q, does not stand for bytes; only byte-level vocabularies can be decoded", id, token.Content)
		}
		text = append(text, bytes...)
	}
	return string(bpe.AppendText(nil, text)), nil
}

// DecodeAll turns ids into text with the special tokens in it, by the decoder of a tokenizer.json with replacements and bytes, such as that
// of Gemma. Each byte of invalid UTF-8 becomes U+FFFD. It fails for other decoders, and for unknown ids.
func (p *Pipeline) DecodeAll(ids []int32) (string, error) {
	m, ok := p.model.(*bpeModel)
	if !ok || p.decode == nil {
		return "", fmt.Errorf("decoding tokens: the tokenizer has no decoder of replacements and bytes")
	}
	m.once.Do(m.invert)
	tokens := make([]string, len(ids))
	for i, id := range ids {
		token, added := p.added.byID[id]
		if tokens[i] = token.Content; added {
			continue
		}
		if tokens[i], ok = m.tokens[id]; !ok {
			return "", fmt.Errorf("decoding tokens: the vocabulary has no token %d", id)
		}
	}
	for _, step := range p.decode {
		tokens = step(tokens)
	}
	return strings.Join(tokens, ""), nil
}

// decodeStep rewrites a list of tokens.
type decodeStep func(tokens []string) []string

// decoderSpec is a decoder in tokenizer.json.
type decoderSpec struct {
	Type     string        `json:"type"`
	Decoders []decoderSpec `json:"decoders"`
	Pattern  pattern       `json:"pattern"`
	Content  string        `json:"content"`
}

// steps are the steps of a decoder, nil for one of another kind.
func (s decoderSpec) steps() []decodeStep {
	switch s.Type {
	case "Sequence":
		out := []decodeStep{}
		for _, d := range s.Decoders {
			steps := d.steps()
			if steps == nil {
				return nil
			}
			out = append(out, steps...)
		}
		return out
	case "Replace":
		if s.Pattern.String == "" {
			return nil
		}
		return []decodeStep{func(tokens []string) []string {
			out := make([]string, len(tokens))
			for i, t := range tokens {
				out[i] = strings.ReplaceAll(t, s.Pattern.String, s.Content)
			}
			return out
		}}
	case "ByteFallback":
		return []decodeStep{fallbackBytes}
	case "Fuse":
		return []decodeStep{func(tokens []string) []string { return []string{strings.Join(tokens, "")} }}
	}
	return nil
}

// fallbackBytes joins byte tokens such as <0xE7>.
func fallbackBytes(tokens []string) []string {
	var out []string
	var bytes []byte
	flush := func() {
		switch {
		case len(bytes) == 0:
		case utf8.Valid(bytes):
			out = append(out, string(bytes))
		default:
			out = append(out, strings.Repeat("\uFFFD", len(bytes)))
		}
		bytes = nil
	}
	for _, t := range tokens {
		if len(t) == 6 && strings.HasPrefix(t, "<0x") && t[5] == '>' {
			if b, err := strconv.ParseUint(t[3:5], 16, 8); err == nil {
				bytes = append(bytes, byte(b))
				continue
			}
		}
		flush()
		out = append(out, t)
	}
	flush()
	return out
}

// spelled returns the bytes that the characters of a token represent, or the token's own bytes if a character represents
// none.
func spelled(token string) (bytes []byte, ok bool) {
	for _, r := range token {
		b, ok := runeBytes[r]
		if !ok {
			return []byte(token), false
		}
		bytes = append(bytes, b)
	}
	return bytes, true
}

// runeBytes are the bytes that the characters of byte-level vocabularies represent.
var runeBytes = func() map[rune]byte {
	out := make(map[rune]byte, 256)
	for _, b := range bpe.ByteRunes() {
		out[b.Rune] = b.Value
	}
	return out
}()

// invert fills tokens.
func (m *bpeModel) invert() {
	m.tokens = make(map[int32]string, len(m.vocab))
	for token, id := range m.vocab {
		m.tokens[id] = token
	}
}
