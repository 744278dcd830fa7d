// Package pystr changes texts as Python's str methods do.
package pystr

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// Upper returns s in upper case by Unicode's full mappings without regard to a language: one character may become several.
func Upper(s string) string { return cases.Upper(language.Und).String(s) }

// Lower returns s in lower case; see Upper.
func Lower(s string) string { return cases.Lower(language.Und).String(s) }

// Capitalize puts the first character in title case and all others in lower case.
func Capitalize(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	_, size := utf8.DecodeRuneInString(s)
	return titleOf(s[:size]) + Lower(s)[len(Lower(s[:size])):]
}

// titleOf is the title case of one character.
func titleOf(s string) string { return cases.Title(language.Und, cases.NoLower).String(s) }

// Title puts the first letter of each run of letters that have cases in title case, the others in lower case. How a letter is
// lowered may depend on those around it, but not how long it then is.
func Title(s string) string {
	var b strings.Builder
	s = strings.ToValidUTF8(s, "\ufffd")
	low, inWord := Lower(s), false
	for s != "" {
		r, size := utf8.DecodeRuneInString(s)
		n := len(Lower(s[:size]))
		switch {
		case !isCased(r):
			b.WriteString(s[:size])
			inWord = false
		case !inWord:
			b.WriteString(titleOf(s[:size]))
			inWord = true
		default:
			b.WriteString(low[:n])
		}
		s, low = s[size:], low[n:]
	}
	return b.String()
}

// isCased reports whether a character has cases.
func isCased(r rune) bool {
	return unicode.IsUpper(r) || unicode.IsLower(r) || unicode.IsTitle(r) || unicode.Is(unicode.Other_Lowercase, r) || unicode.Is(unicode.Other_Uppercase, r)
}

// IsSpace reports what Python's str.isspace does: Unicode's white space and the four separators of ASCII.
func IsSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// Strip returns s without the white space at both ends.
func Strip(s string) string { return strings.TrimFunc(s, IsSpace) }
