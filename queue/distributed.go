package queue

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"comfygo/internal/pyjson"
)

// Fleet holds the functions that a queue of several processes calls in a server. All are called in the order of the log, on one goroutine: they
// must be quick and must not call the queue.
type Fleet struct {
	// Begun is called when a job runs on any worker.
	Begun func(j *Job)
	// Told is called with the events of a running job, in the worker's encoding. The number counts up and is the same in every server.
	Told func(j *Job, number int64, data []byte)
	// Replayed is given what jobs have told before this server began; nil passes it over.
	Replayed func(owner string, number int64, data []byte)
	// Ended is called when a job has moved to history, with its outputs there.
	Ended func(j *Job, number int64, s Status, outputs func() *pyjson.Object)
	// Allowed reports whether a job may still run, for it may have waited long; nil allows all. It may take its time.
	Allowed func(ctx context.Context, j *Job) bool
}

// DistributedConfig configures a Distributed queue besides Config, of which it uses Policy, Changed, Owners, Receipts, Now and Logger.
type DistributedConfig struct {
	Config
	Fleet Fleet
	Log   Log
	// Worker, if set, runs jobs in this process, too.
	Worker *RemoteWorker
	// Owned: jobs read and write in the folders of their owners.
	Owned bool
	// Families, if set, finds the model families that a prompt needs, as far as they are known here. Jobs run only where all of them are.
	Families func(prompt *pyjson.Object) []string
	// Patience is the time that a change may take before it fails; 0 means 10 s. Settle is how much longer a change may take of which it must be
	// found out whether it was made; 0 means 20 s. Lease is the time that a worker may be silent before it counts as dead; 0 means 10 s.
	Patience, Settle, Lease time.Duration
	// RoutePatience is the time that a job waits for a worker that can run it while there are only others; 0 means 20 s.
	RoutePatience time.Duration
	// SaveEvery is the interval at which the state is saved after changes; 0 means a minute. Overlap is how long the log keeps entries that a state
	// has, for servers that are behind; 0 means a minute.
	SaveEvery, Overlap time.Duration
}

// Distributed is the queue of several processes: each server has the whole state, made from the same log, and any of them answers. Jobs are run by
// workers, which need not be servers.
type Distributed struct {
	distributedView // of everything
	cfg             DistributedConfig
	id              string
	log             *slog.Logger
	bus             Log
	requests        atomic.Int64
	changes         chan *pending
	ended           chan struct{}  // closed when Work ends: nothing is decided any more
	helpers         sync.WaitGroup // goroutines that Work waits for

	mu       sync.Mutex
	m        *machine
	waits    map[int64]*pending
	begun    bool          // Work was called
	ready    chan struct{} // closed when the log has been read up to its end
	trouble  error         // why the log cannot be applied
	draining bool
	beats    map[string]beat // of workers
	servers  map[string]server
	blocked  map[string]time.Time // since when no worker could run jobs of these needs
	secrets  map[int64]*Job       // jobs of this process, with what no log keeps
	litter   []litter             // what no server needs any more, once a state has it
	garbage  chan []int64         // what is dropped from the log
	sends    chan sending
	rejects  chan entry
	mail     chan struct{}  // holds a token when there are messages to webhooks
	mailing  map[int64]bool // messages that this server sends
	saving   chan struct{}  // holds a token when the state is to be saved
	saved    int64          // the entry up to which a state was last made
	states   []savedState   // those that the log has, as far as this server knows, oldest first
	replayed int64          // the last entry of before this server began that was passed on; of the follower alone
	since    time.Time
	oldest   int // the oldest version of the protocol that a server understands
	readyAt  time.Time
	fresh    bool // the log was empty when this server began
	raising  bool // the level is being raised
	warned   bool // it was told that an older server keeps the level down
	// clock is how far the log's clock is ahead of this process's, as far as known.
	clock      time.Duration
	clockKnown bool
	// heardAt is when the last entry was applied, by this process's clock.
	heardAt time.Time
}

// savedState is a state that the log has: the entry up to which it goes, and when this server saved or read it.
type savedState struct {
	seq int64
	at  time.Time
}

// litter are entries that the entry at has made needless.
type litter struct {
	at   int64
	seqs []int64
}

var _ Queue = (*Distributed)(nil)

