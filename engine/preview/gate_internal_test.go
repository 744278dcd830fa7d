package preview

import (
	"testing"
	"time"
)

// TestPreviewsArePaidFor plays runs with steps and previews of fixed lengths and adds up.
func TestPreviewsArePaidFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		step, cost time.Duration
		steps      int
		free       bool
		least      int // previews that there should be
		// most is the number of frames of the latent, shown that of the longest preview; 0 is 1.
		most, shown int
	}{
		{"slow steps", 5 * time.Second, 20 * time.Millisecond, 20, false, 20, 0, 0},
		{"quick steps", 50 * time.Millisecond, 20 * time.Millisecond, 200, false, 9, 0, 0},
		{"dear previews", 5 * time.Second, 600 * time.Millisecond, 40, false, 6, 0, 0},
		{"beside a GPU", 25 * time.Millisecond, 20 * time.Millisecond, 40, true, 9, 0, 0},
		{"a video", 30 * time.Second, 20 * time.Millisecond, 20, false, 19, 21, 21},
		{"a long video", 10 * time.Second, 20 * time.Millisecond, 20, false, 19, 81, 20},
		{"a video beside a GPU", 2 * time.Second, 20 * time.Millisecond, 20, true, 20, 21, 21},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			clock := time.Unix(0, 0)
			g := gate{free: c.free, now: func() time.Time { return clock }, cost: rgbCost, last: clock}
			count, spent, longest := 0, time.Duration(0), 0
			for range c.steps {
				clock = clock.Add(c.step)
				frames := g.frames(max(c.most, 1))
				if frames == 0 {
					continue
				}
				start := clock
				clock = clock.Add(time.Duration(frames) * c.cost)
				g.spent(start, frames)
				count, spent, longest = count+1, spent+time.Duration(frames)*c.cost, max(longest, frames)
			}
			if longest != max(c.shown, 1) {
				t.Errorf("the longest preview has %d frames, want %d", longest, max(c.shown, 1))
			}
			if count < c.least {
				t.Errorf("%d previews in %d steps, want at least %d", count, c.steps, c.least)
			}
			// The first is paid for by a guess, which is all that may be missing.
			allowed := time.Duration(share*float64(c.steps)*float64(c.step)) + time.Duration(longest)*c.cost
			if !c.free && spent > allowed {
				t.Errorf("previews took %v of %v, more than %v", spent, time.Duration(c.steps)*c.step, allowed)
			}
			if c.free && count > int(clock.Sub(time.Unix(0, 0))/shortest) {
				t.Errorf("%d previews in %v", count, clock.Sub(time.Unix(0, 0)))
			}
		})
	}
}
