package ffmpeg

import (
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// pause gives a byte after some time.
type pause struct{ time.Duration }

func (p pause) Read(b []byte) (int, error) {
	time.Sleep(p.Duration)
	return 1, nil
}

// TestWatchdog: only a process that neither reads nor writes anything is ended, not one whose reader is
// slow.
func TestWatchdog(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		steps func(w *watchdog)
		barks bool
	}{
		"a slow reader": {func(w *watchdog) {
			out := output{pause{Stall / 2}, w}
			for range 3 {
				_, _ = out.Read(make([]byte, 1))
				time.Sleep(2 * Stall)
			}
		}, false},
		"slow output": {func(w *watchdog) { _, _ = output{pause{2 * Stall}, w}.Read(make([]byte, 1)) }, true},
		"input that is taken": {func(w *watchdog) {
			for range 5 {
				_, _ = input{pause{Stall / 2}, w}.Read(make([]byte, 1))
			}
		}, false},
		"input that is not taken": {func(w *watchdog) {
			_, _ = input{pause{0}, w}.Read(make([]byte, 1))
			time.Sleep(2 * Stall)
		}, true},
		"no end after its output": {func(w *watchdog) {
			_, _ = io.ReadAll(output{io.LimitReader(pause{0}, 10), w})
			time.Sleep(2 * Stall)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				barked := false
				w := newWatchdog(Stall, func() { barked = true })
				c.steps(w)
				synctest.Wait()
				w.stop()
				if barked != c.barks {
					t.Errorf("ended is %v, want %v", barked, c.barks)
				}
			})
		})
	}
}
