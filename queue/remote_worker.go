package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"comfygo/internal/pyjson"
)

// errLost is the cause with which a job ends whose worker the fleet has given up.
var errLost = errors.New("the fleet has given this worker up")

// RemoteConfig is what a worker is made of; Log and Run are required.
type RemoteConfig struct {
	Log Log
	// Run runs one job as Config.Run does. tell passes on what the job tells, in order; what is droppable may be left out when the log
	// cannot keep up.
	Run func(ctx context.Context, j *Job, tell func(data []byte, droppable bool)) Outcome
	// Ad says what the worker has. VRAMFree is its free VRAM in bytes.
	Ad func() WorkerAd
	// Ready, if set, waits before the worker joins until Ad knows everything, as the classes of node packs, within a bound in time.
	Ready    func(ctx context.Context)
	VRAMFree func() int64
	// Free is called between two jobs when clients asked for it.
	Free   func(f Flags)
	Logger *slog.Logger
}

// RemoteWorker runs the jobs that a Distributed queue gives it, one at a time.
type RemoteWorker struct {
	cfg RemoteConfig
	log *slog.Logger

	mu       sync.Mutex
	id       string // as the fleet knows it; another one each time that it joins
	greeted  chan entry
	channel  *channel // to the servers; nil while it has not joined, and without a key
	joined   time.Time
	current  *remoteRun
	ended    [256]runKey // the last runs: a message of another server may come after many of them
	runCount int
	next     *entry   // the job that follows the running one at once; nil: none has come yet
	models   []string // of the last jobs, which are likely still loaded
	flags    Flags
	draining bool
	idle     chan struct{} // closed when draining and no job runs
	gone     chan string   // the id under which the fleet has given the worker up
	news     chan struct{} // what the worker has is no longer what it told when it joined
	runs     sync.WaitGroup
	spare    chan func() // taken by the goroutine of the last run
}

// remoteRun is a job that the worker runs.
type remoteRun struct {
	job    *Job
	cancel context.CancelCauseFunc
	worker string
	// parent is the worker's context, ctx the job's.
	parent, ctx context.Context //nolint:containedctx // a run is one call
}

// runKey names a run of a job.
type runKey struct {
	seq     int64
	attempt int
	worker  string
}

// NewRemoteWorker makes a worker.
func NewRemoteWorker(cfg RemoteConfig) *RemoteWorker {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Ad == nil {
		cfg.Ad = func() WorkerAd { return WorkerAd{} }
	}
	if cfg.VRAMFree == nil {
		cfg.VRAMFree = func() int64 { return 0 }
	}
	return &RemoteWorker{cfg: cfg, log: cfg.Logger, greeted: make(chan entry, 1), idle: make(chan struct{}), gone: make(chan string, 1), news: make(chan struct{}, 1), spare: make(chan func())}
}

// Work joins the fleet and runs jobs until ctx ends; then the running job returns to the queue.
func (w *RemoteWorker) Work(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := w.member(ctx); err != nil && ctx.Err() == nil {
			w.log.Error("working for the fleet", "error", err)
			if !pause(ctx, longestPause) {
				break
			}
		}
	}
	w.runs.Wait()
	return nil
}

// member is a worker's time in the fleet: from joining until ctx ends or the fleet gives it up.
func (w *RemoteWorker) member(ctx context.Context) error {
	if w.cfg.Ready != nil {
		w.cfg.Ready(ctx)
	}
	id, stop, err := w.greet(ctx)
	if err != nil || ctx.Err() != nil {
		return err
	}
	defer stop()
	ad := w.cfg.Ad()
	join := entry{Type: entryJoin, Worker: id, Member: &ad, Resident: w.resident(nil), Speaks: Protocol}
	if err := w.append(ctx, KeepCommand, "join-"+id, join); err != nil {
		return fmt.Errorf("joining the fleet: %w", err)
	}
	w.mu.Lock()
	w.joined = time.Now()
	draining := w.draining
	w.mu.Unlock()
	if draining {
		if err := w.append(ctx, KeepCommand, "drain-"+id, entry{Type: entryDrain, Worker: id, On: true}); err != nil {
			return fmt.Errorf("draining: %w", err)
		}
	}
	w.log.Info("joined the fleet", "worker", id, "name", ad.Name)
	told := 0
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		w.beat(id)
		select {
		case <-ctx.Done():
			return w.leave(ctx, id)
		case gone := <-w.gone:
			if gone != id {
				continue
			}
			w.log.Warn("the fleet has given this worker up; it joins again", "worker", id)
			w.interrupt(errLost)
			w.runs.Wait()
			if !keyed(id) {
				return w.leave(ctx, id) // it may be known, and joins with a key
			}
			return nil
		case <-w.news:
			told++
			ad := w.cfg.Ad()
			again, cancel := context.WithTimeout(ctx, appendPatience)
			err := w.append(again, KeepCommand, fmt.Sprint("join-", id, "-", told), entry{Type: entryJoin, Worker: id, Member: &ad})
			cancel()
			if err != nil && ctx.Err() == nil {
				w.log.Error("telling the fleet what the worker has", "error", err)
				w.Announce()
			}
		case <-tick.C:
		}
	}
}

