package tests_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"comfygo/tests/golden"
)

// documented is one command that a document names.
type documented struct {
	where string // file:line
	words []string
}

// executed says of each kind of command of the documents where it is run: by TestDocumentedCommands itself ("here"), or by which other
// test or CI step. The longest prefix counts.
var executed = map[string]string{
	"comfygo":                   "tests/main_test.go",
	"comfygo backup":            "app/backup_test.go",
	"comfygo cancel":            "tests/people_test.go",
	"comfygo check":             "tests/people_test.go",
	"comfygo completion":        "here",
	"comfygo doctor":            "tests/people_test.go",
	"comfygo frontend install":  "frontend/frontend_test.go", // its function; the command itself needs the network
	"comfygo health":            "app/health_test.go",
	"comfygo history":           "tests/people_test.go",
	"comfygo keys":              "app/keys_test.go",
	"comfygo models":            "tests/people_test.go",
	"comfygo models --families": "here",
	"comfygo nats":              "tests/fleet/fleet_test.go",
	"comfygo packs":             "tests/packs_test.go",
	"comfygo queue":             "tests/people_test.go",
	"comfygo restore":           "app/backup_test.go",
	"comfygo run":               "tests/demo_test.go",
	"comfygo setup":             "tests/newcomer/newcomer_test.go",
	"comfygo users":             "app/keys_test.go",
	"comfygo version":           "here",
	"comfygo --help":            "here",
	"comfygo --help-all":        "here",
}

// TestDocumentedCommands holds the documents to the program: each command, subcommand, flag, make target, package and test that they name
// exists, and the commands that end by themselves without a server or the network are run as they stand.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()
	root, err := golden.Root()
	if err != nil {
		t.Fatal(err)
	}
	commands := documentedCommands(t, root)
	if len(commands) < 80 {
		t.Fatalf("only %d commands found in the documents", len(commands))
	}
	targets := makeTargets(t, root)
	used := map[string]bool{}
	for _, c := range commands {
		switch filepath.Base(c.words[0]) {
		case "comfygo":
			used[checkComfygo(t, c)] = true
		case "make":
			checkMake(t, c, targets)
		case "go":
			checkGo(t, c, root)
		}
	}
	for key, where := range executed {
		words := strings.Fields(key)
		switch {
		case !used[key]:
			t.Errorf("the documents do not name %q any more: take it out of `executed`", key)
		case where == "here" || len(words) < 2:
		case !strings.Contains(strings.ToLower(string(readFile(t, filepath.Join(root, where)))), words[len(words)-1]):
			t.Errorf("%s does not name %q, which it is said to run", where, key)
		}
	}
}

var (
	codeSpan    = regexp.MustCompile("`([^`\n]+)`")
	placeholder = regexp.MustCompile(`^[^a-z]*[A-Z][A-Z_…./]+|…|\.\.\.|^\[|[<>|]`)
	assignment  = regexp.MustCompile(`^[A-Z_]+=`)
	targetLine  = regexp.MustCompile(`(?m)^([a-z-]+):`)
	separator   = regexp.MustCompile(`&&|;| \| `)
)

