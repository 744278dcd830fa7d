package preview

import "time"

const (
	// share is the part of the sampling time that previews may take if they use the network's device.
	share = 0.02
	// shortest is the time between previews that cost the network nothing: an image fifteen times a second is a video.
	shortest = 66 * time.Millisecond
)

// gate spaces previews so that the sampling time before each one pays for it.
type gate struct {
	// free reports that previews take nothing from the network.
	free bool
	now  func() time.Time
	cost time.Duration // of the latest preview, before the first a guess
	last time.Time     // when it was done, at first when the run began
}

// due reports whether it is time for another preview.
func (g *gate) due() bool {
	passed := g.now().Sub(g.last)
	if g.free {
		return passed >= shortest
	}
	return float64(g.cost) <= share*float64(passed)
}

// spent notes a preview that began at the given time and is done now.
func (g *gate) spent(since time.Time) {
	g.last = g.now()
	g.cost = g.last.Sub(since)
}
