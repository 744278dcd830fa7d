package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"comfygo/internal/pyjson"
)

// Restart decides what happens to the job that ran when the process died.
type Restart string

// What can become of it. A job that was running twice when the process died is not tried a third time.
const (
	RestartRetry     Restart = "retry"
	RestartInterrupt Restart = "interrupt"
)

// Policy configures how a queue treats its jobs. The zero value is upstream's way.
type Policy struct {
	// HistoryLimit replaces the package's limit when above 0; HistoryAge forgets older jobs when above 0.
	HistoryLimit int
	HistoryAge   time.Duration
	// EventLimit bounds the log of events; 0 means 100,000.
	EventLimit int
	// OnRestart is RestartRetry when empty.
	OnRestart Restart
	// Limit and ClientLimit bound the waiting jobs of all and of each client; 0 means no bound.
	Limit, ClientLimit int
	// TimeLimit bounds every job; 0 means no limit. A job can request a lower limit.
	TimeLimit time.Duration
	// ModelWait is how long a job waits for a worker that has its models loaded and is busy while others are idle; only a queue with several workers
	// knows it.
	ModelWait time.Duration `json:",omitempty"`
	// Fair shares the queue between clients; Weights are 1 unless given.
	Fair    bool
	Weights map[string]float64
}

// Config configures a queue. Only Run is required.
type Config struct {
	Policy
	// Run runs one job. Its context ends with ErrInterrupted, ErrTimeLimit or ErrShutdown as the cause. A panic in it is a
	// failed job.
	Run func(ctx context.Context, j *Job) Outcome
	// Changed is called with the number of remaining jobs after every change. The queue is locked, so that the calls are in order: it must be
	// quick and must not call the queue.
	Changed func(remaining int)
	// Owners is called, in the same way, with the number of remaining jobs of each owner that has some; nil turns it off.
	Owners func(remaining map[string]int)
	// Finished is called after a job has moved to history, before the next one starts, with its outcome.
	Finished func(j *Job, s Status)
	// Idle is called when a job has ended and no other one follows at once, before Free, and when Work ends. What was done in advance for the
	// job that Next told of has to stop then.
	Idle func()
	// Free is called between two jobs when clients asked for it.
	Free func(f Flags)
	// Send sends a message to a webhook; nil drops them.
	Send func(ctx context.Context, d Delivery) error
	// Receipts is handed the receipts of the last run, oldest first, as soon as the store can be read. It must not call the queue.
	Receipts func(receipts []Receipt)
	// Store keeps the jobs over a restart; nil keeps them in memory only.
	Store Store
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Logger records jobs that broke down; nil disables the log.
	Logger *slog.Logger
}

// Local is the queue of one process. What must outlive the process is in its Store.
type Local struct {
	view  // of everything
	cfg   Config
	store Store

	mu       sync.Mutex
	waiting  *queueOrder
	running  *running
	noted    *Job // waits, and its start is noted already
	history  *history
	flags    Flags
	number   int64 // the next one
	seq      int64
	place    int64
	paused   bool
	draining bool
	drained  chan struct{} // closed when a drain has come to its end
	loadErr  error         // why the store could not be loaded so far
	left     []*Job        // ran when the last process died, and do not run again
	requeued []*Job        // ran when the last process died, and run again
	coming   int           // jobs that the store is keeping just now
	comingOf map[string]int
	// comingIDs are the coming jobs by their ids.
	comingIDs map[string][]*Job
	lasting   time.Duration // how long jobs take, roughly
	wake      chan struct{} // holds one token when there may be work
	post      chan struct{} // holds one token when there may be messages to send
}

type running struct {
	job    *Job
	cancel context.CancelCauseFunc
	asked  time.Time // when it was asked to end; zero: not yet
}

// interrupt asks the running job to end; the queue is locked.
func (q *Local) interrupt(why error) {
	if q.running.asked.IsZero() {
		q.running.asked = q.cfg.Now()
	}
	q.running.cancel(why)
}

var _ Queue = (*Local)(nil)

