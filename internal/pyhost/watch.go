package pyhost

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/shirou/gopsutil/v4/process"

	"comfygo/internal/pyjson"
)

// How often the process is measured. A leak of a gigabyte a second is seen after a quarter of one.
const watchEvery = 250 * time.Millisecond

// Stats are the figures of a host.
type Stats struct {
	// Name is the pack of a host that runs only one; "" for the one that runs all.
	Name string
	// State is loading, ready or failed, Reason why it failed, Loading the pack that is being imported.
	State, Reason, Loading string
	PID                    int
	// Memory is the memory that the process occupies, Peak its maximum, GPU the memory of GPUs by its own report,
	// in bytes.
	Memory, Peak, GPU int64
	// CPU is the time that all its lives took. Restarts counts lives beyond the first.
	CPU      time.Duration
	Restarts int
}

// figures are measured by watch and read by anybody.
type figures struct {
	memory, peak, gpu atomic.Int64
	cpu               atomic.Int64 // nanoseconds of this life
}

// Stats returns the figures of now. It does not wait.
func (h *Host) Stats() Stats {
	state, reason, pid := h.State()
	h.mu.Lock()
	defer h.mu.Unlock()
	st := Stats{Name: h.cfg.Name, State: state, Reason: reason, PID: pid, CPU: h.spent, Restarts: max(0, h.lives-1)}
	if s := h.newest; s != nil && s.Live() {
		st.PID = s.PID()
		st.Memory, st.Peak, st.GPU = s.figures.memory.Load(), s.figures.peak.Load(), s.figures.gpu.Load()
		st.CPU += time.Duration(s.figures.cpu.Load())
		s.mu.Lock()
		st.Loading = s.loading
		s.mu.Unlock()
	}
	return st
}

// watch measures the process while it runs, and ends it when it takes more memory than it may.
func (s *Session) watch() {
	p, err := process.NewProcess(int32(s.PID())) //nolint:gosec // a process's number
	if err != nil {
		return // it is gone already
	}
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		if m, err := p.MemoryInfo(); err == nil && s.Live() {
			resident := int64(m.RSS) //nolint:gosec // bytes of memory
			s.figures.memory.Store(resident)
			s.figures.peak.Store(max(s.figures.peak.Load(), resident))
			if limit := s.host.cfg.MemoryLimit; limit > 0 && resident > limit {
				s.kill(&MemoryError{Taken: resident, Limit: limit})
			}
		}
		if t, err := p.Times(); err == nil {
			s.figures.cpu.Store(int64((t.User + t.System) * float64(time.Second)))
		}
		select {
		case <-tick.C:
		case <-s.gone:
			return
		}
	}
}

// MemoryError is the end of a process that took more memory than it may.
type MemoryError struct{ Taken, Limit int64 }

func (e *MemoryError) Error() string {
	const gib = 1 << 30
	return fmt.Sprintf("it took %.2f GiB of memory, and may take %.2f GiB (--python-memory)", float64(e.Taken)/gib, float64(e.Limit)/gib)
}

// noteGPU records the process's report of its GPU memory.
func (s *Session) noteGPU(m *pyjson.Object) {
	if v, ok := m.Get("gpu"); ok {
		n, _ := v.(int64)
		s.figures.gpu.Store(max(0, n))
	}
}
