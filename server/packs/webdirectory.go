package packs

import (
	"path/filepath"
	"strings"
)

// webDirectoryOf finds what a pack's Python source leaves in WEB_DIRECTORY, without running it: texts, texts joined by
// os.path.join and pathlib, the folder of the file itself, and names that were given such values before. ok is false
// when the name is not set, set to None, or to what only Python can tell. file is the source's own path.
func webDirectoryOf(source, file string) (dir string, ok bool) {
	if !strings.Contains(source, "WEB_DIRECTORY") {
		return "", false
	}
	vars := map[string]pyValue{"__file__": {text: file}}
	hidden := -1 // the column of a def or class whose body is passed over; -1: none
	for _, st := range pyStatements(source) {
		if hidden >= 0 && st.column > hidden {
			continue
		}
		hidden = -1
		switch first := st.words[0]; first.text {
		case "def", "class", "async":
			hidden = st.column
			continue
		}
		name, value, assigned := splitAssignment(st.words)
		if !assigned {
			continue
		}
		e := pyExpression{words: value, vars: vars}
		v, good := e.sum()
		if !good || e.at != len(value) {
			delete(vars, name)
			continue
		}
		vars[name] = v
	}
	v, ok := vars["WEB_DIRECTORY"]
	return v.text, ok && !v.null
}

// splitAssignment takes "NAME = value" or "NAME: type = value" apart.
func splitAssignment(words []pyWord) (name string, value []pyWord, ok bool) {
	if len(words) < 3 || words[0].kind != pyName {
		return "", nil, false
	}
	at := 1
	if words[1].is(":") {
		for at < len(words) && !words[at].is("=") {
			at++
		}
	}
	if at >= len(words) || !words[at].is("=") {
		return "", nil, false
	}
	return words[0].text, words[at+1:], true
}

// pyValue is a text or None.
type pyValue struct {
	text string
	null bool
}

// pyExpression evaluates the few expressions that name a folder.
type pyExpression struct {
	words []pyWord
	at    int
	vars  map[string]pyValue
	depth int
}

func (e *pyExpression) next(op string) bool {
	if e.at < len(e.words) && e.words[e.at].is(op) {
		e.at++
		return true
	}
	return false
}

// sum reads texts put together by +, and paths put together by /.
func (e *pyExpression) sum() (pyValue, bool) {
	const deepest = 50
	if e.depth++; e.depth > deepest {
		return pyValue{}, false
	}
	defer func() { e.depth-- }()
	v, ok := e.atom()
	for ok {
		var more pyValue
		switch {
		case e.next("+"):
			more, ok = e.atom()
			v.text += more.text
		case e.next("/"):
			more, ok = e.atom()
			v.text = pyJoin(v.text, more.text)
		default:
			return v, true
		}
		ok = ok && !v.null && !more.null
	}
	return v, ok
}

func (e *pyExpression) atom() (pyValue, bool) {
	if e.at >= len(e.words) {
		return pyValue{}, false
	}
	var v pyValue
	var ok bool
	switch w := e.words[e.at]; {
	case w.kind == pyText:
		v, ok = e.texts()
	case e.next("("):
		if v, ok = e.sum(); ok {
			ok = e.next(")")
		}
	case w.kind == pyName:
		v, ok = e.named()
	}
	for ok && !v.null && e.next(".") {
		v, ok = e.attribute(v)
	}
	return v, ok
}

// texts reads one text or several that stand side by side.
func (e *pyExpression) texts() (pyValue, bool) {
	var b strings.Builder
	for e.at < len(e.words) && e.words[e.at].kind == pyText {
		text, ok := e.words[e.at].literal(e.vars)
		if !ok {
			return pyValue{}, false
		}
		b.WriteString(text)
		e.at++
	}
	return pyValue{text: b.String()}, true
}

// named reads a variable, None, or the call of a function by its full name.
func (e *pyExpression) named() (pyValue, bool) {
	name := e.words[e.at].text
	e.at++
	if v, ok := e.vars[name]; ok {
		return v, true
	}
	if name == "None" {
		return pyValue{null: true}, true
	}
	for e.next(".") {
		if e.at >= len(e.words) || e.words[e.at].kind != pyName {
			return pyValue{}, false
		}
		name = e.words[e.at].text
		e.at++
	}
	if !e.next("(") {
		return pyValue{}, false
	}
	args, ok := e.arguments()
	if !ok || len(args) == 0 {
		return pyValue{}, false
	}
	switch name {
	case "join", "Path", "PurePath", "PosixPath":
		return pyValue{text: pyJoin(args...)}, true
	case "dirname":
		return pyValue{text: filepath.Dir(args[0])}, len(args) == 1
	case "realpath", "abspath", "normpath", "str", "fspath":
		return pyValue{text: args[0]}, len(args) == 1
	}
	return pyValue{}, false
}

// arguments reads what stands between the parentheses of a call.
func (e *pyExpression) arguments() (args []string, ok bool) {
	for !e.next(")") {
		v, good := e.sum()
		if !good || v.null {
			return nil, false
		}
		args = append(args, v.text)
		if !e.next(",") && (e.at >= len(e.words) || !e.words[e.at].is(")")) {
			return nil, false
		}
	}
	return args, true
}

// attribute reads what pathlib offers of a path.
func (e *pyExpression) attribute(v pyValue) (pyValue, bool) {
	if e.at >= len(e.words) || e.words[e.at].kind != pyName {
		return pyValue{}, false
	}
	name := e.words[e.at].text
	e.at++
	switch name {
	case "parent":
		return pyValue{text: filepath.Dir(v.text)}, true
	case "resolve", "absolute", "as_posix":
		return v, e.next("(") && e.next(")")
	case "joinpath":
		args, ok := []string(nil), e.next("(")
		if ok {
			args, ok = e.arguments()
		}
		return pyValue{text: pyJoin(append([]string{v.text}, args...)...)}, ok
	}
	return pyValue{}, false
}

// pyJoin is os.path.join: an absolute part begins anew.
func pyJoin(parts ...string) string {
	out := ""
	for _, p := range parts {
		switch {
		case filepath.IsAbs(p) || out == "":
			out = p
		default:
			out = strings.TrimSuffix(out, "/") + "/" + p
		}
	}
	return out
}
