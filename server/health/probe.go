package health

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	usage "github.com/shirou/gopsutil/v4/disk"

	"comfygo/queue"
	"comfygo/server/disk"
)

// States of the worker.
const (
	workerAway  int32 = iota // not begun yet
	WorkerHere               // takes jobs
	WorkerEnded              // will take none any more
)

const (
	// probePatience is the time that an answer waits for a probe that may hang, of a GPU or a disk; after it the last figures are
	// reported.
	probePatience = 25 * time.Millisecond
	// firstPatience is the time that /system_stats waits for the first probe, without which it has no figures to report.
	firstPatience = 2 * time.Second
	// probeAge is the maximum age of measured figures, stalledAfter the time after which a probe's GPU or disk counts as lost.
	probeAge     = 500 * time.Millisecond
	stalledAfter = 5 * time.Second
	// busyTimeout is the time that a job that could start may wait for the worker, and shutdownTimeout the time that a job may continue
	// after a request to end.
	busyTimeout     = 10 * time.Second
	shutdownTimeout = 2 * time.Minute
	// diskReserve is the free space below which a disk counts as full.
	diskReserve = 16 << 20
)

// issue is a fault: a message for all callers, and the error for callers that may see it.
type issue struct {
	what string
	err  error
}

// measurement is the result of a probe.
type measurement struct {
	stats                Stats
	device, disk, engine error
	at                   time.Time
	// late is the start time of a probe that has not ended; zero if none is running.
	late time.Time
}

// State is the server's health as it was last measured.
type State struct {
	Worker atomic.Int32
	sign   atomic.Int64 // the last sign of life of the running job, nanoseconds since 1970; 0: none runs

	mu     sync.Mutex
	last   measurement
	begun  time.Time     // of the probe under way
	done   chan struct{} // closed when it is done; nil when none is running
	ready  time.Time     // since when a waiting job could start
	probes sync.WaitGroup
	// early are the figures of the first probe, nil before them; known is closed then.
	early *Stats
	known chan struct{}
}

// look returns the result of the last probe, or of the present one if that is quick. measure passes its figures to early before it checks
// what may hang.
func (w *State) look(measure func(early func(Stats)) measurement, now time.Time) measurement {
	w.mu.Lock()
	if !w.last.at.IsZero() && now.Sub(w.last.at) < probeAge {
		defer w.mu.Unlock()
		return w.last
	}
	if w.done == nil {
		done := make(chan struct{})
		w.done, w.begun = done, now
		w.probes.Go(func() {
			m := measure(w.figured)
			w.mu.Lock()
			defer w.mu.Unlock()
			m.at = time.Now()
			w.last, w.done = m, nil
			close(done)
		})
	}
	done := w.done
	w.mu.Unlock()
	timer := time.NewTimer(probePatience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.last
	if w.done != nil {
		m.late = w.begun
	}
	return m
}

// figured keeps the figures of the first probe.
func (w *State) figured(st Stats) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.early == nil {
		w.early = &st
		close(w.firstFigures())
	}
}

// firstFigures is closed when the first probe has figures; mu is held.
func (w *State) firstFigures() chan struct{} {
	if w.known == nil {
		w.known = make(chan struct{})
	}
	return w.known
}

