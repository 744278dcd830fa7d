package weights

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// shardName matches the names of a split file's parts: the name, the number of the part, and the number of parts.
var shardName = regexp.MustCompile(`^(.+)-([0-9]{5})-of-([0-9]{5})(\.[A-Za-z]+)$`)

// maxShards bounds the parts of one file: the largest models that are handed out have some hundred.
const maxShards = 1024

// shards returns the paths of all parts of the file that path is a part of, or nil if the name is not that of a part.
func shards(path string) ([]string, error) {
	m := shardName.FindStringSubmatch(filepath.Base(path))
	if m == nil {
		return nil, nil
	}
	part, err1 := strconv.Atoi(m[2])
	count, err2 := strconv.Atoi(m[3])
	if errors.Join(err1, err2) != nil || part < 1 || part > count {
		return nil, nil
	}
	if count > maxShards {
		return nil, fmt.Errorf("opening %s: it is split into %d parts, more than %d", path, count, maxShards)
	}
	out := make([]string, count)
	for i := range out {
		out[i] = filepath.Join(filepath.Dir(path), fmt.Sprintf("%s-%05d-of-%s%s", m[1], i+1, m[3], m[4]))
	}
	return out, nil
}

// joinedSource shows the parts of a split file as one.
type joinedSource struct {
	path  string
	parts []Source
	names []string
	at    map[string]Source
}

// openShards opens the parts of a split file. A part that is missing, or a tensor that two parts hold, is an error that names
// it.
func openShards(path string, paths []string, whole bool) (Source, error) {
	j := &joinedSource{path: path, at: map[string]Source{}}
	for i, p := range paths {
		src, err := open(p, whole)
		if err != nil {
			_ = j.Close()
			return nil, fmt.Errorf("opening part %d of %d of a split file: %w", i+1, len(paths), err)
		}
		j.parts = append(j.parts, src)
		for _, n := range src.Names() {
			if other, twice := j.at[n]; twice {
				_ = j.Close()
				return nil, fmt.Errorf("opening a split file: %s and %s both hold the tensor %q", other.Path(), p, n)
			}
			j.at[n] = src
			j.names = append(j.names, n)
		}
	}
	slices.Sort(j.names)
	return j, nil
}

// Names implements Source.
func (j *joinedSource) Names() []string { return j.names }

// Lookup implements Source.
func (j *joinedSource) Lookup(name string) (Entry, bool) {
	src, ok := j.at[name]
	if !ok {
		return Entry{}, false
	}
	return src.Lookup(name)
}

// Metadata implements Source: it returns the metadata of the first part.
func (j *joinedSource) Metadata() map[string]string { return j.parts[0].Metadata() }

// Path implements Source: the part by which the file was opened.
func (j *joinedSource) Path() string { return j.path }

// Close implements Source.
func (j *joinedSource) Close() error {
	var all error
	for _, p := range j.parts {
		all = errors.Join(all, p.Close())
	}
	return all
}
