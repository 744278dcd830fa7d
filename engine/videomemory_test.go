package engine

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"comfygo/engine/family"
	"comfygo/engine/ort"
	"comfygo/engine/tensor"
)

// hungry is a VAE of videos that takes memory while it decodes its first frames.
type hungry struct {
	streamedPlaces
	held *atomic.Int64
	// looks counts readings of the memory; while it is watched, decoding waits for some.
	looks    *atomic.Int64
	watched  *atomic.Bool
	takes    int64
	estimate int64
	fails    bool
}

func (h hungry) DecodeMemory([]int) int64 { return h.estimate }

func (h hungry) DecodeStream(ctx context.Context, run family.Runner, z *tensor.Tensor, emit func(*tensor.Tensor) error) error {
	h.held.Add(h.takes)
	for before := h.looks.Load(); h.watched.Load() && h.looks.Load() < before+2; {
		time.Sleep(gaugePause)
	}
	h.held.Add(-h.takes)
	if h.fails {
		return errors.New("no")
	}
	return h.streamedPlaces.DecodeStream(ctx, run, z, emit)
}

// TestEstimatesOfVideosAreChecked: where the first frames take more memory than was estimated, the ledger has the difference until the end, the log
// says so, and the next video is planned with what this one took; within the margin, and of a video that fails, nothing is said.
func TestEstimatesOfVideosAreChecked(t *testing.T) {
	t.Parallel()
	const estimate = 1 << 30
	for name, c := range map[string]struct {
		takes  int64
		frames int // of the latent
		fails  bool
		times  float64 // 0: as estimated
	}{
		"as estimated":      {estimate, 8, false, 0},
		"within the margin": {estimate * 5 / 4, 8, false, 0},
		"twice":             {2 * estimate, 8, false, 2},
		"a short video":     {3 * estimate, 2, false, 3},
		"it fails":          {3 * estimate, 8, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var held, looks atomic.Int64
			var watched atomic.Bool
			watched.Store(true)
			var said bytes.Buffer
			held.Store(5 << 30) // which the process had before
			room := int64(estimate * 5 / 2)
			rt := New(Config{
				Log: slog.New(slog.NewTextHandler(&said, nil)), Available: func() int64 { return room },
				OwnMemory: func() (int64, bool) { defer looks.Add(1); return held.Load(), true },
			})
			v := rt.newVAE(hungry{held: &held, looks: &looks, watched: &watched, takes: c.takes, estimate: estimate, fails: c.fails})
			_, err := v.Decode(t.Context(), tensor.New(1, 3, c.frames, 2, 2))
			if (err != nil) != c.fails {
				t.Fatal(err)
			}
			times := v.excess.times.Load()
			if (times != nil) != (c.times != 0) || times != nil && (*times < c.times-0.01 || *times > c.times+0.01) {
				t.Errorf("the next estimates are multiplied by %v, want %v", times, c.times)
			}
			if strings.Contains(said.String(), "more memory than was estimated") != (c.times != 0) {
				t.Errorf("the log says %q", said.String())
			}
			for _, a := range rt.sessions.Accounts() {
				if want := max(c.takes, estimate); a.Device == (ort.Device{}) && (a.Running != 0 || c.times != 0 && a.Peak != want) {
					t.Errorf("the ledger has %d at the end, %d at most, want 0 and %d", a.Running, a.Peak, want)
				}
			}
			// The next video does not fit as a whole where this one took more than there is room for.
			said.Reset()
			watched.Store(false)
			if _, err := v.Decode(t.Context(), tensor.New(1, 3, 8, 2, 2)); (err != nil) != c.fails {
				t.Fatal(err)
			}
			if tiled := strings.Contains(said.String(), "in tiles"); tiled != (c.times > 2.25) {
				t.Errorf("the next video is decoded in tiles: %v; the log says %q", tiled, said.String())
			}
		})
	}
}

// TestOwnMemory: what this process takes shows.
func TestOwnMemory(t *testing.T) {
	rt := New(Config{Log: slog.New(slog.DiscardHandler)})
	debug.FreeOSMemory() // what was freed before is not used again
	before, ok := rt.ownMemory()
	if !ok {
		t.Skip("NOT TESTED: this system does not tell the memory of a process")
	}
	const size = 128 << 20
	b := make([]byte, size)
	for i := 0; i < size; i += 4096 {
		b[i] = 1
	}
	if now, _ := rt.ownMemory(); now-before < size*3/4 {
		t.Errorf("%d bytes show as %d", size, now-before)
	}
	if b[0] != 1 {
		t.Error("the memory is gone")
	}
}
