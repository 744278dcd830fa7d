package sentencepiece

import (
	"strings"
	"unicode/utf8"
)

// spaceSymbol represents a space inside pieces.
const spaceSymbol = "\u2581"

// normalize returns the text that pieces are looked for in: characters replaced by the model's rules, spaces collapsed
// and shown as the space symbol, with one more at the front (or, for some models, at the end).
func (p *Processor) normalize(text string) string {
	n := p.file.normalizer
	if n.removeSpaces {
		for text != "" {
			s, length := p.normalizePrefix(text)
			if s != " " {
				break
			}
			text = text[length:]
		}
	}
	if text == "" {
		return ""
	}
	space := " "
	if n.escapeSpace {
		space = spaceSymbol
	}
	var b strings.Builder
	if n.dummyPrefix && !p.file.trainer.spacesAsSuffix {
		b.WriteString(space)
	}
	afterSpace := n.removeSpaces
	for text != "" {
		s, length := p.normalizePrefix(text)
		text = text[length:]
		if afterSpace {
			s = strings.TrimLeft(s, " ")
		}
		if s != "" {
			b.WriteString(strings.ReplaceAll(s, " ", space))
			afterSpace = strings.HasSuffix(s, " ")
		}
		afterSpace = afterSpace && n.removeSpaces
	}
	out := b.String()
	if n.removeSpaces {
		for strings.HasSuffix(out, space) {
			out = out[:len(out)-len(space)]
		}
	}
	if n.dummyPrefix && p.file.trainer.spacesAsSuffix {
		out += space
	}
	return out
}

// normalizePrefix returns the replacement of a prefix of text, and the prefix's length: a user-defined piece (unchanged),
// the longest rule, or one character.
func (p *Processor) normalizePrefix(text string) (string, int) {
	if n, _, ok := p.user.Longest(text); ok {
		return text[:n], n
	}
	if p.rules != nil {
		if s, n, ok := p.rules.Longest(text); ok {
			return s, n
		}
	}
	r, n := utf8.DecodeRuneInString(text)
	if r == utf8.RuneError && n == 1 {
		return string(utf8.RuneError), 1
	}
	return text[:n], n
}
