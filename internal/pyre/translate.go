package pyre

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"

	"github.com/dlclark/regexp2/v2"
)

// flags are those that a pattern is under at a place; a is ASCII, x is verbose.
type flags struct{ i, m, s, x, a bool }

func (f flags) options() regexp2.RegexOptions {
	var o regexp2.RegexOptions
	for _, flag := range []struct {
		on     bool
		option regexp2.RegexOptions
	}{{f.i, regexp2.IgnoreCase}, {f.m, regexp2.Multiline}, {f.s, regexp2.Singleline}} {
		if flag.on {
			o |= flag.option
		}
	}
	return o
}

// width is the number of characters that a piece matches.
type width struct{ least, most int }

const unbounded = math.MaxInt32

func (w width) plus(o width) width {
	return width{min(w.least+o.least, unbounded), min(w.most+o.most, unbounded)}
}

func (w width) times(least, most int) width {
	product := func(a, b int) int {
		if p := int64(a) * int64(b); p < unbounded {
			return int(p)
		}
		return unbounded
	}
	return width{product(w.least, least), product(w.most, most)}
}

// translator reads a Python pattern and writes a .NET one.
type translator struct {
	src    []rune
	at     int
	flags  flags
	groups int
	names  map[string]int
	widths []width // of closed groups, by number less 1; least is negative while a group is open
	depth  int
	begun  bool
	latest int // highest group of a condition
	behind int // number of groups when the lookbehind began that this place is in, negative outside of one
}

const (
	maxDepth   = 200
	maxPattern = 1 << 17
)

