package folders

import (
	"path/filepath"
	"strings"
)

// ownerMark begins the names of owners' folders.
const ownerMark = "@"

// For returns the folders as an owner sees them: the same models, and input, output and temp folders of its own below
// the common ones, so that files of two owners never meet. The owner must be a plain folder name. An empty owner means the
// common folders. The folders are made when a file is first written there.
func (f *Folders) For(owner string) *Folders {
	if owner == f.owner {
		return f
	}
	view := *f
	view.owner = owner
	if f.owner != "" { // an owner's view is not a base for another
		view.input, view.output, view.temp = filepath.Dir(f.input), filepath.Dir(f.output), filepath.Dir(f.temp)
	}
	if owner != "" {
		name := ownerMark + filepath.Base(filepath.Clean("/"+owner))
		view.input, view.output, view.temp = filepath.Join(view.input, name), filepath.Join(view.output, name), filepath.Join(view.temp, name)
	}
	return &view
}

// Owner returns the owner of this view of the folders, or "" for the common one.
func (f *Folders) Owner() string { return f.owner }

// OwnerOf returns the owner of the file at a path, or "" if the path is in no owner's folder.
func (f *Folders) OwnerOf(path string) string {
	common := f.For("")
	for _, dir := range []string{common.input, common.output, common.temp} {
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			continue
		}
		first, _, deeper := strings.Cut(filepath.ToSlash(rel), "/")
		if owner, is := strings.CutPrefix(first, ownerMark); is && deeper {
			return owner
		}
	}
	return ""
}
