package folders

import (
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// listing is a remembered answer of List with the folders it came from.
type listing struct {
	files []string
	dirs  map[string]time.Time
	at    time.Time
}

// settle is how old a folder's change must be before a listing made after it is trusted: within the grain of the file
// system's clock a second change would not be seen.
const settle = 50 * time.Millisecond

// List returns the files of a kind: names relative to their search folder with / between the parts, from all search
// folders and all folders below them, symbolic links followed, each name once, sorted by code point. Hidden files
// count; folders called .git do not. It is nil for an unknown kind. Legacy names work.
// The answer is remembered until a folder's modification time changes.
func (f *Folders) List(kind string) []string {
	kind = legacy(kind)
	f.mu.RLock()
	k, cached := f.kinds[kind], f.cache[kind]
	if k == nil {
		f.mu.RUnlock()
		return nil
	}
	roots, exts, extra := slices.Clone(k.roots), k.exts, slices.Collect(maps.Keys(k.extra))
	f.mu.RUnlock()
	if cached.dirs != nil && cached.fresh(roots) {
		return slices.Clone(cached.files)
	}

	fresh := listing{dirs: map[string]time.Time{}, at: time.Now()}
	for _, root := range roots {
		for _, name := range walk(root, fresh.dirs) {
			if len(exts) == 0 || slices.Contains(exts, Ext(name)) {
				fresh.files = append(fresh.files, name)
			}
		}
	}
	fresh.files = append(fresh.files, extra...)
	slices.Sort(fresh.files)
	fresh.files = slices.Compact(fresh.files)

	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.Equal(k.roots, roots) && len(k.extra) == len(extra) {
		f.cache[kind] = fresh
	}
	return slices.Clone(fresh.files)
}

// fresh reports whether the folders still are as they were and no search folder has come into being.
func (l listing) fresh(roots []string) bool {
	for dir, seen := range l.dirs {
		info, err := os.Stat(dir)
		if err != nil || !info.ModTime().Equal(seen) || l.at.Sub(seen).Abs() < settle {
			return false
		}
	}
	for _, root := range roots {
		if _, known := l.dirs[root]; !known && isDir(root) {
			return false
		}
	}
	return true
}

// walk returns all files below root, relative to it with slashes, and notes the modification time of every folder.
func walk(root string, dirs map[string]time.Time) []string {
	var files []string
	var visit func(dir, rel string, above []os.FileInfo)
	visit = func(dir, rel string, above []os.FileInfo) {
		info, err := os.Stat(dir)
		if err != nil || !info.IsDir() {
			return
		}
		for _, a := range above {
			if os.SameFile(a, info) { // a link back to a folder above
				return
			}
		}
		dirs[dir] = info.ModTime()
		entries, err := os.ReadDir(dir)
		if err != nil {
			return
		}
		above = append(slices.Clone(above), info)
		for _, e := range entries {
			full, name := filepath.Join(dir, e.Name()), path.Join(rel, e.Name())
			switch {
			case !e.IsDir() && (e.Type()&os.ModeSymlink == 0 || !isDir(full)):
				files = append(files, name)
			case e.Name() != ".git":
				visit(full, name, above)
			}
		}
	}
	visit(root, "", nil)
	return files
}

// Find returns the path of a file of a kind: the first search folder that has a regular file of that name wins. The
// name cannot leave the search folders by ".." or a leading slash. Legacy names of kinds work.
func (f *Folders) Find(kind, name string) (string, bool) {
	f.mu.RLock()
	k := f.kinds[legacy(kind)]
	if k == nil {
		f.mu.RUnlock()
		return "", false
	}
	roots, extra := slices.Clone(k.roots), k.extra[name]
	f.mu.RUnlock()
	rel := strings.TrimPrefix(path.Clean("/"+filepath.ToSlash(name)), "/")
	for _, root := range roots {
		full := filepath.Join(root, filepath.FromSlash(rel))
		if isFile(full) {
			return full, true
		}
		if info, err := os.Lstat(full); err == nil && info.Mode()&os.ModeSymlink != 0 && rel != "" {
			f.log.Warn("skipping a link that leads nowhere", "path", full)
		}
	}
	if extra != "" && isFile(extra) {
		return extra, true
	}
	return "", false
}

// Ext returns the ending of a name in lower case with its dot. Unlike filepath.Ext it gives "" for names whose only
// dots come first, such as .hidden.
func Ext(name string) string {
	base := strings.TrimLeft(path.Base(filepath.ToSlash(name)), ".")
	return strings.ToLower(path.Ext(base))
}

func isDir(p string) bool {
	info, err := os.Stat(p)
	return err == nil && info.IsDir()
}

func isFile(p string) bool {
	info, err := os.Stat(p)
	return err == nil && info.Mode().IsRegular()
}
