package folders

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Shown returns a text for clients without the places of files on the server's disk: a path in one of the folders begins with the folder's
// name (input/cat.png, output/video, checkpoints/a.safetensors), a path below the base folder with what comes behind it. Other text stays.
func (f *Folders) Shown(text string) string {
	if !strings.ContainsAny(text, `/\`) {
		return text
	}
	for _, p := range f.publicNames() {
		text = replacePath(text, p.path, p.name)
	}
	return text
}

// publicName is the name of a folder for clients.
type publicName struct{ path, name string }

// publicNames are the folders' names, deeper folders first.
func (f *Folders) publicNames() []publicName {
	list := []publicName{{f.input, "input"}, {f.output, "output"}, {f.temp, "temp"}, {f.user, "user"}, {f.models, "models"}, {f.base, ""}}
	if f.owner != "" {
		common := f.For("")
		list = append(list, publicName{common.input, "input"}, publicName{common.output, "output"}, publicName{common.temp, "temp"})
	}
	f.mu.RLock()
	for _, name := range f.order {
		for _, root := range f.kinds[name].roots {
			list = append(list, publicName{root, name})
		}
	}
	f.mu.RUnlock()
	list = slices.DeleteFunc(list, func(p publicName) bool { return len(p.path) < len("/a") || !filepath.IsAbs(p.path) })
	for _, p := range slices.Clone(list) {
		if real, err := filepath.EvalSymlinks(p.path); err == nil && real != p.path {
			list = append(list, publicName{real, p.name})
		}
	}
	slices.SortStableFunc(list, func(a, b publicName) int { return cmp.Compare(len(b.path), len(a.path)) })
	return list
}

// replacePath puts a name in place of a folder's path, where it stands as a whole path or before a separator. An empty name takes the
// separator with it.
func replacePath(text, path, name string) string {
	var out strings.Builder
	for {
		at := strings.Index(text, path)
		if at < 0 {
			out.WriteString(text)
			return out.String()
		}
		rest := text[at+len(path):]
		if at > 0 && isNameByte(text[at-1]) || rest != "" && isNameByte(rest[0]) && !os.IsPathSeparator(path[len(path)-1]) {
			out.WriteString(text[:at+len(path)])
			text = rest
			continue
		}
		out.WriteString(text[:at])
		switch {
		case name != "":
			out.WriteString(name)
		case rest != "" && os.IsPathSeparator(rest[0]) && len(rest) > 1 && isNameByte(rest[1]):
			rest = rest[1:]
		default:
			out.WriteByte('.')
		}
		text = rest
	}
}

// isNameByte reports whether a byte goes on with the name of a file.
func isNameByte(c byte) bool {
	return c == '_' || c == '-' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}
