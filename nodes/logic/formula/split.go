package formula

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// signs are the operators and brackets, longer ones before those that they begin with.
var signs = []string{"**", "//", "<<", ">>", "<=", ">=", "==", "!=", "+", "-", "*", "/", "%", "(", ")", "[", "]", ",", "<", ">", "&", "|", "^", "~"}

// split cuts a text into numbers, names and signs.
func split(text string) ([]string, error) {
	var out []string
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
			continue
		case isDigit(c) || c == '.' && i+1 < len(text) && isDigit(text[i+1]):
			n := numberLength(text[i:])
			out, i = append(out, text[i:i+n]), i+n
			continue
		case isLetter(c):
			n := 1
			for i+n < len(text) && (isLetter(text[i+n]) || isDigit(text[i+n])) {
				n++
			}
			out, i = append(out, text[i:i+n]), i+n
			continue
		}
		sign := ""
		for _, s := range signs {
			if strings.HasPrefix(text[i:], s) {
				sign = s
				break
			}
		}
		if sign == "" {
			r, _ := utf8.DecodeRuneInString(text[i:])
			return nil, fmt.Errorf("%w at %q", ErrSyntax, r)
		}
		out, i = append(out, sign), i+len(sign)
	}
	return out, nil
}

// numberLength is how much of a text belongs to the number that it begins with; the sign of an exponent does.
func numberLength(text string) int {
	n := 0
	hex := len(text) > 1 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')
	for n < len(text) {
		c := text[n]
		signed := (c == '+' || c == '-') && n > 0 && (text[n-1] == 'e' || text[n-1] == 'E') && !hex
		if !isDigit(c) && !isLetter(c) && c != '.' && !signed {
			break
		}
		n++
	}
	return n
}
