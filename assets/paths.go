package assets

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"comfygo/folders"
)

// notModels are kinds of folders that hold no assets.
var notModels = []string{"configs", "custom_nodes"}

// knownSubfolders are folders of the input folder that front ends fill; files in them carry the name as a tag.
var knownSubfolders = []string{"3d", "pasted", "painter", "threed", "webcam"}

// inputKinds are the folders other than model folders, in the order in which they are tried.
var inputKinds = []string{"input", "output", "temp"}

// modelKind is a kind of model files.
type modelKind struct {
	name        string
	roots, exts []string
}

func (k modelKind) takes(path string) bool {
	return len(k.exts) == 0 || slices.Contains(k.exts, folders.Ext(path))
}

func (l *Library) modelKinds() (list []modelKind) {
	f := l.cfg.Folders
	for _, name := range f.Kinds() {
		if roots := f.Roots(name); !slices.Contains(notModels, name) && len(roots) > 0 {
			list = append(list, modelKind{name: name, roots: roots, exts: f.Extensions(name)})
		}
	}
	return list
}

// below returns path relative to dir with slashes; false when it is not in it. Both are taken as they are written.
func below(dir, path string) (string, bool) {
	rel, err := filepath.Rel(dir, path)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return "", false
	}
	if rel == "." {
		rel = ""
	}
	return filepath.ToSlash(rel), true
}

// loaderPath returns the name by which a loader node finds the file: relative to its input folder or to the folder of its
// kind of model; "" if no loader would find it.
func (l *Library) loaderPath(path string) string {
	home := l.home(path)
	for _, name := range inputKinds {
		dir, _ := home.Dir(name)
		if rel, ok := below(dir, path); ok {
			return rel
		}
	}
	best, found := -1, ""
	for _, k := range l.modelKinds() {
		if !k.takes(path) {
			continue
		}
		for _, root := range k.roots {
			if rel, ok := below(root, path); ok && len(root) > best {
				best, found = len(root), rel
			}
		}
	}
	return found
}

// pathTags are the tags that follow from a file's folder; none for an unknown folder.
func (l *Library) pathTags(path string) (tags []string) {
	for _, name := range inputKinds {
		dir, _ := l.cfg.Folders.Dir(name)
		if _, ok := below(dir, path); ok {
			tags = append(tags, name)
		}
	}
	var types []string
	isModel := false
	for _, k := range l.modelKinds() {
		in := slices.ContainsFunc(k.roots, func(root string) bool {
			_, ok := below(root, path)
			return ok
		})
		isModel = isModel || in
		if in && k.takes(path) {
			types = append(types, "model_type:"+k.name)
		}
	}
	if isModel {
		tags = append(tags, "models")
	}
	tags = append(tags, types...)
	if rel, ok := below(l.home(path).Input(), path); ok {
		if dir, _, deep := strings.Cut(rel, "/"); deep && strings.Count(rel, "/") == 1 {
			tags = append(tags, KnownSubfolderTags(dir)...)
		}
	}
	return tags
}

// KnownSubfolderTags are the tags of files in a folder of the input folder: its name if front ends fill it.
func KnownSubfolderTags(subfolder string) []string {
	if slices.Contains(knownSubfolders, subfolder) {
		return []string{subfolder}
	}
	return nil
}

// Place returns the storage folder of a file (input, output, temp or models) and the name below it; false
// when the file is outside all of them.
func (l *Library) Place(path string) (namespace, name string, ok bool) {
	best := -1
	f := l.home(path)
	for _, p := range []struct{ name, dir string }{{"input", f.Input()}, {"output", f.Output()}, {"temp", f.Temp()}, {"models", f.Models()}} {
		if rel, in := below(p.dir, path); in && len(p.dir) > best {
			best, namespace, name, ok = len(p.dir), p.name, rel, true
		}
	}
	return namespace, name, ok
}

// destination is the folder that the tags of an upload name.
func (l *Library) destination(dirs *folders.Folders, tags []string) (string, error) {
	var roles, types []string
	for _, t := range tags {
		if t == "input" || t == "models" || t == "output" {
			roles = append(roles, t)
		}
		if name, is := strings.CutPrefix(t, "model_type:"); is {
			types = append(types, name)
		}
	}
	if len(roles) != 1 {
		return "", problem(Invalid, "uploads require exactly one destination role: input, models, or output")
	}
	if roles[0] != "models" {
		dir, _ := dirs.Dir(roles[0])
		return dir, nil
	}
	if len(types) != 1 || types[0] == "" {
		return "", problem(Invalid, "models uploads require exactly one model_type:<folder_name> tag")
	}
	for _, k := range l.modelKinds() {
		if k.name == types[0] {
			return k.roots[0], nil
		}
	}
	return "", problem(Invalid, "unknown model category '%s'", types[0])
}

// rootDirs are the folders of a part of the scan.
func (l *Library) rootDirs(root Root) (dirs []string) {
	if root != Models {
		dir, _ := l.cfg.Folders.Dir(string(root))
		return []string{dir}
	}
	for _, k := range l.modelKinds() {
		dirs = append(dirs, k.roots...)
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// ownedDirs are all folders that may hold the file of an asset.
func (l *Library) ownedDirs() (dirs []string) {
	for _, r := range Everything() {
		dirs = append(dirs, l.rootDirs(r)...)
	}
	return append(dirs, l.cfg.Folders.Temp())
}

// servable reports whether a file of the catalogue may be shown: a regular file in one of the folders. Links in the input,
// output and temp folders must not lead out of them; in model folders they may, as everywhere.
func (l *Library) servable(path string) bool {
	if !l.bring(context.Background(), path) {
		return false
	}
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return false
	}
	for _, name := range inputKinds {
		dir, _ := l.cfg.Folders.Dir(name)
		if _, in := below(dir, path); in {
			return folders.Within(dir, path)
		}
	}
	return slices.ContainsFunc(l.rootDirs(Models), func(dir string) bool {
		_, in := below(dir, path)
		return in
	})
}
