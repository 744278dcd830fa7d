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

// listing is a remembered answer of List.
type listing struct {
	files []string
	seen  sighting
}

// sighting is the state of the search folders at one listing.
type sighting struct {
	roots []seenRoot
	at    time.Time
}

// seenRoot is one of them: the watcher's number, 0 if there was none, and, when it was walked through, the time of every folder.
type seenRoot struct {
	path   string
	number uint64
	walked bool
	dirs   map[string]time.Time
}

// settle is how old a folder's change must be before a listing made after it is trusted: within the grain of the file
// system's clock a second change would not be seen.
const settle = 50 * time.Millisecond

// cheap is up to how many folders looking at their times costs less than asking the watcher.
const cheap = 16

// look walks through search folders and returns their files by root. When the files are not needed, a root that is watched need not be
// walked through.
func (f *Folders) look(roots []string, wanted bool) (files [][]string, s sighting) {
	s = sighting{roots: make([]seenRoot, len(roots)), at: time.Now()}
	marks := f.marks(roots) // first: what changes while the folders are walked through is seen the next time
	for i, root := range roots {
		s.roots[i] = seenRoot{path: root, number: marks[i], dirs: map[string]time.Time{}}
		if wanted || marks[i] == 0 {
			files = append(files, walk(root, s.roots[i].dirs))
			s.roots[i].walked = true
		}
	}
	return files, s
}

// fresh reports whether the search folders are these and unchanged. Up to few folders are compared by their times without asking the watcher.
func (f *Folders) fresh(s sighting, roots []string, few int) bool {
	dirs := 0
	for i, r := range s.roots {
		if i >= len(roots) || r.path != roots[i] {
			return false
		}
		dirs += len(r.dirs)
	}
	if len(roots) != len(s.roots) {
		return false
	}
	marks := make([]uint64, len(roots))
	if dirs > few {
		marks = f.marks(roots)
	}
	for i, r := range s.roots {
		if marks[i] != 0 && marks[i] != r.number || marks[i] == 0 && !r.asBefore(s.at) {
			return false
		}
	}
	return true
}

// marks are the watcher's numbers of search folders, all 0 when none watches.
func (f *Folders) marks(roots []string) []uint64 {
	if w := f.watch.Load(); w != nil {
		return w.marks(roots)
	}
	return make([]uint64, len(roots))
}

// asBefore reports whether the times of the folders still are what they were, and no search folder has come into being.
func (r seenRoot) asBefore(at time.Time) bool {
	for dir, seen := range r.dirs {
		info, err := os.Stat(dir)
		if err != nil || !info.ModTime().Equal(seen) || at.Sub(seen).Abs() < settle {
			return false
		}
	}
	return r.walked && (len(r.dirs) > 0 || !isDir(r.path))
}

// List returns the files of a kind: names relative to their search folder with / between the parts, from all search
// folders and all folders below them, symbolic links followed, each name once, sorted by code point. Hidden files
// count; folders called .git do not. It is nil for an unknown kind. Legacy names work.
// The answer is remembered until something changes in a folder.
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
	if cached.seen.roots != nil && f.fresh(cached.seen, roots, cheap) {
		return slices.Clone(cached.files)
	}

	found, seen := f.look(roots, true)
	now := listing{seen: seen}
	for _, files := range found {
		for _, name := range files {
			if len(exts) == 0 || slices.Contains(exts, Ext(name)) {
				now.files = append(now.files, name)
			}
		}
	}
	now.files = append(now.files, extra...)
	slices.Sort(now.files)
	now.files = slices.Compact(now.files)

	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.Equal(k.roots, roots) && len(k.extra) == len(extra) {
		f.cache[kind] = now
	}
	return slices.Clone(now.files)
}

// walk returns all files below root, relative to it with slashes, and records the modification time of every folder.
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

// Ext returns the ending of a name in lower case with its dot. Unlike filepath.Ext it returns "" for names whose only dots come first, such
// as .hidden.
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