// NewDistributed makes a queue. The log is read by Work.
func NewDistributed(cfg DistributedConfig) (*Distributed, error) {
	if cfg.Log == nil {
		return nil, errors.New("making a shared queue: no log given")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Patience <= 0 {
		cfg.Patience = 10 * time.Second
	}
	if cfg.Settle <= 0 {
		cfg.Settle = 20 * time.Second
	}
	if cfg.Lease <= 0 {
		cfg.Lease = 10 * time.Second
	}
	if cfg.RoutePatience <= 0 {
		cfg.RoutePatience = routePatience
	}
	if cfg.SaveEvery <= 0 {
		cfg.SaveEvery = saveEvery
	}
	if cfg.Overlap <= 0 {
		cfg.Overlap = saveEvery
	}
	q := &Distributed{
		cfg: cfg, id: uuid.NewString(), log: cfg.Logger, bus: cfg.Log, m: newMachine(), oldest: Protocol, waits: map[int64]*pending{}, ready: make(chan struct{}),
		beats: map[string]beat{}, servers: map[string]server{}, blocked: map[string]time.Time{}, secrets: map[int64]*Job{},
		changes: make(chan *pending, 1024), ended: make(chan struct{}), garbage: make(chan []int64, 1024), sends: make(chan sending, 1024), rejects: make(chan entry, 1024), saving: make(chan struct{}, 1),
		mail: make(chan struct{}, 1), mailing: map[int64]bool{},
	}
	q.distributedView = distributedView{q: q}
	return q, nil
}

// Work implements Queue: it follows the log, sends jobs to workers, and looks after both.
func (q *Distributed) Work(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	q.mu.Lock()
	q.begun, q.since = true, time.Now()
	q.mu.Unlock()
	defer q.helpers.Wait()
	defer context.AfterFunc(ctx, func() { close(q.ended) })()
	stop, err := q.hear(ctx)
	if err != nil {
		return fmt.Errorf("running the queue: %w", err)
	}
	defer stop()
	q.helpers.Go(func() { q.commit(ctx) })
	q.helpers.Go(func() { q.clean(ctx) })
	q.helpers.Go(func() { q.dispatch(ctx) })
	q.helpers.Go(func() { q.reject(ctx) })
	q.helpers.Go(func() {
		if err := q.follow(ctx); err != nil && ctx.Err() == nil {
			q.mu.Lock()
			q.trouble = err
			q.mu.Unlock()
			cancel(err)
		}
	})
	q.helpers.Go(func() { q.watch(ctx) })
	q.helpers.Go(func() { q.deliver(ctx) })
	q.helpers.Go(func() { q.saveStates(ctx) })
	if q.cfg.Worker != nil {
		q.helpers.Go(func() {
			if q.wait(ctx) == nil {
				_ = q.cfg.Worker.Work(ctx) // ends with ctx
			}
		})
	}
	<-ctx.Done()
	q.mu.Lock()
	failed := q.trouble
	q.mu.Unlock()
	if failed != nil {
		return fmt.Errorf("running the queue: %w", failed)
	}
	return nil
}

// errBehind means that the log no longer has entries that this server has not read.
var errBehind = errors.New("the queue's log was trimmed before this server had read it, as after a long stop: start the server again")

// present passes on the receipts of the last run; the queue is locked.
func (q *Distributed) present() {
	list := make([]Receipt, len(q.m.receipts.list))
	for i, r := range q.m.receipts.list {
		r.Job = q.m.open(r)
		list[i] = r
	}
	q.cfg.Receipts(list)
}

// numbersAnEntry is the number of event numbers that belong to an entry of the log.
const numbersAnEntry = 1024

// tell passes on an event of a job.
func (q *Distributed) tell(t telling, to func(j *Job, number int64, data []byte)) {
	if to == nil {
		return
	}
	number := t.entry * numbersAnEntry
	for rest := t.data; len(rest) >= 4; number++ {
		n := int(binary.BigEndian.Uint32(rest))
		if n > len(rest)-4 {
			q.log.Error("reading what a job has told: it is cut off", "prompt_id", t.job.ID)
			return
		}
		to(t.job, number, rest[4:4+n])
		rest = rest[4+n:]
	}
}

// apply applies the entries of a record and does what follows from them. A state has all of them or none.
func (q *Distributed) apply(list []*entry, r Record) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.heardAt = time.Now()
	if len(list) > 1 {
		q.m.shared[r.Seq] = len(list)
	}
	for i, e := range list {
		q.applyOne(e, keyOf(r.Seq, i), r)
	}
}

