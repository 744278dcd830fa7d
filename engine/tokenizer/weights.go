package tokenizer

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// Segment is a part of a prompt with one weight.
type Segment struct {
	Text   string
	Weight float64
}

// maxNesting bounds the depth of parentheses. The original gives up a little above it (the interpreter's recursion
// limit); the bound also keeps the work on a hostile prompt small.
const maxNesting = 900

// errNesting reports a prompt that no person wrote.
var errNesting = errors.New("parsing the prompt's weights: parentheses nested too deeply")

// ParseWeights splits a prompt by the weights its parentheses give: (a:1.3) sets the weight of its content, (a) multiplies
// the surrounding one by 1.1, and \( and \) are literal parentheses. Unbalanced parentheses are text. It fails only for
// absurdly deep nesting. Upstream: sd1_clip.token_weights.
func ParseWeights(prompt string) ([]Segment, error) {
	out, err := parseWeights(nil, hideEscapes(prompt), 1, 0)
	if err != nil {
		return nil, err
	}
	for i := range out {
		out[i].Text = showEscapes(out[i].Text)
	}
	return out, nil
}

func parseWeights(out []Segment, text string, weight float64, depth int) ([]Segment, error) {
	if depth > maxNesting {
		return nil, errNesting
	}
	for _, item := range splitParentheses(text) {
		if len(item) < 2 || item[0] != '(' || item[len(item)-1] != ')' {
			out = append(out, Segment{Text: item, Weight: weight})
			continue
		}
		inner, w := item[1:len(item)-1], weight*1.1
		if colon := strings.LastIndexByte(inner, ':'); colon > 0 {
			if f, ok := parseFloat(inner[colon+1:]); ok {
				inner, w = inner[:colon], f
			}
		}
		var err error
		if out, err = parseWeights(out, inner, w, depth+1); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// splitParentheses cuts text into its outermost parenthesised groups and the parts between them. A closing parenthesis
// without an opening one takes the level below zero, and the next group is then not recognised, as upstream does.
func splitParentheses(text string) []string {
	var out []string
	start, level := 0, 0
	for i := range len(text) {
		switch text[i] {
		case '(':
			if level == 0 && i > start {
				out = append(out, text[start:i])
				start = i
			}
			level++
		case ')':
			level--
			if level == 0 {
				out = append(out, text[start:i+1])
				start = i + 1
			}
		}
	}
	if start < len(text) {
		out = append(out, text[start:])
	}
	return out
}

// Escaped parentheses travel through the parser as two control characters each.
var (
	escapes   = [...][2]string{{`\)`, "\x00\x01"}, {`\(`, "\x00\x02"}}
	unescapes = [...][2]string{{"\x00\x01", ")"}, {"\x00\x02", "("}}
)

func hideEscapes(s string) string {
	for _, e := range escapes {
		s = strings.ReplaceAll(s, e[0], e[1])
	}
	return s
}

func showEscapes(s string) string {
	for _, e := range unescapes {
		s = strings.ReplaceAll(s, e[0], e[1])
	}
	return s
}

// parseFloat reads a number as Python's float() does: surrounding white space, an underscore between two digits,
// digits of any script, inf and nan are allowed; hexadecimal is not.
func parseFloat(s string) (float64, bool) {
	var b strings.Builder
	runes := []rune(strings.TrimFunc(s, pythonSpace))
	for i, r := range runes {
		switch {
		case r == '_':
			if i == 0 || i+1 == len(runes) || !unicode.IsDigit(runes[i-1]) || !unicode.IsDigit(runes[i+1]) {
				return 0, false
			}
		case r == 'x' || r == 'X' || r == 'p' || r == 'P':
			return 0, false
		case r > unicode.MaxASCII && unicode.IsDigit(r):
			b.WriteByte(digitValue(r))
		default:
			b.WriteRune(r)
		}
	}
	f, err := strconv.ParseFloat(b.String(), 64)
	if err != nil && !math.IsInf(f, 0) {
		return 0, false
	}
	return f, err == nil || errors.Is(err, strconv.ErrRange)
}

// digitValue returns the ASCII digit of a decimal digit of another script. Every script's digits are ten neighbours,
// so the zero is found by walking down to the start of the run.
func digitValue(r rune) byte {
	first := r
	for unicode.IsDigit(first - 1) {
		first--
	}
	return '0' + byte((r-first)%10)
}

// pythonSpace reports what str.isspace and the \s of Python's re module call white space.
func pythonSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }
