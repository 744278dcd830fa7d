package ort

import (
	"fmt"
	"path/filepath"
	"strings"
)

// root is the folder that external data is looked up below: the volume's, as one model may read several files.
func (r *Runtime) root() string { return filepath.VolumeName(r.temp) + string(filepath.Separator) }

// Location returns the location that a model states for external data in a file: the path below the root folder, with links
// resolved, because the library rejects links and absolute paths. The empty file name stands for data that is in memory
// only. Results are remembered. It fails when the file does not exist or lies on another volume than the folder for
// temporary files.
func (r *Runtime) Location(file string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if loc, ok := r.locations[file]; ok {
		return loc, nil
	}
	path := filepath.Join(r.temp, "memory")
	if file != "" {
		abs, err := filepath.Abs(file)
		if err != nil {
			return "", fmt.Errorf("locating weights: %w", err)
		}
		if path, err = filepath.EvalSymlinks(abs); err != nil {
			return "", fmt.Errorf("locating weights: %w", err)
		}
	}
	if !strings.EqualFold(filepath.VolumeName(path), filepath.VolumeName(r.temp)) {
		return "", fmt.Errorf("locating weights: %s is on another volume than %s", path, r.temp)
	}
	loc := filepath.ToSlash(strings.TrimPrefix(path, r.root()))
	r.locations[file] = loc
	return loc, nil
}