// applyOne applies an entry with the key; the queue is locked.
func (q *Distributed) applyOne(e *entry, key int64, r Record) {
	var mine *pending
	if e.Origin == q.id {
		if mine = q.waits[e.Request]; mine != nil {
			delete(q.waits, e.Request)
			q.clock, q.clockKnown = r.Time.Sub(q.heardAt), true
		}
		if e.Type == entryVoid {
			q.decide(e.Requests, verdict{err: &unavailable{errVoided}})
		}
	}
	var own *Job
	if mine != nil {
		own = mine.own
	}
	out := q.m.apply(e, key, r.Time, own)
	if own != nil && out.verdict.err == nil {
		q.secrets[own.seq] = own
	}
	if out.refused != nil {
		q.log.Warn("passing over an entry of the queue's log", "number", r.Seq, "error", out.refused)
	}
	for _, a := range out.started {
		a.seen = time.Now()
		if q.cfg.Fleet.Begun != nil {
			q.cfg.Fleet.Begun(a.job)
		}
		q.send(sending{a: *a, started: true})
	}
	for _, a := range out.asked {
		q.send(sending{a: *a})
	}
	if out.flags != (Flags{}) && e.Origin == q.id {
		q.send(sending{flags: out.flags})
	}
	for _, t := range out.told {
		q.tell(t, q.cfg.Fleet.Told)
	}
	for _, x := range out.ended {
		delete(q.secrets, x.job.seq)
		if q.cfg.Fleet.Ended != nil {
			q.cfg.Fleet.Ended(x.job, x.entry*numbersAnEntry+numbersAnEntry-1, x.status, x.outputs)
		}
	}
	if out.changed {
		q.changed()
	}
	if out.hooks {
		q.wakeMail()
	}
	if len(out.garbage) > 0 {
		q.litter = append(q.litter, litter{r.Seq, out.garbage})
		if len(q.litter) > 4*saveEntries { // the next start finds what is left out here
			q.litter = append([]litter(nil), q.litter[len(q.litter)-2*saveEntries:]...)
		}
	}
	if mine != nil {
		mine.done <- out.verdict
	}
}

// outputs reads the outputs from the text of history.
func (x ending) outputs() *pyjson.Object {
	row, err := pyjson.UnmarshalObject(append([]byte("{"), x.tail...))
	if err != nil {
		return &pyjson.Object{}
	}
	return row.Object("outputs")
}

// changed reports a change; the queue is locked.
func (q *Distributed) changed() {
	if q.cfg.Changed != nil {
		q.cfg.Changed(q.m.waiting.size + len(q.m.running))
	}
	if q.cfg.Owners != nil {
		counts := map[string]int{}
		for owner, n := range q.m.waiting.clients {
			counts[owner] = n
		}
		for _, a := range q.m.running {
			counts[a.job.Owner]++
		}
		q.cfg.Owners(counts)
	}
}

// wait waits until the log has been read. Before Work it returns at once.
func (q *Distributed) wait(ctx context.Context) error {
	q.mu.Lock()
	begun := q.begun
	q.mu.Unlock()
	if !begun {
		return nil
	}
	select {
	case <-q.ready:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// settled waits as wait does, but for a limited time.
func (q *Distributed) settled() {
	ctx, cancel := context.WithTimeout(context.Background(), q.cfg.Patience)
	defer cancel()
	if err := q.wait(ctx); err != nil {
		q.log.Debug("answering before the queue's log has been read", "error", err)
	}
}

// TooLargeError is returned when a prompt is larger than the limit of the fleet's log.
type TooLargeError struct{ Size, Limit int }

// Error reports both sizes.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the prompt takes %d bytes and NATS accepts %d: raise its max_payload", e.Size, e.Limit)
}

// NextNumber implements Queue.
func (q *Distributed) NextNumber() (int64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), q.cfg.Patience)
	defer cancel()
	n, err := q.bus.Count(ctx)
	if err != nil {
		return 0, fmt.Errorf("counting a prompt: %w", err)
	}
	return n, nil
}

// errNoWebhooks is returned for jobs with webhooks while not all servers send them.
var errNoWebhooks = errors.New("webhooks are not available while servers of an older version share the queue: upgrade all of them")

// Put implements Queue.
func (q *Distributed) Put(j *Job) error {
	q.settled()
	q.awaitLevel(context.Background(), false) // it is bounded
	q.mu.Lock()
	draining := q.draining
	q.mu.Unlock()
	switch {
	case draining:
		return ErrDraining
	case j.Options.Webhook != nil && !q.atLevel(levelProtocol):
		return &OptionError{errNoWebhooks}
	}
	if err := j.prepare(); err != nil {
		return err
	}
	needs := needsOf(j)
	if q.cfg.Families != nil && q.atLevel(levelProtocol) { // servers of before do not look at them
		needs.Families = q.cfg.Families(j.Prompt)
	}
	e := entry{
		Type: entryPut, ID: j.ID, Number: j.Number, Owner: j.Owner, Grant: j.Grant, OwnerLimit: j.OwnerLimit, Client: j.client, Options: j.Options,
		Needs: needs, Receipt: j.Receipt, Body: j.text,
	}
	if _, err := q.do(context.Background(), e, j); err != nil {
		return fmt.Errorf("queueing %s: %w", j.ID, err)
	}
	return nil
}

