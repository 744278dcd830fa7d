// Command vocabulary looks for words that comfygo's texts do not use: in pages of Markdown, in HTML, in the sentences among the strings of
// Go and JavaScript (errors, help, tooltips, log lines, labels), and in the comments and the declared names of all Go files. words.txt lists
// them with what to write instead.
//
//	go run ./tools/vocabulary        # fails when one is found
//	go run ./tools/vocabulary -fix   # writes the replacements that need no thought
package main

import (
	_ "embed" // for the words
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed words.txt
var list string

func main() {
	fix := flag.Bool("fix", false, "write the replacements that need no thought")
	flag.Parse()
	words, err := parse(list)
	if err != nil {
		fmt.Fprintln(os.Stderr, "vocabulary:", err)
		os.Exit(1)
	}
	found, err := run(os.DirFS("."), ".", words, *fix)
	for _, f := range found {
		fmt.Println(f)
	}
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "vocabulary:", err)
		os.Exit(1)
	case len(found) > 0:
		fmt.Fprintf(os.Stderr, "vocabulary: %d words to replace; -fix writes those that need no thought (tools/vocabulary/words.txt)\n", len(found))
		os.Exit(1)
	}
}

// skipped are folders and files whose text is generated, written by others, or not read by users.
var skipped = []string{"bin", "dist", "tools/vocabulary", "findings", "docs/nodes.md", "docs/models.md", "THIRD_PARTY_NOTICES.md", "internal/pyhost/comfygo_host"}

// developers are folders with strings that users do not read; the comments of their Go files are checked.
var developers = []string{"tools", "tests", "demo"}

// run looks through the files of a tree and, with fix, writes the replacements below root.
func run(tree fs.FS, root string, words *words, fix bool) ([]finding, error) {
	var found []finding
	err := fs.WalkDir(tree, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		for _, s := range skipped {
			if path == s {
				if d.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
		}
		if d.IsDir() {
			if name := d.Name(); path != "." && strings.HasPrefix(name, ".") || name == "testdata" {
				return fs.SkipDir
			}
			return nil
		}
		spans := spansOf(path)
		if spans == nil {
			return nil
		}
		text, err := fs.ReadFile(tree, path)
		if err != nil {
			return err
		}
		fixed, inFile := words.check(path, string(text), spans(string(text)), fix)
		found = append(found, inFile...)
		if strings.HasSuffix(path, ".go") {
			found = append(found, words.checkNames(path, string(text))...)
		}
		if fix && fixed != string(text) {
			return os.WriteFile(filepath.Join(root, filepath.FromSlash(path)), []byte(fixed), 0o644) //nolint:gosec // sources
		}
		return nil
	})
	return found, err
}

// spansOf returns the function that finds the texts of a file, nil for files that have no text to check.
func spansOf(path string) func(string) []span {
	top, _, _ := strings.Cut(path, "/")
	inner := slices.Contains(developers, top)
	switch {
	case strings.HasSuffix(path, ".go") && (inner || strings.HasSuffix(path, "_test.go")):
		return goComments
	case inner:
		return nil
	case strings.HasSuffix(path, ".go"):
		return goSpans
	case strings.HasSuffix(path, ".js"):
		return jsSpans
	case strings.HasSuffix(path, ".html"):
		return htmlSpans
	case strings.HasSuffix(path, ".md"):
		return markdownSpans
	}
	return nil
}