// Announce tells the fleet anew what the worker has, after node classes have come, gone or changed.
func (w *RemoteWorker) Announce() {
	select {
	case w.news <- struct{}{}:
	default:
	}
}

// leave ends the running job, which returns to the queue, and tells the fleet.
func (w *RemoteWorker) leave(ctx context.Context, id string) error {
	w.interrupt(ErrShutdown)
	w.runs.Wait()
	const goodbye = 3 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	if err := w.append(ctx, KeepCommand, "leave-"+id, entry{Type: entryLeave, Worker: id}); err != nil {
		w.log.Warn("leaving the fleet", "error", err) // it will count as lost
	}
	return nil
}

func (w *RemoteWorker) interrupt(why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.current != nil {
		w.current.cancel(why)
	}
}

func (w *RemoteWorker) append(ctx context.Context, k Keep, id string, e entry) error {
	data, err := w.channelOf(e.Worker).sign(e)
	if err != nil {
		return err
	}
	return w.cfg.Log.Append(ctx, k, id, data)
}

// beat says that the worker is there, and what it runs.
func (w *RemoteWorker) beat(id string) {
	const settling = 2 * time.Second // so long servers may not yet have heard that it has joined
	w.mu.Lock()
	e := entry{Type: messageBeat, Worker: id, Free: w.cfg.VRAMFree(), Joined: time.Since(w.joined) > settling, Speaks: Protocol}
	if w.current != nil {
		e.Seq, e.Attempt = w.current.job.seq, w.current.job.attempts
	}
	w.mu.Unlock()
	w.send(id, e)
}

func (w *RemoteWorker) send(id string, e entry) {
	data, err := w.channelOf(id).sign(e)
	if err == nil {
		err = w.cfg.Log.Send(fromWorker+id, data)
	}
	if err != nil {
		w.log.Debug("telling the fleet that the worker is there", "error", err)
	}
}

// heard takes a message of a server.
func (w *RemoteWorker) heard(ctx context.Context, id string, data []byte) {
	e, err := w.hear(id, data)
	if err != nil {
		w.log.Error("hearing of a server", "error", err)
		return
	}
	w.mu.Lock()
	greeting := w.id == id && w.joined.IsZero() && w.channel == nil && keyed(id)
	w.mu.Unlock()
	if greeting {
		if e.Type == messageWelcome || e.Type == messageGone {
			select {
			case w.greeted <- *e:
			default:
			}
		}
		return
	}
	switch e.Type {
	case messageRun:
		w.start(ctx, id, e)
	case messageStop:
		w.mu.Lock()
		if r := w.current; r != nil && r.job.seq == e.Seq && r.job.attempts == e.Attempt {
			r.cancel(ErrInterrupted)
		}
		w.mu.Unlock()
	case messageFree:
		w.mu.Lock()
		w.flags = Flags{
			UnloadModels: w.flags.UnloadModels || e.Flags.UnloadModels, FreeMemory: w.flags.FreeMemory || e.Flags.FreeMemory,
			ReloadPacks: w.flags.ReloadPacks || e.Flags.ReloadPacks,
		}
		busy := w.current != nil
		w.mu.Unlock()
		if !busy {
			w.runs.Go(w.free)
		}
	case messageGone, messageWelcome:
		if e.Request > 0 {
			return // an answer to a greeting that came late
		}
		w.mu.Lock()
		busy := w.current != nil
		w.mu.Unlock()
		if busy && e.Type == messageWelcome && !keyed(id) {
			return // it joins again, with a key, when it has no job
		}
		select {
		case w.gone <- id:
		default:
		}
	}
}

