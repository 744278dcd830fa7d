package queue

import (
	"container/heap"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Config is what a queue is made of. Only Run is required.
type Config struct {
	// Run runs one job. Its context ends with ErrInterrupted or ErrShutdown as the cause. A panic in it is a failed job.
	Run func(ctx context.Context, j *Job) Outcome
	// Changed is told the number of remaining jobs after every change. It is called with the queue locked, so that the
	// news arrive in order: it must be quick and must not call the queue.
	Changed func(remaining int)
	// Finished is called after a job went to history, before the next one starts.
	Finished func(j *Job)
	// Free is called between two jobs when clients asked for it.
	Free func(f Flags)
	// Store keeps the jobs over a restart; nil keeps them in memory only.
	Store Store
	// HistoryLimit replaces the package's limit when above 0.
	HistoryLimit int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Logger is told about jobs that broke down; nil means no log.
	Logger *slog.Logger
}

// Local is the queue of one process. What must outlive the process is in its Store.
type Local struct {
	cfg Config

	mu       sync.Mutex
	waiting  jobHeap
	running  *running
	history  *history
	flags    Flags
	number   int64
	arrivals int64
	wake     chan struct{} // holds one token when there may be work
}

type running struct {
	job    *Job
	cancel context.CancelCauseFunc
}

var _ Queue = (*Local)(nil)

// New makes a queue and brings back what its store kept. Jobs run once Work is called.
func New(cfg Config) (*Local, error) {
	if cfg.Run == nil {
		return nil, fmt.Errorf("making a queue: no function to run jobs given")
	}
	if cfg.Store == nil {
		cfg.Store = noStore{}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.HistoryLimit <= 0 {
		cfg.HistoryLimit = HistoryLimit
	}
	q := &Local{cfg: cfg, history: newHistory(cfg.HistoryLimit), wake: make(chan struct{}, 1)}
	saved, err := cfg.Store.Load()
	if err != nil {
		return nil, fmt.Errorf("making a queue: %w", err)
	}
	for _, r := range saved.History {
		q.history.add(r)
	}
	for _, j := range saved.Pending {
		if err := j.write(); err != nil {
			return nil, fmt.Errorf("making a queue: %w", err)
		}
		q.arrivals++
		j.seq = q.arrivals
		heap.Push(&q.waiting, j)
	}
	q.number = saved.NextNumber
	q.signal()
	return q, nil
}

// jobHeap is a heap of jobs, the next one to run at the front.
type jobHeap []*Job

func (h jobHeap) Len() int           { return len(h) }
func (h jobHeap) Less(i, j int) bool { return h[i].before(h[j]) }
func (h jobHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push is for container/heap.
func (h *jobHeap) Push(x any) { *h = append(*h, x.(*Job)) }

// Pop is for container/heap.
func (h *jobHeap) Pop() any {
	last := len(*h) - 1
	j := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return j
}

func (q *Local) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *Local) changed() {
	if q.cfg.Changed != nil {
		q.cfg.Changed(q.remaining())
	}
}

func (q *Local) remaining() int {
	if q.running != nil {
		return len(q.waiting) + 1
	}
	return len(q.waiting)
}

// NextNumber implements Queue.
func (q *Local) NextNumber() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.number
	q.number++
	return n
}

// Put implements Queue.
func (q *Local) Put(j *Job) error {
	if err := j.write(); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.arrivals++
	j.seq = q.arrivals
	if err := q.cfg.Store.Queued(j); err != nil {
		return fmt.Errorf("queueing %s: %w", j.ID, err)
	}
	heap.Push(&q.waiting, j)
	q.changed()
	q.signal()
	return nil
}

// Snapshot implements Queue.
func (q *Local) Snapshot() (run, pending []*Job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running != nil {
		run = []*Job{q.running.job}
	}
	pending = slices.Clone(q.waiting)
	slices.SortFunc(pending, func(a, b *Job) int {
		if a.before(b) {
			return -1
		}
		return 1
	})
	return run, pending
}

// Remaining implements Queue.
func (q *Local) Remaining() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.remaining()
}

// Clear implements Queue.
func (q *Local) Clear() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.clear()
}

func (q *Local) clear() error {
	if err := q.cfg.Store.Removed(q.waiting); err != nil {
		return fmt.Errorf("clearing the queue: %w", err)
	}
	q.waiting = nil
	q.changed()
	return nil
}

// Delete implements Queue. As upstream, the deletion of the last waiting job tells of two changes.
func (q *Local) Delete(id string) (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := -1
	for i, j := range q.waiting {
		if j.ID == id && (at < 0 || j.before(q.waiting[at])) {
			at = i
		}
	}
	if at < 0 {
		return false, nil
	}
	if len(q.waiting) == 1 {
		if err := q.clear(); err != nil {
			return false, err
		}
	} else {
		if err := q.cfg.Store.Removed(q.waiting[at : at+1]); err != nil {
			return false, fmt.Errorf("deleting %s: %w", id, err)
		}
		heap.Remove(&q.waiting, at)
	}
	q.changed()
	return true, nil
}

// Interrupt implements Queue.
func (q *Local) Interrupt() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running == nil {
		return false
	}
	q.running.cancel(ErrInterrupted)
	return true
}

// InterruptIfRunning implements Queue.
func (q *Local) InterruptIfRunning(id string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running == nil || q.running.job.ID != id {
		return false
	}
	q.running.cancel(ErrInterrupted)
	return true
}

// SetFlags implements Queue.
func (q *Local) SetFlags(f Flags) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.flags.UnloadModels = q.flags.UnloadModels || f.UnloadModels
	q.flags.FreeMemory = q.flags.FreeMemory || f.FreeMemory
	q.signal()
}

// History implements Queue.
func (q *Local) History(offset, limit int) []*Row {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.history.slice(offset, limit)
}

// HistoryLen implements Queue.
func (q *Local) HistoryLen() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.history.len()
}

// Find implements Queue.
func (q *Local) Find(id string) *Row {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.history.find(id)
}

// ClearHistory implements Queue.
func (q *Local) ClearHistory() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.cfg.Store.Forgotten(nil); err != nil {
		return fmt.Errorf("clearing the history: %w", err)
	}
	q.history.clear()
	return nil
}

// DeleteHistory implements Queue.
func (q *Local) DeleteHistory(id string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.history.find(id) == nil {
		return nil
	}
	if err := q.cfg.Store.Forgotten([]string{id}); err != nil {
		return fmt.Errorf("deleting %s from the history: %w", id, err)
	}
	q.history.remove(id)
	return nil
}

// Close implements Queue.
func (q *Local) Close() error { return q.cfg.Store.Close() }
