package pyre

import (
	"strconv"
	"strings"
	"unicode"
)

// group reads a parenthesis and the group that it opens.
func (t *translator) group() (text string, w width, repeatable bool, err error) {
	start := t.at
	t.at++
	if !t.next("?") {
		text, w, err = t.capture("")
		return text, w, true, err
	}
	switch {
	case t.next("P<"):
		name, err := t.name('>')
		if err != nil {
			return "", w, false, err
		}
		text, w, err = t.capture(name)
		return text, w, true, err
	case t.next("P="):
		name, err := t.name(')')
		if err != nil {
			return "", w, false, err
		}
		n, ok := t.names[name]
		if !ok {
			return "", w, false, bad("unknown group name '%s'", name)
		}
		text, w, err = t.reference(n)
		return text, w, true, err
	case t.next("P"):
		return "", w, false, bad("unknown extension ?P at position %d", start+1)
	case t.next(":"):
		text, w, err = t.inner("(?:", start)
		return text, w, true, err
	case t.next(">"):
		text, w, err = t.inner("(?>", start)
		return text, w, true, err
	case t.next("="):
		text, _, err = t.inner("(?=", start)
		return text, width{}, true, err
	case t.next("!"):
		text, _, err = t.inner("(?!", start)
		return text, width{}, true, err
	case t.next("<="):
		text, err = t.lookbehind("(?<=", start)
		return text, width{}, true, err
	case t.next("<!"):
		text, err = t.lookbehind("(?<!", start)
		return text, width{}, true, err
	case t.next("("):
		return t.conditional(start)
	}
	return t.flagged(start)
}

// inner reads up to the closing parenthesis of a group that is not numbered.
func (t *translator) inner(opening string, start int) (string, width, error) {
	before := t.flags
	text, w, err := t.alternatives()
	if err != nil {
		return "", w, err
	}
	if !t.next(")") {
		return "", w, bad("missing ), unterminated subpattern at position %d", start)
	}
	t.flags = before
	return opening + text + ")", w, nil
}

// capture reads a numbered group. Names are kept here: .NET numbers named groups after the others.
func (t *translator) capture(name string) (string, width, error) {
	start := t.at
	t.groups++
	n := t.groups
	if name != "" {
		if _, taken := t.names[name]; taken {
			return "", width{}, bad("redefinition of group name '%s' as group %d", name, n)
		}
		t.names[name] = n
	}
	t.widths = append(t.widths, width{-1, 0})
	text, w, err := t.inner("(", start)
	t.widths[n-1] = w
	return text, w, err
}

// reference writes a back reference.
func (t *translator) reference(n int) (string, width, error) {
	switch {
	case n > t.groups:
		return "", width{}, bad("invalid group reference %d", n)
	case t.widths[n-1].least < 0:
		return "", width{}, bad("cannot refer to an open group")
	case t.behind >= 0 && n > t.behind:
		return "", width{}, bad("cannot refer to group defined in the same lookbehind subpattern")
	}
	return `(?:\` + strconv.Itoa(n) + `)`, t.widths[n-1], nil
}

func (t *translator) lookbehind(opening string, start int) (string, error) {
	before := t.behind
	if t.behind < 0 {
		t.behind = t.groups
	}
	text, w, err := t.inner(opening, start)
	t.behind = before
	if err == nil && (w.least != w.most || w.most == unbounded) {
		err = bad("look-behind requires fixed-width pattern")
	}
	return text, err
}

// conditional reads (?(group)yes|no).
func (t *translator) conditional(start int) (string, width, bool, error) {
	name, err := t.name(')')
	if err != nil {
		return "", width{}, false, err
	}
	n, ok := t.names[name]
	if !ok {
		number, err := strconv.ParseUint(name, 10, 31)
		if err != nil {
			return "", width{}, false, bad("unknown group name '%s'", name)
		}
		n = int(number)
	}
	if n == 0 {
		return "", width{}, false, bad("bad group number")
	}
	t.latest = max(t.latest, n)
	before := t.flags
	yes, w, err := t.branch()
	if err != nil {
		return "", width{}, false, err
	}
	no, other := "", width{}
	if t.next("|") {
		if no, other, err = t.branch(); err != nil {
			return "", width{}, false, err
		}
		if t.more() && t.src[t.at] == '|' {
			return "", width{}, false, bad("conditional backref with more than two branches")
		}
	}
	if !t.next(")") {
		return "", width{}, false, bad("missing ), unterminated subpattern at position %d", start)
	}
	t.flags = before
	w = width{min(w.least, other.least), max(w.most, other.most)}
	return "(?(" + strconv.Itoa(n) + ")(?:" + yes + ")|(?:" + no + "))", w, true, nil
}

// name reads a group's name up to its closing character.
func (t *translator) name(closing rune) (string, error) {
	from := t.at
	for t.more() && t.src[t.at] != closing {
		t.at++
	}
	if !t.more() {
		return "", bad("missing %c, unterminated name at position %d", closing, from)
	}
	name := string(t.src[from:t.at])
	t.at++
	if name == "" {
		return "", bad("missing group name at position %d", from)
	}
	if !isIdentifier(name) && strings.TrimFunc(name, unicode.IsDigit) != "" {
		return "", bad("bad character in group name '%s'", name)
	}
	if closing == '>' && !isIdentifier(name) {
		return "", bad("bad character in group name '%s'", name)
	}
	return name, nil
}

// flagged reads (?flags) and (?flags-flags:...).
func (t *translator) flagged(start int) (string, width, bool, error) {
	on, off := "", ""
	into := &on
	for t.more() && (unicode.IsLetter(t.src[t.at]) || t.src[t.at] == '-') {
		if c := t.src[t.at]; c == '-' && into == &on {
			into = &off
		} else {
			if !strings.ContainsRune("aiLmsux", c) {
				return "", width{}, false, bad("unknown flag at position %d", t.at)
			}
			*into += string(c)
		}
		t.at++
	}
	if on == "" && off == "" {
		return "", width{}, false, bad("unknown extension at position %d", start+1)
	}
	if strings.ContainsAny(on+off, "L") || strings.ContainsAny(off, "au") || strings.Contains(on, "a") && strings.Contains(on, "u") {
		return "", width{}, false, bad("bad inline flags at position %d", start)
	}
	before := t.flags
	for _, side := range []struct {
		letters string
		value   bool
	}{{on, true}, {off, false}} {
		for _, c := range side.letters {
			*map[rune]*bool{'i': &t.flags.i, 'm': &t.flags.m, 's': &t.flags.s, 'x': &t.flags.x, 'a': &t.flags.a, 'u': new(bool)}[c] = side.value
		}
	}
	if t.next(")") {
		if t.begun || t.depth > 1 || off != "" {
			return "", width{}, false, bad("global flags not at the start of the expression at position %d", start)
		}
		return "", width{}, false, nil
	}
	if !t.next(":") {
		return "", width{}, false, bad("missing -, : or ) at position %d", t.at)
	}
	text, w, err := t.inner("(?"+t.flags.difference(before)+":", start)
	t.flags = before
	return text, w, true, err
}

// difference writes .NET's inline flags for going from other to f.
func (f flags) difference(other flags) string {
	on, off := "", ""
	for _, flag := range []struct {
		now, before bool
		letter      string
	}{{f.i, other.i, "i"}, {f.m, other.m, "m"}, {f.s, other.s, "s"}} {
		switch {
		case flag.now && !flag.before:
			on += flag.letter
		case flag.before && !flag.now:
			off += flag.letter
		}
	}
	if off != "" {
		return on + "-" + off
	}
	return on
}
