package pyre

import (
	"fmt"
	"strconv"
	"strings"
)

// part is a piece of a replacement: a text, or a group when group is not negative.
type part struct {
	text  string
	group int
}

// templateEscapes are the letters that represent a character behind a backslash in a replacement.
var templateEscapes = map[rune]string{'a': "\a", 'b': "\b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v", '\\': `\`}

// template reads a replacement.
func (p *Pattern) template(s string) ([]part, error) {
	var parts []part
	text := func(s string) {
		if n := len(parts); n > 0 && parts[n-1].group < 0 {
			parts[n-1].text += s
			return
		}
		parts = append(parts, part{s, -1})
	}
	r := []rune(s)
	for i := 0; i < len(r); i++ {
		if r[i] != '\\' {
			j := i
			for j < len(r) && r[j] != '\\' {
				j++
			}
			text(string(r[i:j]))
			i = j - 1
			continue
		}
		if i++; i == len(r) {
			return nil, &Error{"bad escape (end of pattern)"}
		}
		switch c := r[i]; {
		case c == 'g':
			group, end, err := p.groupNamed(r, i+1)
			if err != nil {
				return nil, err
			}
			parts, i = append(parts, part{"", group}), end
		case c >= '0' && c <= '9':
			char, group, n, err := digits(r[i:])
			if err != nil {
				return nil, err
			}
			if group < 0 {
				text(string(char))
			} else if group > p.groups {
				return nil, &Error{fmt.Sprintf("invalid group reference %d", group)}
			} else {
				parts = append(parts, part{"", group})
			}
			i += n - 1
		case templateEscapes[c] != "":
			text(templateEscapes[c])
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			return nil, &Error{"bad escape \\" + string(c)}
		default:
			text(`\` + string(c))
		}
	}
	return parts, nil
}

// digits reads what stands behind a backslash: an octal number (group is negative then) or a group's number, and how many digits it has.
func digits(r []rune) (char rune, group, n int, err error) {
	octal := func(i int) bool { return i < len(r) && r[i] >= '0' && r[i] <= '7' }
	if r[0] == '0' {
		n = 1
		for n < 3 && octal(n) {
			char = char*8 + r[n] - '0'
			n++
		}
		return char, -1, n, nil
	}
	if octal(0) && octal(1) && octal(2) {
		char = (r[0]-'0')*64 + (r[1]-'0')*8 + r[2] - '0'
		if char > 0o377 {
			return 0, 0, 0, &Error{fmt.Sprintf("octal escape value \\%s outside of range 0-0o377", string(r[:3]))}
		}
		return char, -1, 3, nil
	}
	n = 1
	if len(r) > 1 && r[1] >= '0' && r[1] <= '9' {
		n = 2
	}
	group, err = strconv.Atoi(string(r[:n]))
	return 0, group, n, err
}

// groupNamed reads <name> or <number> from r[at] on and returns the group and the index of the last character.
func (p *Pattern) groupNamed(r []rune, at int) (group, end int, err error) {
	if at >= len(r) || r[at] != '<' {
		return 0, 0, &Error{"missing <"}
	}
	closing := strings.IndexRune(string(r[at:]), '>')
	if closing < 0 {
		return 0, 0, &Error{"missing >, unterminated name"}
	}
	name := string(r[at:])[1:closing]
	end = at + len([]rune(string(r[at:])[:closing]))
	if name == "" {
		return 0, 0, &Error{"missing group name"}
	}
	if n, err := strconv.ParseUint(name, 10, 31); err == nil {
		if int(n) > p.groups {
			return 0, 0, &Error{"invalid group reference " + name}
		}
		return int(n), end, nil
	}
	if !isIdentifier(name) {
		return 0, 0, &Error{fmt.Sprintf("bad character in group name %q", name)}
	}
	group, ok := p.names[name]
	if !ok {
		return 0, 0, &unknownName{name}
	}
	return group, end, nil
}

// unknownName is Python's IndexError for a replacement's group name.
type unknownName struct{ name string }

func (e *unknownName) Error() string { return fmt.Sprintf("unknown group name '%s'", e.name) }

// ExceptionType is the name that clients see.
func (e *unknownName) ExceptionType() string { return "IndexError" }