// first waits for the figures of the first probe, at most firstPatience; it returns nil if they do not come.
func (w *State) first() *Stats {
	w.mu.Lock()
	known := w.firstFigures()
	w.mu.Unlock()
	timer := time.NewTimer(firstPatience)
	defer timer.Stop()
	select {
	case <-known:
	case <-timer.C:
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.early
}

// Close waits for a probe, but not for one that hangs: that one is lost with its device.
func (w *State) Close() {
	gone := make(chan struct{})
	go func() { w.probes.Wait(); close(gone) }()
	select {
	case <-gone:
	case <-time.After(time.Second):
	}
}

// measure checks the GPU and the disks, each of which may hang.
func (s *Service) measure(early func(Stats)) measurement {
	m := measurement{stats: s.stats()}
	early(m.stats)
	m.disk = s.diskFull()
	if s.CheckDevice != nil {
		m.device = s.CheckDevice()
	}
	if s.CheckEngine != nil {
		m.engine = s.CheckEngine()
	}
	return m
}

// diskFull checks the disks that results, previews, settings and the queue are written to.
func (s *Service) diskFull() error {
	reserve := s.DiskReserve
	if reserve == 0 {
		reserve = diskReserve
	}
	f := s.Folders
	for _, dir := range []string{f.Output(), f.Temp(), f.User(), f.Input()} {
		for !disk.Exists(dir) && filepath.Dir(dir) != dir {
			dir = filepath.Dir(dir)
		}
		u, err := usage.Usage(dir)
		if err == nil && u.Free < reserve {
			return fmt.Errorf("%d bytes are free at %s", u.Free, dir)
		}
	}
	return nil
}

// problem returns the reason why the server cannot work, or nil.
func (s *Service) problem(figures queue.Stats, seen measurement, now time.Time) *issue {
	if p := s.workerTrouble(figures, now); p != nil {
		return p
	}
	switch {
	case figures.Err != nil:
		return &issue{"the job store cannot be written", figures.Err}
	case s.gateTrouble() != nil:
		return &issue{"the key store cannot be read or written", s.gateTrouble()}
	case seen.disk != nil:
		return &issue{"the disk is full", seen.disk}
	case seen.device != nil:
		return &issue{"the device is lost", seen.device}
	case !seen.late.IsZero() && now.Sub(seen.late) > s.patience().probing:
		return &issue{"the device or a disk does not answer", nil}
	}
	return nil
}

// engineIssue returns the reason why models cannot run, or nil. Everything else works without them, and a restart would not help:
// the server is degraded, not unhealthy, and takes no jobs.
func engineIssue(seen measurement) *issue {
	if seen.engine == nil {
		return nil
	}
	return &issue{"models cannot run: the ONNX Runtime library is missing or cannot be loaded", seen.engine}
}

// gateTrouble returns the reason why the key store cannot be used, or nil, also without a key store.
func (s *Service) gateTrouble() error {
	if g, ok := s.Gate.(interface{ Err() error }); ok {
		return g.Err()
	}
	return nil
}

func (s *Service) workerTrouble(figures queue.Stats, now time.Time) *issue {
	w := s.State
	if w.Worker.Load() == WorkerEnded {
		return &issue{"the worker is dead", nil}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !figures.Ready || w.Worker.Load() == workerAway:
		w.ready = time.Time{}
	case w.ready.IsZero():
		w.ready = now
	}
	patience := s.patience()
	sign := w.sign.Load()
	silent := now.Sub(time.Unix(0, sign))
	switch {
	case !w.ready.IsZero() && now.Sub(w.ready) > patience.taking:
		return &issue{"the worker is stuck", errors.New("jobs wait and none is started")}
	case !figures.Ending.IsZero() && now.Sub(figures.Ending) > patience.ending:
		return &issue{"the worker is stuck", errors.New("the running job was asked to end and does not")}
	case patience.silence > 0 && sign != 0 && silent > patience.silence:
		return &issue{"the worker is stuck", fmt.Errorf("nothing was heard of the running job for %s", silent.Round(time.Second))}
	}
	return nil
}

// patience is the time that the worker, and a probe, may take.
type patience struct{ taking, ending, silence, probing time.Duration }

func (s *Service) patience() patience {
	p := patience{busyTimeout, shutdownTimeout, s.StuckAfter, stalledAfter}
	if p.silence > 0 { // the other probes share the interval of the watch for silence
		p.taking, p.ending, p.probing = min(p.taking, p.silence), min(p.ending, p.silence), min(p.probing, p.silence)
	}
	return p
}

// SignOfLife records a sign of life of the running job.
func (w *State) SignOfLife(at time.Time) { w.sign.Store(at.UnixNano()) }

// Idle records that no job runs.
func (w *State) Idle() { w.sign.Store(0) }