// New makes a queue and restores the jobs of its store. Jobs run once Work is called. A store that is temporarily not writable is not an
// error: the queue is unavailable until it is.
func New(cfg Config) (*Local, error) {
	if cfg.Run == nil {
		return nil, fmt.Errorf("making a queue: no function to run jobs given")
	}
	if cfg.Store == nil {
		cfg.Store = NewMemory()
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
	if cfg.EventLimit <= 0 {
		cfg.EventLimit = defaultEventLimit
	}
	q := &Local{
		cfg: cfg, store: cfg.Store, history: newHistory(cfg.HistoryLimit), waiting: newQueueOrder(cfg.Fair, cfg.Weights),
		comingOf: map[string]int{}, comingIDs: map[string][]*Job{}, wake: make(chan struct{}, 1), post: make(chan struct{}, 1),
	}
	q.view = view{q: q}
	if err := q.load(); err != nil && !errors.Is(err, ErrUnavailable) {
		return nil, fmt.Errorf("making a queue: %w", err)
	}
	return q, nil
}

const defaultEventLimit = 100000

// load restores the jobs of the store.
func (q *Local) load() error {
	saved, err := q.store.Load()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.loadErr = err; err != nil {
		return err
	}
	// Numbers given while the store could not be read belong to prompts that were refused.
	q.number = max(q.number, saved.NextNumber)
	q.seq, q.place, q.paused = max(1, saved.NextSeq), saved.NextPlace, saved.Paused
	if saved.Shares.Clients != nil {
		q.waiting.shares = saved.Shares
	}
	for _, r := range saved.History {
		q.history.add(&record{id: r.ID, owner: r.Owner, seq: r.Seq, place: r.Place, finished: r.Finished, shared: r.Shared})
	}
	for _, s := range saved.Pending {
		q.restore(s)
	}
	q.present(saved.Receipts)
	q.signal()
	return nil
}

func (q *Local) restore(s SavedJob) {
	j := &Job{Number: s.Number, ID: s.ID, Options: s.Options, Owner: s.Owner, Grant: s.Grant, seq: s.Place.Seq, text: s.Listing, client: s.Client, attempts: s.Attempts, place: s.Place}
	if err := j.readListing(s.Listing); err != nil {
		q.cfg.Logger.Error("bringing back a job", "prompt_id", j.ID, "error", err)
		j.Prompt, j.Extra = &pyjson.Object{}, &pyjson.Object{}
		j.text, _ = pyjson.Marshal(j.Listing()) // plain values are always written
		q.left = append(q.left, j)
		return
	}
	if !s.Running {
		q.waiting.add(j)
		return
	}
	const tries = 2
	if q.cfg.OnRestart == RestartInterrupt || j.attempts >= tries {
		q.left = append(q.left, j)
		return
	}
	q.requeued = append(q.requeued, j)
	q.waiting.add(j)
}

func (q *Local) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// changed reports a change; the queue is locked.
func (q *Local) changed() {
	if q.cfg.Changed != nil {
		q.cfg.Changed(q.remaining())
	}
	if q.cfg.Owners != nil {
		q.cfg.Owners(q.owners())
	}
	q.checkDrained()
}

// owners counts the remaining jobs of each owner; the queue is locked.
func (q *Local) owners() map[string]int {
	counts := maps.Clone(q.waiting.clients) // by owner where there are any
	if q.running != nil {
		counts[q.running.job.Owner]++
	}
	return counts
}

func (q *Local) remaining() int {
	if q.running != nil {
		return q.waiting.size + 1
	}
	return q.waiting.size
}

// NextNumber implements Queue.
func (q *Local) NextNumber() (int64, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.number
	q.number++
	return n, nil
}

// Put implements Queue.
func (q *Local) Put(j *Job) error {
	if len(j.Options.Labels) > 0 {
		return &OptionError{errors.New("labels choose among workers, and this server runs all jobs itself (see --queue nats://HOST:PORT)")}
	}
	if err := j.prepare(); err != nil {
		return err
	}
	q.mu.Lock()
	if err := q.admit(j); err != nil {
		q.mu.Unlock()
		return err
	}
	j.seq = q.seq
	j.place.Seq = j.seq
	q.seq++
	q.coming++
	q.comingOf[j.turn()]++
	q.comingIDs[j.ID] = append(q.comingIDs[j.ID], j)
	wait := q.store.Submit(Batch{
		Changes: []Change{Queued{Job: j, Place: j.place, NextNumber: q.number}},
		Events:  []Event{q.event(EventQueued, j, "number", j.Number.JSON())},
	})
	q.mu.Unlock()
	err := wait()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.arrived(j)
	if err != nil {
		q.checkDrained()
		return fmt.Errorf("queueing %s: %w", j.ID, err)
	}
	q.waiting.add(j)
	q.changed()
	q.signal()
	return nil
}

// admit decides whether a job may wait; the queue is locked.
func (q *Local) admit(j *Job) error {
	switch {
	case q.loadErr != nil:
		return fmt.Errorf("queueing %s: %w", j.ID, q.loadErr)
	case q.draining:
		return ErrDraining
	case q.cfg.Limit > 0 && q.waiting.size+q.coming >= q.cfg.Limit:
		return &FullError{Limit: q.cfg.Limit, RetryAfter: q.roomIn()}
	case q.cfg.ClientLimit > 0 && q.waiting.clients[j.turn()]+q.comingOf[j.turn()] >= q.cfg.ClientLimit:
		return &FullError{Limit: q.cfg.ClientLimit, Client: j.turn(), RetryAfter: q.roomIn()}
	case j.Owner != "" && j.OwnerLimit > 0 && q.waiting.clients[j.Owner]+q.comingOf[j.Owner]+q.runningOf(j.Owner) >= j.OwnerLimit:
		return &FullError{Limit: j.OwnerLimit, Owner: j.Owner, RetryAfter: q.roomIn()}
	case q.taken(j):
		return fmt.Errorf("queueing %s: %w", j.ID, ErrTakenID)
	}
	return nil
}

// arrived records that the store has decided about a job that was being queued; the queue is locked.
func (q *Local) arrived(j *Job) {
	q.coming--
	if q.comingOf[j.turn()]--; q.comingOf[j.turn()] == 0 {
		delete(q.comingOf, j.turn())
	}
	q.comingIDs[j.ID] = slices.DeleteFunc(q.comingIDs[j.ID], func(o *Job) bool { return o == j })
	if len(q.comingIDs[j.ID]) == 0 {
		delete(q.comingIDs, j.ID)
	}
}

// taken reports whether the id of j is that of a job that waits or runs, or that has ended and is another owner's; the
// queue is locked. So an id leads to one job that is still to end, and to jobs of one owner only.
func (q *Local) taken(j *Job) bool {
	same := func(o *Job) bool { return o.ID == j.ID }
	if q.running != nil && same(q.running.job) || slices.ContainsFunc(q.left, same) {
		return true
	}
	if rec := q.history.find(j.ID); rec != nil && rec.owner != j.Owner {
		return true
	}
	return len(q.waiting.byID[j.ID]) > 0 || len(q.comingIDs[j.ID]) > 0
}

// runningOf returns the number of running jobs of an owner; the queue is locked.
func (q *Local) runningOf(owner string) int {
	if q.running != nil && q.running.job.Owner == owner {
		return 1
	}
	return 0
}

// roomIn guesses when the next job starts: between a second and a minute.
func (q *Local) roomIn() time.Duration {
	seconds := math.Ceil(q.lasting.Seconds())
	return time.Duration(min(60, max(1, seconds))) * time.Second
}

// event makes an entry of the log; j is nil if it is not about a job.
func (q *Local) event(typ string, j *Job, pairs ...any) Event {
	e := Event{Time: q.cfg.Now(), Type: typ}
	if j != nil {
		e.JobID, e.Owner = j.ID, j.Owner
	}
	if len(pairs) > 0 {
		// Plain values are always written.
		e.Data, _ = pyjson.Marshal(pyjson.NewObject(pairs...))
	}
	return e
}

// Close implements Queue.
func (q *Local) Close() error { return q.store.Close() }
