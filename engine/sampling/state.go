package sampling

import "sync"

// State holds what networks keep from one call of a run to the next. It ends with the run. Calls are sequential, but for those of a network on several
// devices (Spread): what they share locks itself.
type State struct {
	mu     sync.Mutex
	values map[any]any
}

// Keep returns the value of a key, which is made on first use.
func Keep[T any](s *State, key any, make func() T) T {
	s.mu.Lock()
	v, ok := s.values[key].(T)
	s.mu.Unlock()
	if ok {
		return v
	}
	made := make()
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok = s.values[key].(T); ok { // another device was first
		return v
	}
	if s.values == nil {
		s.values = map[any]any{}
	}
	s.values[key] = made
	return made
}
