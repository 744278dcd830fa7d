package residency

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"weak"

	"comfygo/engine/weights"
)

// File is an open weight file and its detected parts. The file stays mapped while a model, an encoder, a session or an entry
// made from it is reachable.
type File[T any] struct {
	// Path is the requested path of the file.
	Path string
	// ID identifies the content of the file: path, size and modification time.
	ID string
	// Parts are the detected parts of the file.
	Parts T
}

// Files opens each weight file once.
type Files[T any] struct {
	look func(weights.Source) (T, error)

	mu   sync.Mutex
	open map[string]weak.Pointer[File[T]]
}

// NewFiles returns a table of open files; look finds out what a newly opened file holds.
func NewFiles[T any](look func(weights.Source) (T, error)) *Files[T] {
	return &Files[T]{look: look, open: map[string]weak.Pointer[File[T]]{}}
}

// Get returns the file at path, opened; a file that changed since is opened anew. Errors show path also where it is a link. A file that has
// several names shows the first by which it was opened.
func (t *Files[T]) Get(path string) (*File[T], error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("opening model file: %w", err)
	}
	st, err := os.Stat(real)
	if err != nil {
		return nil, fmt.Errorf("opening model file: %w", err)
	}
	id := fmt.Sprintf("%s|%d|%d|", real, st.Size(), st.ModTime().UnixNano())
	t.mu.Lock()
	defer t.mu.Unlock()
	if f := t.open[id].Value(); f != nil {
		return f, nil
	}
	src, err := weights.Open(real)
	if err != nil {
		return nil, named(err, real, path)
	}
	parts, err := t.look(weights.Named(src, path))
	if err != nil {
		_ = src.Close()
		return nil, err
	}
	f := &File[T]{Path: path, ID: id, Parts: parts}
	t.prune()
	t.open[id] = weak.Make(f)
	return f, nil
}

// namedError is an error about a file behind a link that shows the name that the user knows.
type namedError struct {
	error
	real, path string
}

func named(err error, real, path string) error {
	if real == path {
		return err
	}
	return &namedError{err, real, path}
}

// Error implements error.
func (e *namedError) Error() string { return strings.ReplaceAll(e.error.Error(), e.real, e.path) }

// Unwrap returns the error that names the link's target.
func (e *namedError) Unwrap() error { return e.error }

// prune drops the entries of files that have been closed.
func (t *Files[T]) prune() {
	for id, p := range t.open {
		if p.Value() == nil {
			delete(t.open, id)
		}
	}
}
