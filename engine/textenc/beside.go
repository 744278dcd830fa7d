package textenc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
)

// largestBeside bounds a tokenizer file beside the weights.
const largestBeside = 64 << 20

// Beside returns the first file of the given paths, which start in the folder of src's file, or nil. Where src's path is a link, the folder
// of the link comes before that of its target. It is for vocabularies whose licence does not allow shipping them with this program. what
// names the content in errors.
func Beside(src weights.Source, what string, paths ...string) ([]byte, error) {
	dirs := []string{filepath.Dir(src.Path())}
	if real, err := filepath.EvalSymlinks(src.Path()); err == nil && filepath.Dir(real) != dirs[0] {
		dirs = append(dirs, filepath.Dir(real))
	}
	for _, dir := range dirs {
		if data, err := besideIn(dir, src, what, paths); data != nil || err != nil {
			return data, err
		}
	}
	return nil, nil
}

func besideIn(dir string, src weights.Source, what string, paths []string) ([]byte, error) {
	for _, path := range paths {
		path = filepath.Join(dir, path)
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err == nil && !info.Mode().IsRegular():
			err = fmt.Errorf("%s is not a file", path)
		case err == nil && info.Size() > largestBeside:
			err = fmt.Errorf("%s has %d bytes, a tokenizer has at most %d", path, info.Size(), largestBeside)
		}
		var data []byte
		if err == nil {
			data, err = os.ReadFile(path)
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s of %s: %w", what, src.Path(), err)
		}
		return data, nil
	}
	return nil, nil
}

// Once returns a function that loads a vocabulary at its first call. An error is not kept: a file that was missing may have been
// put in its place by the next call.
func Once(load func() (tokenizer.Model, error)) func() (tokenizer.Model, error) {
	var mu sync.Mutex
	var m tokenizer.Model
	return func() (tokenizer.Model, error) {
		mu.Lock()
		defer mu.Unlock()
		if m != nil {
			return m, nil
		}
		loaded, err := load()
		if err == nil {
			m = loaded
		}
		return loaded, err
	}
}
