package server

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	usage "github.com/shirou/gopsutil/v4/disk"

	"comfygo/queue"
)

// States of the worker.
const (
	workerAway  int32 = iota // not begun yet
	workerHere               // takes jobs
	workerEnded              // will take none any more
)

const (
	// probePatience is how long an answer waits for what may hang: a card, or a disk.
	probePatience = 70 * time.Millisecond
	// probeAge is how long figures are good, and hangs how long a probe may take before what it asks counts as lost.
	probeAge = 500 * time.Millisecond
	hangs    = 5 * time.Second
	// takingTime is how long a job that could start may wait for the worker, and endingTime how long a job may go on that
	// was asked to end.
	takingTime = 10 * time.Second
	endingTime = 2 * time.Minute
	// diskReserve is what a disk must have left to count as not full.
	diskReserve = 16 << 20
)

// ailment is what is wrong: in words for everybody, and the error for those who may see it.
type ailment struct {
	what string
	err  error
}

// measured is what a probe has found.
type measured struct {
	stats        Stats
	device, disk error
	at           time.Time
	// late is since when a probe has not come back; zero when none is under way.
	late time.Time
}

// wellness is what the server knows of how it is.
type wellness struct {
	worker atomic.Int32
	sign   atomic.Int64 // the last sign of life of the running job, nanoseconds since 1970; 0: none runs

	mu     sync.Mutex
	last   measured
	begun  time.Time     // of the probe under way
	done   chan struct{} // closed when it is done; nil: none is under way
	ready  time.Time     // since when a waiting job could start
	probes sync.WaitGroup
}

// look returns what the last probe has found, or the present one when that is quick.
func (w *wellness) look(measure func() measured, now time.Time) measured {
	w.mu.Lock()
	if !w.last.at.IsZero() && now.Sub(w.last.at) < probeAge {
		defer w.mu.Unlock()
		return w.last
	}
	if w.done == nil {
		done := make(chan struct{})
		w.done, w.begun = done, now
		w.probes.Go(func() {
			m := measure()
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

// close waits for a probe, but not for one that hangs: that one is lost with its device.
func (w *wellness) close() {
	gone := make(chan struct{})
	go func() { w.probes.Wait(); close(gone) }()
	select {
	case <-gone:
	case <-time.After(time.Second):
	}
}

// measure asks the card and the disks, either of which may hang.
func (s *Server) measure() measured {
	m := measured{stats: s.stats(), disk: s.diskFull()}
	if s.cfg.CheckDevice != nil {
		m.device = s.cfg.CheckDevice()
	}
	return m
}

// diskFull looks at the disks that results, previews, settings and the queue are written to.
func (s *Server) diskFull() error {
	reserve := s.cfg.DiskReserve
	if reserve == 0 {
		reserve = diskReserve
	}
	f := s.cfg.Folders
	for _, dir := range []string{f.Output(), f.Temp(), f.User(), f.Input()} {
		for !exists(dir) && filepath.Dir(dir) != dir {
			dir = filepath.Dir(dir)
		}
		u, err := usage.Usage(dir)
		if err == nil && u.Free < reserve {
			return fmt.Errorf("%d bytes are free at %s", u.Free, dir)
		}
	}
	return nil
}

// unwell says what keeps the server from working; nil when nothing does.
func (s *Server) unwell(figures queue.Stats, seen measured, now time.Time) *ailment {
	if p := s.workerTrouble(figures, now); p != nil {
		return p
	}
	switch {
	case figures.Err != nil:
		return &ailment{"the job store cannot be written", figures.Err}
	case s.gateTrouble() != nil:
		return &ailment{"the key store cannot be read or written", s.gateTrouble()}
	case seen.disk != nil:
		return &ailment{"the disk is full", seen.disk}
	case seen.device != nil:
		return &ailment{"the device is lost", seen.device}
	case !seen.late.IsZero() && now.Sub(seen.late) > s.patience().probing:
		return &ailment{"the device or a disk does not answer", nil}
	}
	return nil
}

// gateTrouble is why the key store cannot be used; nil when it can, and without one.
func (s *Server) gateTrouble() error {
	if g, ok := s.gate.(interface{ Err() error }); ok {
		return g.Err()
	}
	return nil
}

func (s *Server) workerTrouble(figures queue.Stats, now time.Time) *ailment {
	w := &s.wellness
	if w.worker.Load() == workerEnded {
		return &ailment{"the worker is dead", nil}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !figures.Ready || w.worker.Load() == workerAway:
		w.ready = time.Time{}
	case w.ready.IsZero():
		w.ready = now
	}
	patience := s.patience()
	sign := w.sign.Load()
	silent := now.Sub(time.Unix(0, sign))
	switch {
	case !w.ready.IsZero() && now.Sub(w.ready) > patience.taking:
		return &ailment{"the worker is stuck", errors.New("jobs wait and none is started")}
	case !figures.Ending.IsZero() && now.Sub(figures.Ending) > patience.ending:
		return &ailment{"the worker is stuck", errors.New("the running job was asked to end and does not")}
	case patience.silence > 0 && sign != 0 && silent > patience.silence:
		return &ailment{"the worker is stuck", fmt.Errorf("nothing was heard of the running job for %s", silent.Round(time.Second))}
	}
	return nil
}

// patience is how long the worker, and a probe, may take.
type patience struct{ taking, ending, silence, probing time.Duration }

func (s *Server) patience() patience {
	p := patience{takingTime, endingTime, s.cfg.StuckAfter, hangs}
	if p.silence > 0 { // who wants to know of silence soon wants to know of the rest as soon
		p.taking, p.ending, p.probing = min(p.taking, p.silence), min(p.ending, p.silence), min(p.probing, p.silence)
	}
	return p
}

// signOfLife notes that something is heard of the running job.
func (w *wellness) signOfLife(at time.Time) { w.sign.Store(at.UnixNano()) }

// idle notes that no job runs.
func (w *wellness) idle() { w.sign.Store(0) }

func itoa(n int) string { return strconv.Itoa(n) }
