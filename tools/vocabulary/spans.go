package main

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strings"
)

// goComments returns the comments of a Go file. A comment that begins with the name of a declaration is checked from behind that
// name.
func goComments(text string) []span {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "", text, parser.SkipObjectResolution|parser.ParseComments)
	if err != nil {
		return nil // the compiler says so
	}
	names := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && len(id.Name) > 1 {
			names[id.Name] = true // "a" at the beginning of a comment is an article
		}
		return true
	})
	var spans []span
	for _, group := range file.Comments {
		for i, c := range group.List {
			s := span{files.Position(c.Pos()).Offset, files.Position(c.End()).Offset}
			if first, _, _ := strings.Cut(strings.TrimPrefix(c.Text, "// "), " "); i == 0 && names[first] {
				s.from += len("// ") + len(first)
			}
			spans = append(spans, s)
		}
	}
	return spans
}

// goSpans are the comments of a Go file and the sentences among its strings: those with a blank in them, struct tags too.
func goSpans(text string) []span {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "", text, parser.SkipObjectResolution)
	if err != nil {
		return nil // the compiler says so
	}
	spans := goComments(text)
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.KeyValueExpr: // names that ComfyUI gives
			if key, ok := n.Key.(*ast.Ident); ok && (key.Name == "Name" || key.Name == "Display" || key.Name == "DisplayName" || key.Name == "Category") {
				return false
			}
		case *ast.BasicLit:
			if n.Kind == token.STRING && strings.Contains(n.Value, " ") {
				from := files.Position(n.Pos()).Offset
				spans = append(spans, span{from + 1, from + len(n.Value) - 1})
			}
		}
		return true
	})
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	return spans
}

var (
	jsString = regexp.MustCompile(`//[^\n]*|/\*(?s:.*?)\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|` + "`(?:\\\\.|[^`\\\\])*`")
	jsInside = regexp.MustCompile(`\$\{[^{}]*\}`)
	htmlTag  = regexp.MustCompile(`(?s)<(?:style|script).*?</(?:style|script)>|<[^>]*>|\{\{.*?\}\}`)
	mdCode   = regexp.MustCompile("(?s)```.*?```|`[^`\n]*`|\\]\\([^)]*\\)")
	mdIndent = regexp.MustCompile(`(?m)^(?:    |\t).*$`)
)

// jsSpans are the strings of a JavaScript file that have a blank or begin with a capital, without its comments and the code in them.
func jsSpans(text string) []span {
	var spans []span
	for _, m := range jsString.FindAllStringIndex(text, -1) {
		s := text[m[0]:m[1]]
		if strings.HasPrefix(s, "/") || len(s) < 3 || !strings.Contains(s, " ") && (s[1] < 'A' || s[1] > 'Z') {
			continue
		}
		if before := strings.TrimRight(text[max(0, m[0]-20):m[0]], " ["); strings.HasSuffix(before, "class:") || strings.HasSuffix(before, "from") {
			continue
		}
		spans = append(spans, outside(span{m[0] + 1, m[1] - 1}, s[1:len(s)-1], jsInside)...)
	}
	return spans
}

// htmlSpans are the texts between tags.
func htmlSpans(text string) []span { return outside(span{0, len(text)}, text, htmlTag) }

// markdownSpans are the texts without code and the addresses of links.
func markdownSpans(text string) []span {
	var spans []span
	for _, s := range outside(span{0, len(text)}, text, mdCode) {
		spans = append(spans, outside(s, text[s.from:s.to], mdIndent)...)
	}
	return spans
}

// outside returns the parts of a span, given with its text, that a pattern does not match.
func outside(s span, text string, pattern *regexp.Regexp) []span {
	var spans []span
	at := 0
	for _, m := range pattern.FindAllStringIndex(text, -1) {
		spans = append(spans, span{s.from + at, s.from + m[0]})
		at = m[1]
	}
	return append(spans, span{s.from + at, s.from + len(text)})
}
