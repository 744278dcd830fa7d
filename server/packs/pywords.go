package packs

import (
	"regexp"
	"strings"
)

// Kinds of words in Python source.
const (
	pyName = iota
	pyText
	pyOther
)

// pyWord is one word of Python source. A text is kept as it was written, with its prefix and quotes.
type pyWord struct {
	kind int
	text string
}

func (w pyWord) is(op string) bool { return w.kind == pyOther && w.text == op }

// pyStatement is a logical line: what stands between line ends and semicolons, parentheses and backslashes minded.
type pyStatement struct {
	column int
	words  []pyWord
}

var (
	pyBlank    = regexp.MustCompile(`^(?:[ \t\f\r]|\\\r?\n)+`)
	pyComment  = regexp.MustCompile(`^#[^\n]*`)
	pyString   = regexp.MustCompile(`^(?i:[rbuf]{0,2})(?:"""(?s:\\.|.)*?"""|'''(?s:\\.|.)*?'''|"(?:\\(?s:.)|[^"\\\n])*"|'(?:\\(?s:.)|[^'\\\n])*')`)
	pyWordName = regexp.MustCompile(`^[\pL\pN_]+`)
	pyOperator = regexp.MustCompile(`^(?:==|!=|<=|>=|:=|->|\*\*=|//=|>>=|<<=|[-+*/%@&|^]=)`)
)

// pyStatements splits source into statements. Invalid Python becomes words of one character.
func pyStatements(source string) []pyStatement {
	source = strings.TrimPrefix(source, "\ufeff")
	var out []pyStatement
	var now pyStatement
	open, column := 0, 0
	end := func() {
		if len(now.words) > 0 {
			out = append(out, now)
		}
		now = pyStatement{}
	}
	for i := 0; i < len(source); {
		rest := source[i:]
		n, w := 1, pyWord{kind: pyOther, text: rest[:1]}
		switch {
		case rest[0] == '\n':
			if column = -1; open == 0 {
				end()
			}
		case pyBlank.MatchString(rest):
			n = len(pyBlank.FindString(rest))
		case rest[0] == '#':
			n = len(pyComment.FindString(rest))
		case rest[0] == ';' && open == 0:
			at := now.column
			end()
			now.column = at
		default:
			w = pyNextWord(rest, w)
			if len(now.words) == 0 {
				now.column = max(column, now.column)
			}
			open = max(0, open+pyOpens(w))
			now.words, n = append(now.words, w), len(w.text)
		}
		i, column = i+n, column+n
	}
	end()
	return out
}

func pyNextWord(rest string, one pyWord) pyWord {
	if t := pyString.FindString(rest); t != "" {
		return pyWord{kind: pyText, text: t}
	}
	if t := pyWordName.FindString(rest); t != "" {
		return pyWord{kind: pyName, text: t}
	}
	if t := pyOperator.FindString(rest); t != "" {
		return pyWord{kind: pyOther, text: t}
	}
	return one
}

func pyOpens(w pyWord) int {
	if w.kind != pyOther || len(w.text) != 1 {
		return 0
	}
	switch w.text[0] {
	case '(', '[', '{':
		return 1
	case ')', ']', '}':
		return -1
	}
	return 0
}

var pyPlace = regexp.MustCompile(`\{\{|\}\}|\{(\w*)\}|[{}]`)

// literal is the value of a text. Bytes, and f-strings with more than names in them, are left to Python.
func (w pyWord) literal(vars map[string]pyValue) (string, bool) {
	quote := strings.IndexAny(w.text, `"'`)
	prefix, body := strings.ToLower(w.text[:quote]), w.text[quote:]
	width := 1
	if len(body) >= 6 && (strings.HasPrefix(body, `"""`) || strings.HasPrefix(body, "'''")) {
		width = 3
	}
	body = body[width : len(body)-width]
	if strings.Contains(prefix, "b") {
		return "", false
	}
	if !strings.Contains(prefix, "r") {
		body = strings.NewReplacer(`\\`, `\`, `\'`, `'`, `\"`, `"`, "\\\n", "", `\n`, "\n", `\t`, "\t").Replace(body)
	}
	if !strings.Contains(prefix, "f") {
		return body, true
	}
	good := true
	body = pyPlace.ReplaceAllStringFunc(body, func(p string) string {
		if p == "{{" || p == "}}" {
			return p[:1]
		}
		v, known := vars[strings.Trim(p, "{}")]
		good = good && known && !v.null
		return v.text
	})
	return body, good
}