func bad(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

func (t *translator) translate() (string, error) {
	if len(t.src) > maxPattern {
		return "", bad("the pattern is longer than %d characters", maxPattern)
	}
	t.behind = -1
	text, _, err := t.alternatives()
	if err != nil {
		return "", err
	}
	if t.at < len(t.src) {
		return "", bad("unbalanced parenthesis at position %d", t.at)
	}
	if t.latest > t.groups {
		return "", bad("invalid group reference %d", t.latest)
	}
	return text, nil
}

func (t *translator) more() bool { return t.at < len(t.src) }

// next reports whether the source continues with s and, if so, moves behind it.
func (t *translator) next(s string) bool {
	r := []rune(s)
	if len(t.src)-t.at < len(r) || string(t.src[t.at:t.at+len(r)]) != s {
		return false
	}
	t.at += len(r)
	return true
}

// alternatives reads branches up to a closing parenthesis or the end.
func (t *translator) alternatives() (string, width, error) {
	if t.depth++; t.depth > maxDepth {
		return "", width{}, bad("the pattern is nested more than %d deep", maxDepth)
	}
	defer func() { t.depth-- }()
	var b strings.Builder
	total := width{unbounded, 0}
	for {
		text, w, err := t.branch()
		if err != nil {
			return "", width{}, err
		}
		b.WriteString(text)
		total = width{min(total.least, w.least), max(total.most, w.most)}
		if !t.next("|") {
			return b.String(), total, nil
		}
		b.WriteByte('|')
		t.begun = true
	}
}

// branch reads pieces with their repetitions.
func (t *translator) branch() (string, width, error) {
	var b strings.Builder
	var total width
	for t.more() && t.src[t.at] != '|' && t.src[t.at] != ')' {
		if skipped, err := t.skip(); err != nil {
			return "", width{}, err
		} else if skipped {
			continue
		}
		start := t.at
		text, w, repeatable, err := t.piece()
		if err != nil {
			return "", width{}, err
		}
		if text, w, err = t.repeated(text, w, repeatable, start); err != nil {
			return "", width{}, err
		}
		b.WriteString(text)
		t.begun = t.begun || t.at > start && text != ""
		total = total.plus(w)
	}
	return b.String(), total, nil
}

// skip moves over a comment or, in verbose patterns, over white space.
func (t *translator) skip() (bool, error) {
	if start := t.at; t.next("(?#") {
		for t.more() && t.src[t.at] != ')' {
			t.at++
		}
		if !t.next(")") {
			return false, bad("missing ), unterminated comment at position %d", start)
		}
		return true, nil
	}
	switch c := t.src[t.at]; {
	case !t.flags.x:
	case strings.ContainsRune(" \t\n\r\v\f", c):
		t.at++
		return true, nil
	case c == '#':
		for t.more() && t.src[t.at] != '\n' {
			t.at++
		}
		return true, nil
	}
	return false, nil
}

// repeated reads the repetition behind a piece.
func (t *translator) repeated(text string, w width, repeatable bool, start int) (string, width, error) {
	for t.more() {
		if skipped, err := t.skip(); err != nil {
			return "", width{}, err
		} else if !skipped {
			break
		}
	}
	least, most, symbol, err := t.repetition()
	if err != nil || symbol == "" {
		return text, w, err
	}
	if !repeatable {
		return "", width{}, bad("nothing to repeat at position %d", start)
	}
	switch {
	case t.next("?"):
		symbol += "?"
	case t.next("+"):
		text, symbol = "(?>"+text+symbol+")", ""
	}
	if _, _, again, _ := t.peekRepetition(); again != "" {
		return "", width{}, bad("multiple repeat at position %d", t.at)
	}
	return text + symbol, w.times(least, most), nil
}

func (t *translator) peekRepetition() (least, most int, symbol string, err error) {
	at := t.at
	least, most, symbol, err = t.repetition()
	t.at = at
	return least, most, symbol, err
}

// repetition reads *, +, ? or {m,n}; the symbol is "" otherwise, such as at a brace that is not a repetition.
func (t *translator) repetition() (least, most int, symbol string, err error) {
	switch {
	case t.next("*"):
		return 0, unbounded, "*", nil
	case t.next("+"):
		return 1, unbounded, "+", nil
	case t.next("?"):
		return 0, 1, "?", nil
	case !t.more() || t.src[t.at] != '{':
		return 0, 0, "", nil
	}
	at := t.at
	t.at++
	low, comma := t.number(), t.next(",")
	high := low
	if comma {
		high = t.number()
	}
	if !t.next("}") || low == "" && !comma {
		t.at = at
		return 0, 0, "", nil
	}
	least, most = 0, unbounded
	for _, n := range []struct {
		text string
		to   *int
	}{{low, &least}, {high, &most}} {
		if n.text == "" {
			continue
		}
		v, err := strconv.ParseUint(n.text, 10, 32)
		if err != nil || v == math.MaxUint32 {
			return 0, 0, "", &overflow{}
		}
		*n.to = int(min(v, unbounded))
	}
	if most < least {
		return 0, 0, "", bad("min repeat greater than max repeat at position %d", at)
	}
	if most == unbounded {
		return least, most, fmt.Sprintf("{%d,}", least), nil
	}
	return least, most, fmt.Sprintf("{%d,%d}", least, most), nil
}

// overflow is Python's OverflowError for a repetition.
type overflow struct{}

func (*overflow) Error() string { return "the repetition number is too large" }

// ExceptionType is the name that clients see.
func (*overflow) ExceptionType() string { return "OverflowError" }

func (t *translator) number() string {
	from := t.at
	for t.more() && t.src[t.at] >= '0' && t.src[t.at] <= '9' {
		t.at++
	}
	return string(t.src[from:t.at])
}

// piece reads what a repetition may stand behind.
func (t *translator) piece() (text string, w width, repeatable bool, err error) {
	one := width{1, 1}
	switch c := t.src[t.at]; c {
	case '.':
		t.at++
		return ".", one, true, nil
	case '^', '$':
		t.at++
		return string(c), width{}, false, nil
	case '(':
		return t.group()
	case '[':
		text, err = t.class()
		return text, one, true, err
	case '\\':
		return t.escape()
	case '*', '+', '?':
		return "", width{}, false, bad("nothing to repeat at position %d", t.at)
	case '{':
		if _, _, symbol, err := t.peekRepetition(); err != nil || symbol != "" {
			return "", width{}, false, bad("nothing to repeat at position %d", t.at)
		}
	}
	c := t.src[t.at]
	t.at++
	return literal(c), one, true, nil
}

// literal writes a character that matches itself, inside and outside of classes.
func literal(c rune) string {
	switch {
	case c < ' ' || c == 0x7f:
		return fmt.Sprintf(`\u%04x`, c)
	case c < 0x80 && !unicode.IsLetter(c) && !unicode.IsDigit(c) && c != '_':
		return `\` + string(c)
	}
	return string(c)
}

func isIdentifier(s string) bool {
	for i, r := range s {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r)) {
			return false
		}
	}
	return s != ""
}
