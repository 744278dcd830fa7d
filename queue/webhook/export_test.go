package webhook

// Connect asks the guard what it asks when a name has been looked up, before the connection is made.
func (g *Guard) Connect(address string) error { return g.control("tcp", address, nil) }
