package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// words are what must not be written.
type words struct {
	pattern      *regexp.Regexp
	instead      map[string]string // by the word in lower case
	allowed      []string          // phrases, in lower case
	names        map[string]string // by the word of an identifier, in lower case
	allowedNames map[string]bool
}

// finding is a word at a place.
type finding struct {
	path          string
	line          int
	word, instead string
}

func (f finding) String() string {
	return fmt.Sprintf("%s:%d: %q -> %s", f.path, f.line, f.word, f.instead)
}

// parse reads words.txt.
func parse(text string) (*words, error) {
	w := &words{instead: map[string]string{}, names: map[string]string{}, allowedNames: map[string]bool{}}
	var alternatives []string
	for n, line := range strings.Split(text, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		if phrase, ok := strings.CutPrefix(line, "!"); ok {
			if name, isName := strings.CutPrefix(phrase, "@"); isName {
				w.allowedNames[name] = true
			} else {
				w.allowed = append(w.allowed, strings.ToLower(phrase))
			}
			continue
		}
		word, instead, ok := strings.Cut(line, "\t")
		if !ok || word != strings.TrimSpace(word) || instead == "" {
			return nil, fmt.Errorf("line %d of the list is not word, tab, replacement: %q", n+1, line)
		}
		if name, isName := strings.CutPrefix(word, "@"); isName {
			w.names[name] = instead
		} else {
			w.instead[strings.ToLower(word)] = instead
			alternatives = append(alternatives, regexp.QuoteMeta(word))
		}
	}
	slices.SortFunc(alternatives, func(a, b string) int { return len(b) - len(a) }) // the longest first
	var err error
	w.pattern, err = regexp.Compile(`(?i)\b(?:` + strings.Join(alternatives, "|") + `)\b`)
	return w, err
}

// span is a text within a file, from one byte to before another.
type span struct{ from, to int }

// check finds the words in the spans of a text. With fix it returns the text with those replaced that can be, and finds the others only.
func (w *words) check(path, text string, spans []span, fix bool) (string, []finding) {
	var found []finding
	var out strings.Builder
	at := 0
	for _, s := range spans {
		for _, m := range w.pattern.FindAllStringIndex(text[s.from:s.to], -1) {
			from, to := s.from+m[0], s.from+m[1]
			word := text[from:to]
			if word == strings.ToUpper(word) || w.isAllowed(text, from, to) || joined(text, from, to) {
				continue
			}
			instead := w.instead[strings.ToLower(word)]
			if fix && instead[0] != '(' {
				out.WriteString(text[at:from] + alike(word, instead))
				at = to
				continue
			}
			found = append(found, finding{path, 1 + strings.Count(text[:from], "\n"), word, instead})
		}
	}
	out.WriteString(text[at:])
	return out.String(), found
}

// isAllowed reports whether a word stands within a phrase in which it is right.
func (w *words) isAllowed(text string, from, to int) bool {
	const around = 40
	near := strings.ToLower(text[max(0, from-around):min(len(text), to+around)])
	word := strings.ToLower(text[from:to])
	return slices.ContainsFunc(w.allowed, func(p string) bool { return strings.Contains(p, word) && strings.Contains(near, p) })
}

// joined reports whether a word is part of a name: a.picture, picture_name, picture.go, --picture.
func joined(text string, from, to int) bool {
	const joints = "_/\\-=$@"
	before, after := byte(' '), byte(' ')
	if from > 0 {
		before = text[from-1]
	}
	if to < len(text) {
		after = text[to]
	}
	dotted := after == '.' && to+1 < len(text) && (unicode.IsLetter(rune(text[to+1])) || text[to+1] == '%')
	key := after == ':' && to+1 < len(text) && text[to+1] != ' ' && text[to+1] != '\n'
	quoted := before == '"' && after == '"'
	return strings.IndexByte(joints, before) >= 0 && before != '-' || strings.IndexByte("_/=(", after) >= 0 || dotted || key || quoted || before == '.' || before == '<'
}

// alike gives a replacement the capital of the word.
func alike(word, instead string) string {
	if r := []rune(word); unicode.IsUpper(r[0]) {
		return strings.ToUpper(instead[:1]) + instead[1:]
	}
	return instead
}
