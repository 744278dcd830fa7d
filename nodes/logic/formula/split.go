package formula

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// isLetter reports whether a byte may begin a name; those of other scripts are all in bytes above ASCII.
func isLetter(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// signs are the operators and brackets, longer ones before those that they begin with.
var signs = []string{
	"**=", "//=", "<<=", ">>=", "...", "**", "//", "<<", ">>", "<=", ">=", "==", "!=", "+=", "-=", "*=", "/=", "%=", "@=", "&=", "|=", "^=", ":=", "->",
	"+", "-", "*", "/", "%", "@", "(", ")", "[", "]", "{", "}", ",", ":", ".", ";", "=", "<", ">", "&", "|", "^", "~",
}

// newline is the token that ends a line outside of brackets.
const newline = "\n"

// trimmed takes the white space off both ends, as Python's strip does.
func trimmed(text string) string {
	return strings.TrimFunc(text, func(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f })
}

// splitter cuts a text into numbers, names, texts and signs.
type splitter struct {
	text string
	at   int
	open int // brackets
	out  []string
}

func split(text string) ([]string, error) {
	s := &splitter{text: text}
	for s.at < len(s.text) {
		if err := s.next(); err != nil {
			return nil, err
		}
	}
	return s.out, nil
}

func (s *splitter) add(n int) {
	s.out = append(s.out, s.text[s.at:s.at+n])
	s.at += n
}

func (s *splitter) next() error {
	rest := s.text[s.at:]
	c := rest[0]
	switch {
	case c == ' ' || c == '\t' || c == '\f':
		s.at++
		return nil
	case c == '\n' || c == '\r':
		return s.line()
	case c == '\\' && strings.HasPrefix(strings.TrimPrefix(rest[1:], "\r"), "\n"):
		s.at += strings.IndexByte(rest, '\n') + 1
		return nil
	case c == '#':
		n := strings.IndexAny(rest, "\r\n")
		if n < 0 {
			n = len(rest)
		}
		s.at += n
		return nil
	case isDigit(c) || c == '.' && len(rest) > 1 && isDigit(rest[1]):
		s.add(numberLength(rest))
		return nil
	}
	if n, err := textLength(rest); n > 0 || err != nil {
		if err == nil {
			s.add(n)
		}
		return err
	}
	if n := nameLength(rest); n > 0 {
		s.add(n)
		return nil
	}
	return s.sign(rest)
}

// line ends a line. The next one must not be indented: there are no blocks. Empty lines, and lines within brackets, do not count.
func (s *splitter) line() error {
	s.at++
	if s.open > 0 {
		return nil
	}
	s.out = append(s.out, newline)
	rest := s.text[s.at:]
	begin := strings.TrimLeft(rest, " \t\f")
	if len(begin) < len(rest) && begin != "" && !strings.ContainsRune("\r\n#", rune(begin[0])) {
		return ErrIndentation
	}
	return nil
}

func (s *splitter) sign(rest string) error {
	for _, sign := range signs {
		if !strings.HasPrefix(rest, sign) {
			continue
		}
		switch sign {
		case "(", "[", "{":
			s.open++
		case ")", "]", "}":
			s.open--
		}
		s.add(len(sign))
		return nil
	}
	r, _ := utf8.DecodeRuneInString(rest)
	return fmt.Errorf("%w at %q", ErrSyntax, r)
}

// nameLength returns the length of the name at the beginning of a text.
func nameLength(text string) int {
	for i, r := range text {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r) && !unicode.Is(unicode.Mn, r)) {
			return i
		}
	}
	return len(text)
}

// textLength returns the length of the string constant at the beginning of a text, its prefix included; 0 without one.
func textLength(text string) (int, error) {
	n := 0
	for n < len(text) && n < 3 && strings.IndexByte("rRbBuUfF", text[n]) >= 0 {
		n++
	}
	if n == 3 || n == len(text) || text[n] != '\'' && text[n] != '"' {
		return 0, nil
	}
	quote, lines := text[n:n+1], false
	if long := strings.Repeat(quote, 3); strings.HasPrefix(text[n:], long) {
		quote, lines = long, true
	}
	for i := n + len(quote); i < len(text); i++ {
		switch {
		case strings.HasPrefix(text[i:], quote):
			return i + len(quote), nil
		case text[i] == '\\':
			i++
		case text[i] == '\n' && !lines:
			return 0, fmt.Errorf("%w: a text does not end on its line", ErrSyntax)
		}
	}
	return 0, fmt.Errorf("%w: a text does not end", ErrSyntax)
}

// numberLength returns the length of the number at the beginning of a text, including the sign of an exponent.
func numberLength(text string) int {
	n := 0
	hex := len(text) > 1 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')
	point := false
	for n < len(text) {
		c := text[n]
		signed := (c == '+' || c == '-') && n > 0 && (text[n-1] == 'e' || text[n-1] == 'E') && !hex
		if c == '.' && !point && !hex {
			point = true
		} else if !isDigit(c) && !isLetter(c) && !signed {
			break
		}
		n++
	}
	return n
}
