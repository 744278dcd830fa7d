package residency

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"comfygo/engine/ort"
)

// MemoryError reports that a run or a load needs more memory than there is.
type MemoryError struct {
	// What was to be done.
	What string
	// Needed is the estimate in bytes, 0 when the runtime found out by itself; Present is what could be had, -1 when that
	// is not known.
	Needed, Present int64
	// Cause is the runtime's own error, if there is one.
	Cause error
}

// Error returns the action, the required and the available memory.
func (e *MemoryError) Error() string {
	text := e.What
	switch {
	case e.Needed > 0:
		text += fmt.Sprintf(" needs about %.1f GiB of memory", gib(e.Needed))
	default:
		text += " needs more memory than there is"
	}
	if e.Present >= 0 {
		text += fmt.Sprintf(", %.1f GiB are free", gib(e.Present))
	}
	text += ": use a smaller size or batch, or a shorter text"
	if e.Cause != nil {
		text += " (" + e.Cause.Error() + ")"
	}
	return text
}

// Unwrap returns the cause.
func (e *MemoryError) Unwrap() error { return e.Cause }

func gib(n int64) float64 { return float64(n) / (1 << 30) }

// available is the memory of a device that can be had now, -1 when that is not known.
func (s *Sessions) available(d ort.Device) int64 {
	if s.cfg.Available == nil {
		return -1
	}
	return s.cfg.Available(d)
}

// Available is the memory of a device that can be had now; ok is false when that is not known.
func (s *Sessions) Available(d ort.Device) (bytes int64, ok bool) {
	n := s.available(d)
	return n, n >= 0
}

// Fits reports whether a run of the given bytes leaves a tenth of the device's free memory to others. On a GPU idle networks make room first.
func (s *Sessions) Fits(d ort.Device, bytes int64) bool {
	have := s.available(d)
	if d.Kind == ort.CUDA && have >= 0 && bytes >= have/10*9 {
		s.shelf(d).Free(bytes - have/10*9 + 1)
		have = s.available(d)
	}
	return have < 0 || bytes < have/10*9
}

// Check fails when a run needs more memory than a device has, after idle sessions of the device were evicted. On a GPU it does not: networks
// make room for their runs, and are streamed where that does not suffice.
func (s *Sessions) Check(d ort.Device, what string, bytes int64) error {
	if d.Kind == ort.CUDA || s.Fits(d, bytes) {
		return nil
	}
	s.shelf(d).EvictAll()
	if s.Fits(d, bytes) {
		return nil
	}
	s.askOthers()
	if s.Fits(d, bytes) {
		return nil
	}
	return &MemoryError{What: what, Needed: bytes, Present: s.available(d)}
}

// askOthers has other processes let go of models, where there are such processes.
func (s *Sessions) askOthers() {
	if s.cfg.Others != nil {
		s.cfg.Others()
	}
}

// Reserve enters the activations of a run into the ledger. The returned function takes them out again. On a GPU networks know what their
// runs take, and enter it themselves.
func (s *Sessions) Reserve(d ort.Device, bytes int64) (release func()) {
	if d.Kind == ort.CUDA {
		return func() {}
	}
	sh := s.shelf(d)
	s.reserve(sh, bytes)
	return func() { s.reserve(sh, -bytes) }
}

func (s *Sessions) reserve(sh *shelf, bytes int64) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.running += bytes
	sh.peak = max(sh.peak, sh.running)
}

// Capacity returns the memory of a device that is available or held by sessions; ok is false when it is not known.
func (s *Sessions) Capacity(d ort.Device) (bytes int64, ok bool) {
	n := s.available(d)
	return n + s.shelf(d).Stats().Bytes, n >= 0
}

// Account is the ledger's state of one device.
type Account struct {
	Device ort.Device
	// Sessions is the number of sessions held ready, Weights the bytes of their weights on the device, without mapped files.
	Sessions int
	Weights  int64
	// Running is the estimate of the activations of the runs that are going on, Peak the highest that there was.
	Running, Peak int64
	// Activations is the estimate of the memory that sessions on a GPU keep from run to run, and the memory of their inputs and outputs.
	Activations int64
	// Pinned are the bytes of pinned copies of weights on the host. Streamed are the bytes of weights that were copied to a GPU in steps
	// since the start, StepStreamed those of the last step.
	Pinned, Streamed, StepStreamed int64
	// Ring is the part of Weights that streamed weights pass through.
	Ring int64
	// Loads, Reuses and Evictions count sessions since the start: made, found ready, and let go.
	Loads, Reuses, Evictions int64
}

// HostWeights are the bytes of weights that sessions keep in the host's memory.
func (s *Sessions) HostWeights() int64 { return s.weights.Bytes() }

// Accounts returns the ledger's accounts in the order of devices.
func (s *Sessions) Accounts() []Account {
	var out []Account
	for _, sh := range s.shelves() {
		held := sh.Stats()
		sh.mu.Lock()
		a := Account{
			Device: sh.device, Sessions: held.Entries, Weights: held.Bytes, Running: sh.running, Peak: sh.peak,
			Loads: held.Misses, Reuses: held.Hits, Evictions: held.Evictions, Streamed: sh.streamed, StepStreamed: sh.lastStreamed,
		}
		streamed := sh.streamedWeights
		a.Ring = sh.rings
		sh.mu.Unlock()
		if sh.device.Kind == ort.CUDA {
			weights := sh.gpu.total() + streamed
			a.Weights, a.Activations, a.Pinned = weights, max(held.Bytes-weights, 0), s.pinned.Load()
		} else {
			a.Weights = s.weights.Bytes() // sessions share weights: the store knows what there is in all
		}
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b Account) int { return cmp.Compare(a.Device.String(), b.Device.String()) })
	return out
}

// IsMemoryError reports whether err means that memory did not suffice.
func IsMemoryError(err error) bool {
	var m *MemoryError
	return errors.As(err, &m)
}