// OptionError is returned for a job with an option that this queue does not have.
type OptionError struct{ err error }

// Error names the option.
func (e *OptionError) Error() string { return e.err.Error() }

// Next implements Queue: no job can be begun before a worker has it.
func (q *Distributed) Next() *Job { return nil }

// Stats implements Queue.
func (q *Distributed) Stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := Stats{
		Running: len(q.m.running), Pending: q.m.waiting.size, History: q.m.history.len(), Paused: q.m.paused, Draining: q.draining, Durable: true,
		Err: q.bus.Err(),
	}
	for _, a := range q.m.running {
		if !a.asked.IsZero() && (s.Ending.IsZero() || a.asked.Before(s.Ending)) {
			s.Ending = a.asked
		}
	}
	switch {
	case q.trouble != nil:
		s.Err = q.trouble
	case q.oldest < batchProtocol && q.m.level < levelProtocol:
		s.Err = errBesideFirst
	case q.begun && s.Err == nil:
		select {
		case <-q.ready:
		default:
			s.Err = errors.New("the queue's log is being read")
		}
	}
	return s
}

// Pause implements Queue.
func (q *Distributed) Pause() error { return q.change(entry{Type: entryPause, On: true}) }

// Resume implements Queue.
func (q *Distributed) Resume() error { return q.change(entry{Type: entryPause}) }

func (q *Distributed) change(e entry) error {
	_, err := q.do(context.Background(), e, nil)
	return err
}

// SetFlags implements Queue: the request is sent to every worker.
func (q *Distributed) SetFlags(f Flags) {
	if err := q.change(entry{Type: entryFree, Flags: f}); err != nil {
		q.log.Error("asking the workers to free memory", "error", err)
	}
}

// DropGrant implements Queue.
func (q *Distributed) DropGrant(grant string) (int, error) {
	v, err := q.do(context.Background(), entry{Type: entryDelete, Grant: grant}, nil)
	if err != nil {
		return 0, fmt.Errorf("dropping the jobs of a grant that has ended: %w", err)
	}
	return v.n, nil
}

// Drain implements Queue: this server takes no more jobs, and its worker comes to the end of its job.
func (q *Distributed) Drain(ctx context.Context) error {
	q.mu.Lock()
	q.draining = true
	q.mu.Unlock()
	if q.cfg.Worker == nil {
		return nil
	}
	return q.cfg.Worker.Drain(ctx)
}

// Close implements Queue.
func (q *Distributed) Close() error { return q.bus.Close() }

// texts reads rows of history, several at a time: each waits for the log's server.
func (q *Distributed) texts(recs []*record) [][]byte {
	const atATime = 16
	out := make([][]byte, len(recs))
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(atATime, len(recs)) {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(recs); i = int(next.Add(1)) - 1 {
				out[i] = q.read(recs[i])
			}
		})
	}
	all.Wait()
	return out
}

// read returns the text of a row of history.
func (q *Distributed) read(r *record) []byte {
	ctx, cancel := context.WithTimeout(context.Background(), q.cfg.Patience)
	defer cancel()
	listing, err := q.readBody(ctx, r.seq, 0)
	if err == nil {
		var tail []byte
		if tail, err = q.readBody(ctx, r.tail, 1); err == nil {
			return rowText(listing, tail)
		}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		q.log.Error("reading the history", "prompt_id", r.id, "error", err)
	}
	return nil
}

// readBody reads the body of the entry with the key: all of it, or with part 1 only its tail.
func (q *Distributed) readBody(ctx context.Context, key int64, part int) ([]byte, error) {
	seq, position := seqOf(key)
	data, err := q.bus.Read(ctx, seq)
	if err != nil {
		return nil, err
	}
	e, err := decodeEntry(data)
	if err != nil {
		return nil, err
	}
	if e.Type == entryBatch {
		list, err := e.members()
		if err != nil {
			return nil, err
		}
		if position >= len(list) {
			return nil, fmt.Errorf("reading entry %d of the queue's log: it has %d jobs", seq, len(list))
		}
		e = list[position]
	}
	if part == 1 {
		if e.Tail > len(e.Body) {
			return nil, fmt.Errorf("reading entry %d of the queue's log: its tail is cut off", seq)
		}
		return e.Body[len(e.Body)-e.Tail:], nil
	}
	return e.Body, nil
}
