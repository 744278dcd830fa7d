package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strings"
)

// goSpans are the sentences among the strings of a Go file: those with a blank in them, struct tags too.
func goSpans(text string) []span {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "", text, parser.SkipObjectResolution)
	if err != nil {
		return nil // the compiler says so
	}
	var spans []span
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

// outside are the parts of a span, whose text is given, that a pattern does not match.
func outside(s span, text string, pattern *regexp.Regexp) []span {
	var spans []span
	at := 0
	for _, m := range pattern.FindAllStringIndex(text, -1) {
		spans = append(spans, span{s.from + at, s.from + m[0]})
		at = m[1]
	}
	return append(spans, span{s.from + at, s.from + len(text)})
}
