package server

// queueChanged sends the number of remaining jobs to the clients, and wakes requests that wait for a change.
func (s *Server) queueChanged(remaining int) {
	s.hub.Remaining(remaining)
	s.bell.Strike(false)
}

// ownersChanged sends each owner's clients the number of its remaining jobs.
func (s *Server) ownersChanged() func(remaining map[string]int) {
	if !s.access.Owned() {
		return nil
	}
	return s.hub.Owners
}
