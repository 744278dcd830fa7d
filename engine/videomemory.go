package engine

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"comfygo/engine/ort"
)

const (
	// firstFrames are the decoded frames of a video over which the memory is measured: with them every layer has worked, and keeps its states.
	firstFrames = 24
	// What is measured has other work of the process in it, and what the library and the garbage collector keep: memory beyond these is more
	// than was estimated.
	measuredShare = 1.25
	measuredSlack = 128 << 20
	// gaugePause is the time between two readings, which take some microseconds.
	gaugePause = 5 * time.Millisecond
)

// excess is how many times the estimate decoding took of the memory, where it took more; the next estimates are multiplied by it.
type excess struct{ times atomic.Pointer[float64] }

// of is the estimate after what was measured before.
func (e *excess) of(bytes int64) int64 {
	if t := e.times.Load(); t != nil {
		return int64(float64(bytes) * *t)
	}
	return bytes
}

// gauge measures what decoding the first frames of a video takes of the host's memory, beside weights, which the ledger knows.
type gauge struct {
	v        *VAE
	device   ort.Device
	estimate int64 // of the network itself
	before   int64
	frames   int
	given    atomic.Int64 // bytes of frames that were handed on
	peak     atomic.Int64
	done     chan struct{}
	watching sync.WaitGroup
	release  func()
}

// gauge begins to measure. It is nil where memory is not known, and on a GPU, whose networks know what their runs take.
func (v *VAE) gauge(d ort.Device, estimate int64) *gauge {
	held, ok := v.rt.ownMemory()
	if !ok || d.Kind == ort.CUDA {
		return nil
	}
	g := &gauge{v: v, device: d, estimate: estimate, before: held, done: make(chan struct{})}
	g.watching.Go(func() {
		tick := time.NewTicker(gaugePause)
		defer tick.Stop()
		for {
			g.look()
			select {
			case <-g.done:
				return
			case <-tick.C:
			}
		}
	})
	return g
}

// look takes a reading.
func (g *gauge) look() {
	if now, ok := g.v.rt.ownMemory(); ok {
		g.peak.Store(max(g.peak.Load(), now-g.before-g.given.Load()))
	}
}

// emitted notes frames that were handed on, of so many bytes.
func (g *gauge) emitted(frames int, bytes int64) {
	if g == nil || g.done == nil {
		return
	}
	if g.frames += frames; g.frames >= firstFrames {
		g.finish()
		return
	}
	g.given.Add(bytes)
}

// finish compares what was measured with the estimate: what is missing is entered into the ledger, said in the log and taken into account for the
// next videos.
func (g *gauge) finish() {
	close(g.done)
	g.watching.Wait()
	g.done = nil
	measured, log := g.peak.Load(), g.v.rt.cfg.Log
	log.Debug("memory of decoding the video", "estimated", g.estimate, "measured", measured)
	if float64(measured) <= measuredShare*float64(g.estimate)+measuredSlack {
		return
	}
	g.release = g.v.rt.sessions.Reserve(g.device, measured-g.estimate)
	times := float64(measured) / float64(max(g.estimate, 1))
	if before := g.v.excess.times.Load(); before == nil || *before < times {
		g.v.excess.times.Store(&times)
	}
	log.Warn("decoding the video takes more memory than was estimated; the next videos are planned with what it takes", "estimated_mb", g.estimate>>20, "measured_mb", measured>>20)
}

// end ends the measurement; a video that failed before its first frames tells nothing.
func (g *gauge) end(err error) {
	if g == nil {
		return
	}
	switch {
	case g.done != nil && err == nil:
		g.finish()
	case g.done != nil:
		close(g.done)
		g.watching.Wait()
		g.done = nil
	}
	if g.release != nil {
		g.release()
	}
}

// ownMemory is the memory of the process itself, without mapped files and without weights; ok is false where the system does not tell.
func (rt *Runtime) ownMemory() (bytes int64, ok bool) {
	if rt.cfg.OwnMemory != nil {
		bytes, ok = rt.cfg.OwnMemory()
	} else {
		bytes, ok = anonymousMemory()
	}
	return bytes - rt.sessions.HostWeights(), ok
}

// anonymousMemory reads what Linux knows of this process.
func anonymousMemory() (bytes int64, ok bool) {
	raw, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, false
	}
	var size, resident, shared int64
	if _, err := fmt.Sscan(string(raw), &size, &resident, &shared); err != nil {
		return 0, false
	}
	return (resident - shared) * int64(os.Getpagesize()), true
}
