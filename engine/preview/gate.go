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
	cost time.Duration // of a frame of the latest preview, before the first a guess
	last time.Time     // when it was done, at first when the run began
}

// frames returns how many frames of a latent another preview may show now, at most the given number; 0 before it is time for one.
func (g *gate) frames(most int) int {
	passed := g.now().Sub(g.last)
	switch {
	case g.free && passed >= shortest:
		return most
	case g.free:
		return 0
	case g.cost <= 0:
		return most
	}
	return int(min(share*float64(passed)/float64(g.cost), float64(most)))
}

// spent notes a preview of some frames of a latent that began at the given time and is done now.
func (g *gate) spent(since time.Time, frames int) {
	g.last = g.now()
	g.cost = g.last.Sub(since) / time.Duration(max(frames, 1))
}
