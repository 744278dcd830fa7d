package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// teller passes on what a job tells: at most one entry at a time is on its way, so that they are in order, and what comes meanwhile goes
// together.
type teller struct {
	w *RemoteWorker
	r *remoteRun

	mu      sync.Mutex
	buffer  []byte
	records int
	part    int
	broken  bool        // something could not be passed on: nothing more is
	armed   bool        // pump runs or will
	stopped bool        // no pump begins any more
	timer   *time.Timer // of the next pump; a job that is over before has needed no goroutine
	pumping sync.WaitGroup
}

const (
	// linger is how long the first thing told waits for more; of a job that is over by then everything goes with its end.
	linger = 4 * time.Millisecond
	// manyRecords and manyBytes bound what one entry takes; droppable things are left out beyond.
	manyRecords = numbersAnEntry - 2
	manyBytes   = 512 << 10
	mostWaiting = 8 << 20
)

func newTeller(w *RemoteWorker, r *remoteRun) *teller { return &teller{w: w, r: r} }

func (t *teller) tell(data []byte, droppable bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case len(data) > t.w.cfg.Log.MaxSize()-headRoom:
		t.w.log.Warn("leaving out what a job has told: it is larger than what NATS accepts", "prompt_id", t.r.job.ID, "bytes", len(data))
		return
	case droppable && len(t.buffer) > mostWaiting:
		return
	}
	t.buffer = frameRecord(t.buffer, data)
	t.records++
	if !t.armed {
		t.arm()
	}
}

// arm lets pump run after a while; the teller is locked.
func (t *teller) arm() {
	if t.armed = !t.stopped && !t.broken; t.armed {
		t.pumping.Add(1)
		t.timer = time.AfterFunc(linger, t.pump)
	}
}

// pump passes on what there is, and runs again for what has come meanwhile.
func (t *teller) pump() {
	defer t.pumping.Done()
	for more := true; more; {
		var part []byte
		if part, more = t.take(); len(part) > 0 && !t.flush(part) {
			t.mu.Lock()
			t.broken, t.armed = true, false
			t.mu.Unlock()
			return
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.armed = false; len(t.buffer) > 0 {
		t.arm()
	}
}

// take takes the next records, as many as one entry has room for.
func (t *teller) take() (part []byte, more bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.records <= manyRecords && len(t.buffer) <= manyBytes {
		part, t.buffer, t.records = t.buffer, nil, 0
		return part, false
	}
	n, at := 0, 0
	for n < manyRecords && at < len(t.buffer) {
		size := recordSize(t.buffer[at:])
		if n > 0 && at+size > manyBytes {
			break
		}
		at += size
		n++
	}
	part = t.buffer[:at:at]
	t.buffer, t.records = t.buffer[at:], t.records-n
	return part, t.records > 0
}

// flush appends an entry with records, until the log has it or the worker is given up.
func (t *teller) flush(part []byte) bool {
	t.part++
	j := t.r.job
	e := entry{Type: entryEvents, Worker: t.r.worker, Seq: j.seq, Attempt: j.attempts, ID: j.ID, Owner: j.Owner, Part: t.part, Body: part}
	id := fmt.Sprintf("ev-%d-%d-%s-%d", j.seq, j.attempts, t.r.worker, t.part)
	for t.r.parent.Err() == nil && !errors.Is(context.Cause(t.r.ctx), errLost) {
		ctx, cancel := context.WithTimeout(t.r.parent, appendPatience)
		err := t.w.append(ctx, KeepEvents, id, e)
		cancel()
		if err == nil {
			return true
		}
		if t.r.parent.Err() == nil {
			t.w.log.Error("passing on what a job tells", "prompt_id", j.ID, "error", err)
		}
		pause(t.r.parent, firstPause)
	}
	return false // the job runs again elsewhere
}

// end stops passing on and returns what is left; whole is false when something told could not be passed on.
func (t *teller) end() (rest []byte, whole bool) {
	t.mu.Lock()
	t.stopped = true
	if t.timer != nil && t.timer.Stop() {
		t.pumping.Done() // in place of the pump that does not run
	}
	t.mu.Unlock()
	t.pumping.Wait()
	for {
		t.mu.Lock()
		many := t.records > manyRecords || len(t.buffer) > manyBytes
		t.mu.Unlock()
		if !many {
			break
		}
		if part, _ := t.take(); !t.flush(part) {
			t.broken = true
			break
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buffer, !t.broken
}
