package pyre

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// members are the characters of \d, \s and \w, as a class has them.
func (t *translator) members(letter rune) string {
	if t.flags.a {
		return map[rune]string{'d': `0-9`, 's': `\t-\r\x20`, 'w': `a-zA-Z0-9_`}[letter]
	}
	return map[rune]string{'d': `\p{Nd}`, 's': `\s\x1c-\x1f`, 'w': `\p{L}\p{N}_`}[letter]
}

// escape reads a backslash outside of a class.
func (t *translator) escape() (text string, w width, repeatable bool, err error) {
	start := t.at
	t.at++
	if !t.more() {
		return "", w, false, bad("bad escape (end of pattern) at position %d", start)
	}
	c := t.src[t.at]
	word := "[" + t.members('w') + "]"
	switch c {
	case 'A':
		t.at++
		return `\A`, w, false, nil
	case 'Z':
		t.at++
		return `\z`, w, false, nil
	case 'b':
		t.at++
		return "(?:(?<=" + word + ")(?!" + word + ")|(?<!" + word + ")(?=" + word + "))", w, false, nil
	case 'B': // not in an empty text, up to Python 3.13
		t.at++
		return "(?:(?<=" + word + ")(?=" + word + ")|(?<!" + word + ")(?!" + word + ")(?!(?<![\\s\\S])(?![\\s\\S])))", w, false, nil
	case 'd', 's', 'w':
		t.at++
		return "[" + t.members(c) + "]", width{1, 1}, true, nil
	case 'D', 'S', 'W':
		t.at++
		return "[^" + t.members(c+'a'-'A') + "]", width{1, 1}, true, nil
	}
	if c >= '1' && c <= '9' {
		char, group, n, err := digits(t.src[t.at:])
		if err != nil {
			return "", w, false, err
		}
		t.at += n
		if group < 0 {
			return literal(char), width{1, 1}, true, nil
		}
		text, w, err = t.reference(group)
		return text, w, true, err
	}
	char, err := t.char(start)
	return literal(char), width{1, 1}, true, err
}

var charEscapes = map[rune]rune{'a': '\a', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v', '\\': '\\'}

// char reads the character that an escape represents; t.at is behind the backslash.
func (t *translator) char(start int) (rune, error) {
	c := t.src[t.at]
	if r, ok := charEscapes[c]; ok {
		t.at++
		return r, nil
	}
	switch c {
	case 'x':
		return t.hex(start, 2)
	case 'u':
		return t.hex(start, 4)
	case 'U':
		return t.hex(start, 8)
	case '0':
		r, _, n, err := digits(t.src[t.at:])
		t.at += n
		return r, err
	}
	if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
		return 0, bad("bad escape \\%c at position %d", c, start)
	}
	t.at++
	return c, nil
}

func (t *translator) hex(start, n int) (rune, error) {
	t.at++
	end := min(t.at+n, len(t.src))
	text := string(t.src[t.at:end])
	v, err := strconv.ParseUint(text, 16, 32)
	if err != nil || len(text) != n || v > utf8.MaxRune {
		return 0, bad("incomplete escape %s at position %d", string(t.src[start:end]), start)
	}
	t.at = end
	return rune(v), nil
}

// class reads [...]. Negated categories in it become alternatives: .NET's are not Python's.
func (t *translator) class() (string, error) {
	start := t.at
	t.at++
	negated := t.next("^")
	var b strings.Builder
	var others []string
	for first := true; ; first = false {
		if !t.more() {
			return "", bad("unterminated character set at position %d", start)
		}
		if t.src[t.at] == ']' && !first {
			t.at++
			break
		}
		from, category, err := t.classItem()
		if err != nil {
			return "", err
		}
		isRange := t.at+1 < len(t.src) && t.src[t.at] == '-' && t.src[t.at+1] != ']'
		if category != "" {
			if isRange {
				return "", bad("bad character range at position %d", t.at)
			}
			if rest, ok := strings.CutPrefix(category, "^"); ok {
				others = append(others, "[^"+rest+"]")
			} else {
				b.WriteString(category)
			}
			continue
		}
		if !isRange {
			b.WriteString(literal(from))
			continue
		}
		at := t.at
		t.at++
		to, category, err := t.classItem()
		if err != nil {
			return "", err
		}
		if category != "" || to < from {
			return "", bad("bad character range at position %d", at)
		}
		b.WriteString(literal(from) + "-" + literal(to))
	}
	if b.Len() > 0 {
		others = append([]string{"[" + b.String() + "]"}, others...)
	}
	switch {
	case len(others) > 1 && negated, len(others) == 1 && b.Len() == 0 && negated:
		return "(?:(?!" + strings.Join(others, "|") + `)[\s\S])`, nil
	case negated:
		return "[^" + b.String() + "]", nil
	}
	return "(?:" + strings.Join(others, "|") + ")", nil
}

// classItem reads a character or a category; a negated category begins with ^.
func (t *translator) classItem() (char rune, category string, err error) {
	start := t.at
	c := t.src[t.at]
	t.at++
	if c != '\\' {
		return c, "", nil
	}
	if !t.more() {
		return 0, "", bad("unterminated character set at position %d", start)
	}
	switch c := t.src[t.at]; c {
	case 'd', 's', 'w':
		t.at++
		return 0, t.members(c), nil
	case 'D', 'S', 'W':
		t.at++
		return 0, "^" + t.members(c+'a'-'A'), nil
	case 'b':
		t.at++
		return '\b', "", nil
	}
	if c := t.src[t.at]; c >= '0' && c <= '7' {
		n := 0
		for n < 3 && t.at+n < len(t.src) && t.src[t.at+n] >= '0' && t.src[t.at+n] <= '7' {
			char = char*8 + t.src[t.at+n] - '0'
			n++
		}
		if char > 0o377 {
			return 0, "", bad("octal escape value outside of range 0-0o377 at position %d", start)
		}
		t.at += n
		return char, "", nil
	}
	char, err = t.char(start)
	return char, "", err
}