// start runs a job. One that comes before the worker knows that the fleet has heard of the end of the last one waits for that; a message that
// comes twice has no effect.
func (w *RemoteWorker) start(ctx context.Context, id string, e *entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.startLocked(ctx, id, e)
}

func (w *RemoteWorker) startLocked(ctx context.Context, id string, e *entry) {
	key := runKey{e.Seq, e.Attempt, id}
	switch r := w.current; {
	case w.id != id || ctx.Err() != nil || slices.Contains(w.ended[:], key):
		return
	case r != nil && key == (runKey{r.job.seq, r.job.attempts, r.worker}):
		return
	case r != nil:
		w.next = e
		return
	}
	cut := len(e.Body) - e.Tail
	j := &Job{
		Number: e.Number, ID: e.ID, Owner: e.Owner, Options: e.Options, Trace: e.Trace, Secrets: pyjson.NewObject(),
		OwnFolders: e.On, seq: e.Seq, attempts: e.Attempt, client: e.Client,
	}
	runCtx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	r := &remoteRun{job: j, cancel: cancel, worker: id, parent: ctx, ctx: runCtx}
	w.current = r
	body := append([]byte(nil), e.Body...)
	w.goRun(func() {
		defer cancel(nil)
		out := func() Outcome {
			if err := j.readListing(body[:max(cut, 0)]); err != nil {
				j.Prompt, j.Extra = &pyjson.Object{}, &pyjson.Object{}
				return failed(j, "ValueError", err.Error()+"\n", time.Now())
			}
			j.text = body[:cut]
			if e.Tail > 0 {
				if secrets, err := pyjson.UnmarshalObject(body[cut:]); err == nil {
					j.Secrets = secrets
				}
			}
			return Outcome{}
		}()
		w.run(ctx, runCtx, r, out)
	})
}

// spareFor is how long the goroutine of a run waits for the next one.
const spareFor = 100 * time.Millisecond

// goRun calls f on the goroutine of the last run if that is free, else on a new one. Short jobs in quick succession so share one: the stack of a new
// goroutine grows several times while it runs a job.
func (w *RemoteWorker) goRun(f func()) {
	w.runs.Add(1)
	task := func() {
		defer w.runs.Done()
		f()
	}
	select {
	case w.spare <- task:
	default:
		go w.runAll(task)
	}
}

// runAll runs a task and those that follow it soon.
func (w *RemoteWorker) runAll(task func()) {
	t := time.NewTimer(spareFor)
	defer t.Stop()
	for {
		task()
		t.Reset(spareFor)
		select {
		case task = <-w.spare:
		case <-t.C:
			return
		}
	}
}

// run runs a job to its end and tells the fleet. broken is the outcome of a job that could not be read.
func (w *RemoteWorker) run(ctx, runCtx context.Context, r *remoteRun, broken Outcome) {
	j := r.job
	t := newTeller(w, r)
	out := broken
	if len(broken.Messages) == 0 {
		if limit := j.Options.TimeLimit; limit > 0 {
			timer := time.AfterFunc(limit, func() { r.cancel(ErrTimeLimit) })
			defer timer.Stop()
		}
		out = guard(j, w.log, func() Outcome { return w.cfg.Run(runCtx, j, t.tell) })
	}
	rest, whole := t.end()
	if !whole {
		w.done(r)
		return // the fleet gives the job to another worker
	}
	status := out.status()
	cause := context.Cause(runCtx)
	switch {
	case out.Success:
	case errors.Is(cause, ErrShutdown), errors.Is(cause, errLost):
		w.done(r)
		return // the fleet gives the job to another worker
	case errors.Is(cause, ErrTimeLimit):
		out, status = out.overtime(j, j.Options.TimeLimit, time.Now()), TimedOut
	}
	tail, err := out.tail(j)
	if most := w.cfg.Log.MaxSize() - headRoom; err == nil && len(tail) > most {
		err = &TooLargeError{Size: len(tail), Limit: most}
	}
	if err != nil {
		w.log.Error("finishing a job", "prompt_id", j.ID, "error", err)
		status = Failed
		out = failed(j, "ValueError", err.Error()+"\n", time.Now())
		tail, _ = out.tail(j) // strings are always written
	}
	if len(rest)+len(tail) > w.cfg.Log.MaxSize()-headRoom {
		t.flush(rest)
		rest = nil
	}
	w.finish(ctx, r, entry{
		Type: entryEnd, Worker: r.worker, Seq: j.seq, Attempt: j.attempts, ID: j.ID, Owner: j.Owner, Status: status,
		Resident: w.resident(j), Tail: len(tail), Body: append(rest, tail...),
	})
}

// recentModels is how many models a worker remembers to have used.
const recentModels = 12

// resident returns the models of the last jobs, that of j among them.
func (w *RemoteWorker) resident(j *Job) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if j != nil {
		used := needsOf(j).Models
		w.models = slices.DeleteFunc(w.models, func(m string) bool { return slices.Contains(used, m) })
		w.models = append(used, w.models...)
		w.models = w.models[:min(len(w.models), recentModels)]
	}
	return slices.Clone(w.models)
}

// headRoom is what the head of an entry may take.
const headRoom = 64 << 10

// finish tells the fleet that a job has ended, until it knows: what has run must not run twice.
func (w *RemoteWorker) finish(ctx context.Context, r *remoteRun, e entry) {
	id := fmt.Sprintf("end-%d-%d-%s", e.Seq, e.Attempt, e.Worker)
	for ctx.Err() == nil {
		tryCtx, cancel := context.WithTimeout(ctx, appendPatience)
		err := w.append(tryCtx, KeepJob, id, e)
		cancel()
		if err == nil {
			break
		}
		w.log.Error("telling the fleet of a job's end", "prompt_id", e.ID, "error", err)
		if !pause(ctx, firstPause) {
			break
		}
	}
	if ctx.Err() != nil { // once more, before the worker leaves
		const goodbye = 3 * time.Second
		lastCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
		defer cancel()
		if err := w.append(lastCtx, KeepJob, id, e); err != nil {
			w.log.Error("telling the fleet of a job's end", "prompt_id", e.ID, "error", err)
		}
	}
	w.done(r)
}

const appendPatience = 20 * time.Second

// done makes room for the next job.
func (w *RemoteWorker) done(r *remoteRun) {
	w.free()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.current == r {
		w.current = nil
		w.ended[w.runCount%len(w.ended)] = runKey{r.job.seq, r.job.attempts, r.worker}
		w.runCount++
	}
	if next := w.next; next != nil {
		w.next = nil
		w.startLocked(r.parent, r.worker, next)
	}
	w.drained()
}

// drained ends a drain when no job runs; the worker is locked.
func (w *RemoteWorker) drained() {
	if !w.draining || w.current != nil {
		return
	}
	select {
	case <-w.idle:
	default:
		close(w.idle)
	}
}

// free does what clients have asked for.
func (w *RemoteWorker) free() {
	w.mu.Lock()
	f := w.flags
	w.flags = Flags{}
	if f.UnloadModels || f.FreeMemory {
		w.models = nil
	}
	w.mu.Unlock()
	if f == (Flags{}) || w.cfg.Free == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			w.log.Error("freeing memory panicked", "panic", v)
		}
	}()
	w.cfg.Free(f)
}

// Drain takes no more jobs and waits until the running one has ended. It returns the cause of ctx when that ends first.
func (w *RemoteWorker) Drain(ctx context.Context) error {
	w.mu.Lock()
	w.draining = true
	id, joined := w.id, !w.joined.IsZero()
	w.mu.Unlock()
	if joined {
		if err := w.append(ctx, KeepCommand, "drain-"+id, entry{Type: entryDrain, Worker: id, On: true}); err != nil {
			w.log.Error("draining", "error", err)
		}
	}
	w.mu.Lock()
	w.drained()
	w.mu.Unlock()
	select {
	case <-w.idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