// documentedCommands reads the code spans, the indented lines and the fenced blocks of the documents.
func documentedCommands(t *testing.T, root string) []documented {
	t.Helper()
	var all []documented
	read := func(path string) {
		fenced := false
		for i, line := range strings.Split(string(readFile(t, filepath.Join(root, path))), "\n") {
			var texts []string
			switch trimmed := strings.TrimSpace(line); {
			case strings.HasPrefix(trimmed, "```"):
				fenced = !fenced
			case fenced, strings.HasPrefix(line, "    "):
				texts = []string{trimmed}
			default:
				for _, m := range codeSpan.FindAllStringSubmatch(line, -1) {
					texts = append(texts, m[1])
				}
			}
			for _, text := range texts {
				for _, words := range shellCommands(text) {
					all = append(all, documented{fmt.Sprintf("%s:%d", path, i+1), words})
				}
			}
		}
	}
	for _, name := range []string{"README.md", "CONTRIBUTING.md", "SECURITY.md"} {
		read(name)
	}
	for _, dir := range []string{"docs", "deploy"} {
		err := fs.WalkDir(os.DirFS(root), dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && strings.HasSuffix(path, ".md") {
				read(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// shellCommands splits a line into the words of those of its commands that are ours to run.
func shellCommands(line string) [][]string {
	line, _, _ = strings.Cut(line, " #")
	var found [][]string
	for _, part := range separator.Split(line, -1) {
		words := strings.Fields(strings.NewReplacer(`\|`, "|", "'", "", `"`, "").Replace(part))
		for len(words) > 0 && (assignment.MatchString(words[0]) || words[0] == "sudo" || words[0] == "exec") {
			words = words[1:]
		}
		if len(words) < 2 && (len(words) == 0 || words[0] != "comfygo") {
			continue
		}
		switch words[0] {
		case "comfygo", "./comfygo", "bin/comfygo", "make":
			found = append(found, words)
		case "go":
			if slices.Contains([]string{"run", "test", "build"}, words[1]) {
				found = append(found, words)
			}
		}
	}
	return found
}

// helps holds what --help prints, by subcommand.
var helps sync.Map

func helpOf(t *testing.T, args ...string) string {
	t.Helper()
	key := strings.Join(args, " ")
	once, _ := helps.LoadOrStore(key, sync.OnceValue(func() string {
		code, out, errs := command(t, args...)
		if code != 0 {
			return ""
		}
		return out + errs
	}))
	return once.(func() string)()
}

// checkComfygo looks the subcommand and the flags up in the program's help, and runs what ends by itself. It returns the key of executed.
func checkComfygo(t *testing.T, c documented) string {
	t.Helper()
	line := strings.Join(append([]string{"comfygo"}, c.words[1:]...), " ")
	all := helpOf(t, "--help-all")
	help := all
	rest := c.words[1:]
	if len(rest) > 0 && !strings.HasPrefix(rest[0], "-") && !placeholder.MatchString(rest[0]) {
		if help = helpOf(t, rest[0], "--help"); help == "" {
			t.Errorf("%s: `%s`: the program has no command %q", c.where, line, rest[0])
			return ""
		}
	}
	for _, word := range rest {
		flag, _, _ := strings.Cut(strings.Trim(word, "[],."), "=")
		if strings.HasPrefix(flag, "--") && !hasWord(help, flag) && !hasWord(all, flag) {
			t.Errorf("%s: `%s`: the program has no flag %s", c.where, line, flag)
		}
	}
	key := ""
	for prefix := range executed {
		if (line == prefix || strings.HasPrefix(line, prefix+" ")) && len(prefix) > len(key) {
			key = prefix
		}
	}
	switch where := executed[key]; {
	case key == "":
		t.Errorf("%s: `%s`: say in `executed` which test runs it", c.where, line)
	case where == "here":
		runDocumented(t, c, line)
	}
	return key
}

// ran holds the command lines that have been run: many documents name the same.
var ran sync.Map

// runDocumented runs a command as it stands; of alternatives (a|b) each.
func runDocumented(t *testing.T, c documented, line string) {
	t.Helper()
	lines := [][]string{nil}
	for _, word := range c.words[1:] {
		if strings.HasPrefix(word, "[") {
			continue // an argument that may be left out
		}
		var next [][]string
		for _, choice := range strings.Split(word, "|") {
			for _, l := range lines {
				next = append(next, append(slices.Clone(l), choice))
			}
		}
		lines = next
	}
	for _, args := range lines {
		if slices.ContainsFunc(args, placeholder.MatchString) {
			continue
		}
		if _, done := ran.LoadOrStore(strings.Join(args, " "), true); done {
			continue
		}
		if code, out, errs := command(t, args...); code != 0 || out == "" {
			t.Errorf("%s: `%s` ends with %d: %s", c.where, line, code, errs)
		}
	}
}

func hasWord(text, word string) bool {
	return regexp.MustCompile(regexp.QuoteMeta(word) + `(?:[^a-z0-9-]|$)`).MatchString(text)
}

func makeTargets(t *testing.T, root string) []string {
	t.Helper()
	var targets []string
	for _, m := range targetLine.FindAllStringSubmatch(string(readFile(t, filepath.Join(root, "Makefile"))), -1) {
		targets = append(targets, m[1])
	}
	return targets
}

func checkMake(t *testing.T, c documented, targets []string) {
	t.Helper()
	for _, word := range c.words[1:] {
		if strings.ContainsAny(word, `="[…`) || strings.HasPrefix(word, "-") {
			break // variables and options end the list of targets
		}
		if !slices.Contains(targets, word) {
			t.Errorf("%s: `%s`: the Makefile has no target %q", c.where, strings.Join(c.words, " "), word)
		}
	}
}

// checkGo looks up the package, the flags of a tool, and the tests and benchmarks that -run and -bench choose.
func checkGo(t *testing.T, c documented, root string) {
	t.Helper()
	line := strings.Join(c.words, " ")
	var dir, source string
	recursive := false
	for i := 2; i < len(c.words); i++ {
		word := strings.Trim(c.words[i], "[]")
		switch {
		case dir == "" && (strings.HasPrefix(word, "./") || word == "."):
			dir, recursive = strings.TrimSuffix(word, "..."), strings.HasSuffix(word, "...")
			if source = sources(filepath.Join(root, dir), recursive); source == "" {
				t.Errorf("%s: `%s`: there is no package %s", c.where, line, dir)
				return
			}
		case c.words[1] == "test" && (word == "-run" || word == "-bench") && i+1 < len(c.words):
			kind := map[string]string{"-run": "Test", "-bench": "Benchmark"}[word]
			pattern := strings.Trim(c.words[i+1], "[]")
			if pattern == "xxx" || pattern == "." || dir == "" {
				continue
			}
			if !declares(t, c, source, kind, pattern) {
				t.Errorf("%s: `%s`: %s %q chooses nothing in %s", c.where, line, word, pattern, dir)
			}
		case c.words[1] == "run" && dir != "" && strings.HasPrefix(word, "-"):
			flag, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
			if !regexp.MustCompile(`\.\w+\((?:&?[\w.\[\]]+, )?"` + regexp.QuoteMeta(flag) + `"`).MatchString(source) {
				t.Errorf("%s: `%s`: %s has no flag -%s", c.where, line, dir, flag)
			}
		}
	}
}

// declares reports whether a test or benchmark of the source matches the pattern, whose part before "/" names it.
func declares(t *testing.T, c documented, source, kind, pattern string) bool {
	t.Helper()
	pattern, _, _ = strings.Cut(pattern, "/")
	fits, err := regexp.Compile(pattern)
	if err != nil {
		t.Errorf("%s: %v", c.where, err)
		return true
	}
	for line := range strings.SplitSeq(source, "\n") {
		rest, ok := strings.CutPrefix(line, "func "+kind)
		if name, _, called := strings.Cut(rest, "("); ok && called && fits.MatchString(kind+name) {
			return true
		}
	}
	return false
}

// sourceTexts holds what sources returned: documents name the same folders many times.
var sourceTexts sync.Map

// sources joins the Go files of a folder.
func sources(dir string, recursive bool) string {
	type key struct {
		dir       string
		recursive bool
	}
	if text, ok := sourceTexts.Load(key{dir, recursive}); ok {
		return text.(string)
	}
	text := readSources(dir, recursive)
	sourceTexts.Store(key{dir, recursive}, text)
	return text
}

func readSources(dir string, recursive bool) string {
	var text strings.Builder
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil // a folder that is missing has no sources
		case d.IsDir() && path != dir && !recursive:
			return fs.SkipDir
		case d.IsDir():
			return nil
		}
		if strings.HasSuffix(path, ".go") {
			if data, err := os.ReadFile(path); err == nil {
				text.Write(data)
			}
		}
		return nil
	})
	return text.String()
}
