package webhook

// Connect runs the guard's check between the look-up of a name and the connection.
func (g *Guard) Connect(address string) error { return g.control("tcp", address, nil) }
