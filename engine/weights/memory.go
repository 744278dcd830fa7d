package weights

import (
	"fmt"
	"sync/atomic"
)

// memorySource is a Source over entries that were made in memory.
type memorySource struct {
	path    string
	names   []string
	entries map[string]Entry
}

// memories numbers the sources made by Memory: two of the same name are not the same content.
var memories atomic.Int64

// Memory returns a Source over the given entries, for weights that were computed. path names the file in error messages;
// entries without a path get it, too. It fails when a name occurs twice.
func Memory(path string, entries ...Entry) (Source, error) {
	s := &memorySource{path: path, entries: make(map[string]Entry, len(entries))}
	origin := fmt.Sprintf("%s|memory %d", path, memories.Add(1))
	for _, e := range entries {
		if _, dup := s.entries[e.Name]; dup {
			return nil, fmt.Errorf("making the source %s: tensor %q occurs twice", path, e.Name)
		}
		if e.File == "" {
			e.File, e.Offset, e.origin = path, -1, origin
		}
		s.names = append(s.names, e.Name)
		s.entries[e.Name] = e
	}
	return quantized(s)
}

// Names implements Source.
func (s *memorySource) Names() []string { return s.names }

// Metadata implements Source.
func (s *memorySource) Metadata() map[string]string { return nil }

// Path implements Source.
func (s *memorySource) Path() string { return s.path }

// Close implements Source.
func (s *memorySource) Close() error { return nil }

// Lookup implements Source.
func (s *memorySource) Lookup(name string) (Entry, bool) {
	e, ok := s.entries[name]
	return e, ok
}
