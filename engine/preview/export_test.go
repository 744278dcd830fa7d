package preview

import "time"

// Wait lets time pass for m.
func (m *Maker) Wait(d time.Duration) { m.gate.last = m.gate.last.Add(-d) }
