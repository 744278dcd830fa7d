package packdir

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"comfygo/internal/plainfile"
)

// longest bounds the size that is read of one file of a pack.
const longest = 1 << 20

// describe reads the description in a pack's files, or returns false if it is not a pack.
func describe(root, folder string) (Pack, bool) {
	path := filepath.Join(root, folder)
	name, off := strings.CutSuffix(folder, disabled)
	p := Pack{Name: name, Enabled: !off, Path: path}
	if folder == "__pycache__" || strings.HasPrefix(folder, ".") {
		return p, false
	}
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return p, err == nil && strings.HasSuffix(name, ".py")
	}
	if !there(path, "__init__.py") {
		return p, false
	}
	p.Requirements, p.Installer = there(path, "requirements.txt"), there(path, "install.py")
	p.Version = inTable(read(path, "pyproject.toml"), "project", versionLine)
	git := filepath.Join(path, ".git")
	p.Commit = commit(git)
	p.Source = withoutPassword(inTable(read(git, "config"), `remote "origin"`, urlLine))
	return p, true
}

func there(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}

func read(dir, name string) string {
	text, _, err := plainfile.Read(filepath.Join(dir, filepath.FromSlash(name)), longest)
	if err != nil {
		return "" // it says nothing
	}
	return string(text)
}

var (
	tableLine   = regexp.MustCompile(`^\s*\[\s*(.+?)\s*\]\s*$`)
	versionLine = regexp.MustCompile(`^\s*version\s*=\s*["']([^"'\\]*)["']`)
	urlLine     = regexp.MustCompile(`^\s*url\s*=\s*(\S+)`)
)

// inTable finds the value of a line in a table of a TOML file, or a section of git's configuration.
func inTable(text, table string, line *regexp.Regexp) string {
	in := ""
	for l := range strings.Lines(text) {
		l = strings.TrimRight(l, "\r\n")
		if m := tableLine.FindStringSubmatch(l); m != nil {
			in = m[1]
		} else if m := line.FindStringSubmatch(l); m != nil && in == table {
			return m[1]
		}
	}
	return ""
}

// commit returns the commit that is checked out, or "" if it is unknown.
func commit(git string) string {
	head := strings.TrimSpace(read(git, "HEAD"))
	ref, ok := strings.CutPrefix(head, "ref: ")
	if !ok {
		return hash(head)
	}
	if !filepath.IsLocal(filepath.FromSlash(ref)) {
		return ""
	}
	if text := hash(strings.TrimSpace(read(git, ref))); text != "" {
		return text
	}
	for line := range strings.Lines(read(git, "packed-refs")) {
		if id, name, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name == ref {
			return hash(id)
		}
	}
	return ""
}

var hashText = regexp.MustCompile(`^[0-9a-f]{40,64}$`)

func hash(text string) string {
	if !hashText.MatchString(text) {
		return ""
	}
	return text
}

// withoutPassword takes user and password off an address.
func withoutPassword(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme == "" {
		return address
	}
	u.User = nil
	return u.String()
}
