package sampling

// State holds what networks keep from one call of a run to the next. It ends with the run, whose calls are sequential.
type State struct{ values map[any]any }

// Keep returns the value of a key, which is made on first use.
func Keep[T any](s *State, key any, make func() T) T {
	if v, ok := s.values[key].(T); ok {
		return v
	}
	v := make()
	if s.values == nil {
		s.values = map[any]any{}
	}
	s.values[key] = v
	return v
}
