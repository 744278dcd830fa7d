package server

// queueChanged tells the clients how many jobs remain, and those who wait for one to refresh.
func (s *Server) queueChanged(remaining int) {
	s.hub.Remaining(remaining)
	s.bell.Strike(false)
}

// ownersChanged tells each owner's clients how many of its jobs remain.
func (s *Server) ownersChanged() func(remaining map[string]int) {
	if !s.access.Owned() {
		return nil
	}
	return s.hub.Owners
}
