package folders

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// SplitAnnotated takes the folder type off a name such as "cat.png [output]": it returns "cat.png" and "output". The type
// is "" if the name carries none. Exactly one character before the bracket is dropped, as in upstream.
func SplitAnnotated(name string) (bare, kind string) {
	for _, kind := range []string{"output", "input", "temp"} {
		bare, found := strings.CutSuffix(name, "["+kind+"]")
		if !found {
			continue
		}
		if r := []rune(bare); len(r) > 0 {
			bare = string(r[:len(r)-1])
		}
		return bare, kind
	}
	return name, ""
}

// Resolve returns the path of an annotated name; a name without annotation is in the input folder. It fails when the
// path, links resolved, would be outside its folder. The file need not exist. A file that is only in the store is fetched.
func (f *Folders) Resolve(name string) (string, error) { return f.ResolveIn(name, "input") }

// ResolveIn is Resolve with another folder type ("input", "output", "temp") for names without annotation.
func (f *Folders) ResolveIn(name, fallback string) (string, error) {
	p, kind, err := f.located(name, fallback)
	if err != nil || f.remote == nil {
		return p, err
	}
	if err := f.Fetch(f.during(), p); err != nil && (kind == "input" && isFile(p) || !errors.Is(err, fs.ErrNotExist)) {
		return "", fmt.Errorf("resolving %q: %w", name, err)
	}
	return p, nil
}

// Place is Resolve without a look at the store.
func (f *Folders) Place(name string) (string, error) {
	p, _, err := f.located(name, "input")
	return p, err
}

// located is the path of an annotated name, and the kind of its folder.
func (f *Folders) located(name, fallback string) (p, kind string, err error) {
	bare, kind := SplitAnnotated(name)
	if kind == "" {
		kind = fallback
	}
	dir, ok := f.Dir(kind)
	if !ok {
		return "", kind, fmt.Errorf("resolving %q: unknown folder type %q", name, kind)
	}
	p, err = Join(dir, bare)
	return p, kind, err
}

// Exists reports whether an annotated name leads to something on the disk. Names that leave their folder do not exist.
func (f *Folders) Exists(name string) bool {
	p, kind, err := f.located(name, "input")
	if err != nil {
		return false
	}
	if stored, ok := f.remoteName(p); ok {
		_, err = f.remote.stat(f.during(), stored)
		if err == nil || kind == "input" || !errors.Is(err, fs.ErrNotExist) {
			return err == nil || !errors.Is(err, fs.ErrNotExist) // what is wrong with the store is told when the file is read
		}
	}
	_, err = os.Stat(p)
	return err == nil
}

// InputFiles returns the names of the files directly in the input folder.
func (f *Folders) InputFiles() (names []string) {
	if f.remote != nil {
		return slices.DeleteFunc(f.inputNames(), func(n string) bool { return strings.Contains(n, "/") })
	}
	entries, err := os.ReadDir(f.input)
	if err != nil {
		return nil // a missing folder has no files
	}
	for _, e := range entries {
		if isFile(filepath.Join(f.input, e.Name())) {
			names = append(names, e.Name())
		}
	}
	return names
}

// InputBelow returns the names of the files in all folders below a folder of the input folder, relative to the input folder with slashes, at most limit.
func (f *Folders) InputBelow(folder string, limit int) (names []string) {
	if f.remote != nil {
		names = slices.DeleteFunc(f.inputNames(), func(n string) bool { return !strings.HasPrefix(n, folder+"/") })
		return names[:min(len(names), limit)]
	}
	_ = filepath.WalkDir(filepath.Join(f.input, folder), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil //nolint:nilerr // what cannot be read is left out
		}
		if rel, err := filepath.Rel(f.input, path); err == nil {
			names = append(names, filepath.ToSlash(rel))
		}
		if len(names) == limit {
			return filepath.SkipAll
		}
		return nil
	})
	return names
}

// Join returns the absolute path of name below dir. It fails when the result, links resolved, is outside dir; an
// absolute name is used unchanged and so must be inside.
func Join(dir, name string) (string, error) {
	full := filepath.Join(dir, name)
	if filepath.IsAbs(name) {
		full = filepath.Clean(name)
	}
	if !Within(dir, full) {
		return "", fmt.Errorf("resolving %q: the path leaves its folder", name)
	}
	return full, nil
}

// Within reports whether target, with all symbolic links resolved, is dir or inside it. Neither has to exist.
func Within(dir, target string) bool {
	if strings.ContainsRune(dir, 0) || strings.ContainsRune(target, 0) {
		return false
	}
	d, err := real(dir, 0)
	if err != nil {
		return false
	}
	t, err := real(target, 0)
	if err != nil {
		return false
	}
	rel, err := filepath.Rel(d, t)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// maxLinks bounds chains of links that lead to names that do not exist.
const maxLinks = 40

// real resolves the links of a path that may exist only in part.
func real(p string, links int) (string, error) {
	p, err := filepath.Abs(p)
	if err != nil {
		return "", fmt.Errorf("resolving %s: %w", p, err)
	}
	if links > maxLinks {
		return "", fmt.Errorf("resolving %s: too many links", p)
	}
	if done, err := filepath.EvalSymlinks(p); err == nil {
		return done, nil
	}
	parent := filepath.Dir(p)
	if parent == p {
		return p, nil
	}
	dir, err := real(parent, links+1)
	if err != nil {
		return "", err
	}
	full := filepath.Join(dir, filepath.Base(p))
	if to, err := os.Readlink(full); err == nil {
		if !filepath.IsAbs(to) {
			to = filepath.Join(dir, to)
		}
		return real(to, links+1)
	}
	return full, nil
}

// InputSubfolders returns all folders below the input folder, relative with slashes, sorted. Links are not followed.
func (f *Folders) InputSubfolders() []string {
	var found []string
	if f.remote != nil {
		for _, name := range f.inputNames() {
			for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
				found = append(found, dir)
			}
		}
		slices.Sort(found)
		return slices.Compact(found)
	}
	var visit func(dir string)
	visit = func(dir string) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return
		}
		for _, e := range entries {
			full := filepath.Join(dir, e.Name())
			if e.IsDir() || (e.Type()&os.ModeSymlink != 0 && isDir(full)) {
				if rel, err := filepath.Rel(f.input, full); err == nil {
					found = append(found, filepath.ToSlash(rel))
				}
			}
			if e.IsDir() {
				visit(full)
			}
		}
	}
	visit(f.input)
	slices.Sort(found)
	return found
}
