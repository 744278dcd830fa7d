package web_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"comfygo/web"
)

func TestFiles(t *testing.T) {
	t.Parallel()
	names := web.Names()
	tags := map[string]string{}
	for _, name := range names {
		f, ok := web.Open(name)
		if !ok || f.Name != name || f.Type == "" || len(f.Body) == 0 {
			t.Errorf("%s: ok %v, name %q, type %q, %d bytes", name, ok, f.Name, f.Type, len(f.Body))
		}
		if other, taken := tags[f.ETag]; taken {
			t.Errorf("%s and %s have the tag %s", name, other, f.ETag)
		}
		tags[f.ETag] = name
		if f.Packed == nil {
			continue
		}
		if f.PackedETag == f.ETag || len(f.Packed) >= len(f.Body) {
			t.Errorf("%s: packed tag %s, %d bytes of %d", name, f.PackedETag, len(f.Packed), len(f.Body))
		}
		r, err := gzip.NewReader(bytes.NewReader(f.Packed))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, f.Body) {
			t.Errorf("%s: unpacked differs (%v)", name, err)
		}
	}
	for _, name := range []string{"", "/app.html", "web.go", "js", "../web.go", "js/../app.html"} {
		if _, ok := web.Open(name); ok {
			t.Errorf("%q is served", name)
		}
	}
}

// TestEverythingIsEmbedded compares with the folder, so that a new file of another kind is not forgotten.
func TestEverythingIsEmbedded(t *testing.T) {
	t.Parallel()
	var want []string
	err := filepath.WalkDir(".", func(name string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Ext(name) != ".go" {
			want = append(want, filepath.ToSlash(name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	if got := web.Names(); !slices.Equal(got, want) {
		t.Errorf("served: %q\nin the folder: %q", got, want)
	}
}

var (
	imported = regexp.MustCompile(`(?m)^import [^;]*?from "([^"]+)";`)
	linked   = regexp.MustCompile(`(?:src|href)="([^"#][^"]*)"`)
	styled   = regexp.MustCompile(`url\("([^"]+)"\)`)
)

// TestReferences follows every import, link and address of a style to a file that is there.
func TestReferences(t *testing.T) {
	t.Parallel()
	for _, name := range web.Names() {
		f, _ := web.Open(name)
		var targets []string
		switch path.Ext(name) {
		case ".js":
			for _, m := range imported.FindAllSubmatch(f.Body, -1) {
				if !strings.HasPrefix(string(m[1]), "./") {
					t.Errorf("%s imports %s, which is not relative", name, m[1])
				}
				targets = append(targets, path.Join(path.Dir(name), string(m[1])))
			}
		case ".css":
			for _, m := range styled.FindAllSubmatch(f.Body, -1) {
				targets = append(targets, path.Join(path.Dir(name), string(m[1])))
			}
		case ".html":
			for _, m := range linked.FindAllSubmatch(f.Body, -1) {
				target, ours := strings.CutPrefix(string(m[1]), "app/")
				if !ours && !slices.Contains([]string{"app", "manage"}, target) {
					t.Errorf("%s refers to %s, which is not ours", name, m[1])
				}
				if ours {
					targets = append(targets, target)
				}
			}
		}
		for _, target := range targets {
			if _, ok := web.Open(target); !ok {
				t.Errorf("%s refers to %s, which is not there", name, target)
			}
		}
	}
}

// TestNoMarkupFromText looks for the ways in which text could become markup or code; the policy forbids them too.
func TestNoMarkupFromText(t *testing.T) {
	t.Parallel()
	forbidden := map[string]*regexp.Regexp{
		".js":   regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|createContextualFragment|srcdoc|setAttribute\("on`),
		".html": regexp.MustCompile(`(?i)\son\w+\s*=|\sstyle\s*=|<style|javascript:|<script(?:\s[^>]*)?>[^<]`),
		".css":  regexp.MustCompile(`(?i)@import|https?:`),
		".svg":  regexp.MustCompile(`(?i)<script|\son\w+\s*=|href`),
	}
	for _, name := range web.Names() {
		f, _ := web.Open(name)
		if found := forbidden[path.Ext(name)].Find(f.Body); found != nil {
			t.Errorf("%s has %q", name, found)
		}
	}
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "require-trusted-types-for 'script'", "frame-ancestors 'none'"} {
		if !strings.Contains(web.Policy, want) {
			t.Errorf("the policy lacks %s", want)
		}
	}
	if strings.Contains(web.Policy, "unsafe") || strings.Contains(web.Policy, "data:") {
		t.Errorf("the policy allows too much: %s", web.Policy)
	}
}

var (
	importedNames = regexp.MustCompile(`(?m)^import \{([^}]*)\} from "\./([^"]+)";`)
	exportedName  = regexp.MustCompile(`(?m)^export (?:async )?(?:function|const|class) (\w+)`)
	word          = regexp.MustCompile(`\w+`)
)

// TestNothingLeftOver holds the modules to what they use: every import is used, and every export is imported.
func TestNothingLeftOver(t *testing.T) {
	t.Parallel()
	wanted := map[string]bool{}
	for _, name := range web.Names() {
		f, _ := web.Open(name)
		count := map[string]int{}
		for _, w := range word.FindAllString(string(f.Body), -1) {
			count[w]++
		}
		for _, m := range importedNames.FindAllStringSubmatch(string(f.Body), -1) {
			for _, what := range word.FindAllString(m[1], -1) {
				wanted[m[2]+" "+what] = true
				if count[what] < 2 {
					t.Errorf("%s imports %s and does not use it", name, what)
				}
			}
		}
	}
	for _, name := range web.Names() {
		f, _ := web.Open(name)
		for _, m := range exportedName.FindAllStringSubmatch(string(f.Body), -1) {
			if !wanted[path.Base(name)+" "+m[1]] {
				t.Errorf("%s exports %s, which no file imports", name, m[1])
			}
		}
	}
}

var className = regexp.MustCompile(`\.([a-z][\w-]*)`)

// TestStylesAreUsed looks for classes of the style sheets that no page and no module mentions.
func TestStylesAreUsed(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for _, name := range web.Names() {
		if f, _ := web.Open(name); path.Ext(name) == ".js" || path.Ext(name) == ".html" {
			all.Write(f.Body)
		}
	}
	made := regexp.MustCompile(`^(field|group|chart|s)-`) // put together from two words
	for _, name := range web.Names() {
		f, _ := web.Open(name)
		if path.Ext(name) != ".css" {
			continue
		}
		for _, rule := range regexp.MustCompile(`(?m)^[^{}@/]*\{`).FindAllString(string(f.Body), -1) {
			for _, m := range className.FindAllStringSubmatch(rule, -1) {
				if !made.MatchString(m[1]) && !regexp.MustCompile(`\b`+m[1]+`\b`).MatchString(all.String()) {
					t.Errorf("%s has the class %s, which nothing has", name, m[1])
				}
			}
		}
	}
}
