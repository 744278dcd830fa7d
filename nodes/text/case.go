package text

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// Python's cases are Unicode's full mappings without regard to a language, where one character may become several.

func upper(s string) string { return cases.Upper(language.Und).String(s) }

func lower(s string) string { return cases.Lower(language.Und).String(s) }

// capitalize puts the first character in title case and all others in lower case.
func capitalize(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	_, size := utf8.DecodeRuneInString(s)
	return titleOf(s[:size]) + lower(s)[len(lower(s[:size])):]
}

// titleOf is the title case of one character.
func titleOf(s string) string { return cases.Title(language.Und, cases.NoLower).String(s) }

// title puts the first letter of each run of letters that have cases in title case, the others in lower case. How a letter is
// lowered may depend on those around it, but not how long it then is.
func title(s string) string {
	var b strings.Builder
	s = strings.ToValidUTF8(s, "\ufffd")
	low, inWord := lower(s), false
	for s != "" {
		r, size := utf8.DecodeRuneInString(s)
		n := len(lower(s[:size]))
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

// isSpace is Python's str.isspace: Unicode's white space and the four separators of ASCII.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }
