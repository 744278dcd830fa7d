package hf

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// pattern is {"String": …} or {"Regex": …} in tokenizer.json.
type pattern struct {
	String string `json:"String"`
	Regex  string `json:"Regex"`
}

// matcher finds the matches of a pattern.
type matcher struct {
	expr *regexp.Regexp
	// keepLast reports that the last alternatives are \s+(?!\S)|\s+: a run of white space gives its last character back to the
	// text that follows. Go's regular expressions have no lookahead, so find does that.
	keepLast bool
	spaces   int // the group that matches such a run
}

// lookahead is the one lookahead that tokenizers use, always as the last or last but one alternative.
const lookahead = `\s+(?!\S)`

// space lists the characters that \s means for the tokenizers library (Unicode's White_Space); Go's \s is ASCII only.
const space = `\t\n\v\f\r \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}`

// word lists the characters of \w.
const word = `\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{200c}\x{200d}\x{24b6}-\x{24e9}\x{1f130}-\x{1f149}\x{1f150}-\x{1f169}\x{1f170}-\x{1f189}`

func (p pattern) compile() (*matcher, error) {
	if p.Regex == "" {
		if p.String == "" {
			return nil, fmt.Errorf("a pattern has neither a string nor a regular expression")
		}
		e, err := regexp.Compile(regexp.QuoteMeta(p.String))
		return &matcher{expr: e}, err
	}
	src, m := p.Regex, &matcher{}
	for _, tail := range []string{"|" + lookahead + `|\s+`, "|" + lookahead + `|\s`, "|" + lookahead} {
		if cut, ok := strings.CutSuffix(src, tail); ok {
			src, m.keepLast = cut+"|(?P<spaces>"+`\s+)`, true
			break
		}
	}
	if strings.Contains(src, "(?!") || strings.Contains(src, "(?=") || strings.Contains(src, "(?<") {
		return nil, fmt.Errorf("the regular expression %q looks ahead or behind in a way that is not supported", p.Regex)
	}
	e, err := regexp.Compile(translate(src))
	if err != nil {
		return nil, fmt.Errorf("reading the regular expression %q: %w", p.Regex, err)
	}
	m.expr, m.spaces = e, e.SubexpIndex("spaces")
	return m, nil
}

// translate writes an expression of the tokenizers library in Go's syntax: \s, \S, \w and \W are Unicode classes.
func translate(src string) string {
	var b strings.Builder
	inClass := false
	for i := 0; i < len(src); i++ {
		if src[i] != '\\' || i+1 == len(src) {
			switch {
			case src[i] == '[' && !inClass:
				inClass = true
			case src[i] == ']':
				inClass = false
			}
			b.WriteByte(src[i])
			continue
		}
		i++
		class, negated := "", false
		switch src[i] {
		case 's', 'S':
			class, negated = space, src[i] == 'S'
		case 'w', 'W':
			class, negated = word, src[i] == 'W'
		}
		switch {
		case class == "":
			b.WriteByte('\\')
			b.WriteByte(src[i])
		case inClass && !negated:
			b.WriteString(class)
		case negated:
			b.WriteString("[^" + class + "]") // inside a class this does not compile, and compile says so
		default:
			b.WriteString("[" + class + "]")
		}
	}
	return b.String()
}

// find returns the matches in text, left to right.
func (m *matcher) find(text string) [][2]int {
	if !m.keepLast {
		var out [][2]int
		for _, r := range m.expr.FindAllStringIndex(text, -1) {
			if r[0] < r[1] {
				out = append(out, [2]int{r[0], r[1]})
			}
		}
		return out
	}
	var out [][2]int
	for at := 0; at < len(text); {
		r := m.expr.FindStringSubmatchIndex(text[at:])
		if r == nil {
			break
		}
		from, to := at+r[0], at+r[1]
		if from == to {
			break
		}
		if r[2*m.spaces] >= 0 && to < len(text) {
			// Followed by a character other than a space: \s+(?!\S) matches all but the last space, \s+ a single one.
			if _, n := utf8.DecodeLastRuneInString(text[from:to]); to-n > from {
				to -= n
			}
		}
		out = append(out, [2]int{from, to})
		at = to
	}
	return out
}
