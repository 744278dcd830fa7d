package natslog_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"comfygo/internal/pyjson"
	"comfygo/queue"
	"comfygo/queue/natslog"
)

// rig is a NATS server with the servers and workers of a test.
type rig struct {
	t    *testing.T
	nats *natslog.Server
	cfg  natslog.ServerConfig
	url  string
	mu   sync.Mutex
	// running counts the runs of each job.
	runs map[string]int
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, cfg: natslog.ServerConfig{Host: "127.0.0.1", Port: -1, Store: t.TempDir()}, runs: map[string]int{}}
	r.start()
	t.Cleanup(func() { r.nats.Close() })
	return r
}

func (r *rig) start() {
	r.t.Helper()
	ns, err := natslog.Serve(r.cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	r.nats, r.url = ns, ns.URL()
}

func testLog() *slog.Logger {
	if os.Getenv("FLEET_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, nil))
}

func (r *rig) open(role natslog.Role) *natslog.Log {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	l, err := natslog.Open(ctx, natslog.Config{URLs: []string{r.url}, Credentials: r.nats.Files[role], Role: role, Logger: testLog()})
	if err != nil {
		r.t.Fatal(err)
	}
	return l
}

// front is a server of the fleet, with what its clients would hear.
type front struct {
	*queue.Distributed
	mu    sync.Mutex
	heard map[string][]string
	ends  map[string]int
	last  int64
	stop  func()
	bad   []string
}

func (r *rig) server(change ...func(*queue.DistributedConfig)) *front {
	r.t.Helper()
	f := &front{heard: map[string][]string{}, ends: map[string]int{}}
	cfg := queue.DistributedConfig{
		Log: r.open(natslog.RoleServer), Config: queue.Config{Logger: testLog()}, Lease: 2 * time.Second,
		Fleet: queue.Fleet{
			Replayed: func(_ string, _ int64, data []byte) {
				f.mu.Lock()
				defer f.mu.Unlock()
				id, _, _ := strings.Cut(string(data), " ")
				f.heard[id] = append(f.heard[id], string(data))
			},
			Told: func(j *queue.Job, number int64, data []byte) {
				f.mu.Lock()
				defer f.mu.Unlock()
				if number <= f.last {
					f.bad = append(f.bad, fmt.Sprintf("event %d after %d", number, f.last))
				}
				f.last = number
				f.heard[j.ID] = append(f.heard[j.ID], string(data))
			},
			Ended: func(j *queue.Job, number int64, _ queue.Status, _ func() *pyjson.Object) {
				f.mu.Lock()
				defer f.mu.Unlock()
				f.last = number
				f.ends[j.ID]++
			},
		},
	}
	for _, c := range change {
		c(&cfg)
	}
	q, err := queue.NewDistributed(cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	f.Distributed = q
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- q.Work(ctx) }()
	f.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Error(err)
		}
		if err := q.Close(); err != nil {
			r.t.Error(err)
		}
	})
	r.t.Cleanup(f.stop)
	return f
}

// hand is a worker of the fleet.
type hand struct {
	log  *natslog.Log
	stop func()
}

// worker starts a worker whose jobs send three events and, as their prompt demands, wait or fail.
func (r *rig) worker(ad queue.WorkerAd) *hand {
	r.t.Helper()
	h := &hand{log: r.open(natslog.RoleWorker)}
	if ad.Classes == nil {
		ad.Classes = []string{"PrimitiveInt"}
	}
	w := queue.NewRemoteWorker(queue.RemoteConfig{Log: h.log, Logger: testLog(), Ad: func() queue.WorkerAd { return ad }, Run: r.run})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = w.Work(ctx) }()
	h.stop = sync.OnceFunc(func() {
		cancel()
		<-done
		_ = h.log.Close()
	})
	r.t.Cleanup(h.stop)
	return h
}

func (r *rig) run(ctx context.Context, j *queue.Job, tell func([]byte, bool)) queue.Outcome {
	r.mu.Lock()
	r.runs[j.ID]++
	r.mu.Unlock()
	wait := time.Duration(0)
	if v, ok := j.Extra.Get("wait"); ok {
		wait = time.Duration(v.(int64)) * time.Millisecond
	}
	for i := range 3 {
		tell(fmt.Appendf(nil, "%s %d", j.ID, i), false)
		select {
		case <-ctx.Done():
			return queue.Outcome{Messages: []queue.Message{{Event: "execution_interrupted", Data: pyjson.NewObject("cause", context.Cause(ctx).Error())}}}
		case <-time.After(wait / 3):
		}
	}
	return queue.Outcome{Success: true, Outputs: pyjson.NewObject("2", pyjson.NewObject("ran", j.ID))}
}

func testJob(n queue.Number, pairs ...any) *queue.Job {
	node := pyjson.NewObject("class_type", "PrimitiveInt", "inputs", pyjson.NewObject("value", int64(1)))
	return &queue.Job{
		Number: n, ID: uuid.NewString(), Prompt: pyjson.NewObject("1", node), Extra: pyjson.NewObject(append([]any{"client_id", "test"}, pairs...)...),
		Outputs: []string{"1"},
	}
}

func nextNumber(t testing.TB, q queue.Queue) queue.Number {
	t.Helper()
	n, err := queue.NextOf(q)
	if err != nil {
		t.Error(err)
	}
	return n
}

func (r *rig) put(f *front, pairs ...any) *queue.Job {
	r.t.Helper()
	j := testJob(nextNumber(r.t, f), pairs...)
	if err := f.Put(j); err != nil {
		r.t.Fatal(err)
	}
	return j
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	const patience = 30 * time.Second
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("%s: not within %v", what, patience)
}

// check compares the events that a server has received with those of each job: all of them, once, in order, with the end last.
func (f *front) check(t *testing.T, jobs ...*queue.Job) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, j := range jobs {
		want := []string{j.ID + " 0", j.ID + " 1", j.ID + " 2"}
		if got := f.heard[j.ID]; !slices.Equal(got, want) || f.ends[j.ID] != 1 {
			t.Errorf("job %s: events %v and %d ends, want %v and 1", j.ID, got, f.ends[j.ID], want)
		}
	}
	if len(f.bad) > 0 {
		t.Errorf("numbers of events go back: %v", f.bad)
	}
}

func TestFleetRunsJobsAndEveryServerKnows(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.server(), r.server()
	r.worker(queue.WorkerAd{Name: "w1"})
	r.worker(queue.WorkerAd{Name: "w2"})
	var jobs []*queue.Job
	var mu sync.Mutex
	var all sync.WaitGroup
	numbers := map[float64]bool{}
	for i := range 4 {
		all.Go(func() {
			for range 25 {
				j := r.put([]*front{a, b}[i%2])
				mu.Lock()
				jobs, numbers[j.Number.Value] = append(jobs, j), true
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if len(numbers) != len(jobs) {
		t.Errorf("%d jobs have %d numbers", len(jobs), len(numbers))
	}
	for _, f := range []*front{a, b} {
		eventually(t, "all jobs in history", func() bool { return f.HistoryLen() == len(jobs) && f.Remaining() == 0 })
		f.check(t, jobs...)
	}
	for _, j := range jobs {
		if row := b.Find(j.ID); row == nil || !strings.Contains(string(row.Text()), `{"ran": "`+j.ID+`"}`) {
			t.Fatalf("job %s is in b's history as %s", j.ID, row.Text())
		}
		if r.runs[j.ID] != 1 {
			t.Errorf("job %s ran %d times", j.ID, r.runs[j.ID])
		}
	}
}

func TestFleetControlsJobsFromAnyServer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.server(), r.server()
	r.worker(queue.WorkerAd{Name: "w"})
	long := r.put(a, "wait", int64(60000))
	eventually(t, "the job runs", func() bool { running, _ := b.Snapshot(); return len(running) == 1 && running[0].ID == long.ID })
	first, second, third := r.put(a), r.put(a), r.put(b)
	if err := b.MoveTo(third.ID, 0); err != nil {
		t.Fatal(err)
	}
	if done, err := a.Delete(first.ID); err != nil || !done {
		t.Fatalf("deleting: %v, %v", done, err)
	}
	r.put(a)
	same := testJob(queue.Number{})
	same.ID = second.ID
	if err := b.Put(same); !errors.Is(err, queue.ErrTakenID) {
		t.Errorf("a second job with a waiting one's id: %v", err)
	}
	eventually(t, "the order is known", func() bool {
		_, pending := a.Snapshot()
		return len(pending) == 3 && pending[0].ID == third.ID
	})
	if err := b.Pause(); err != nil {
		t.Fatal(err)
	}
	if state, err := b.Cancel(long.ID); err != nil || state != queue.StateRunning {
		t.Fatalf("cancelling the running job at another server: %v, %v", state, err)
	}
	eventually(t, "the job ends", func() bool { return a.Find(long.ID) != nil })
	if text := string(a.Find(long.ID).Text()); !strings.Contains(text, "execution_interrupted") {
		t.Errorf("the cancelled job's history is %s", text)
	}
	if _, pending := a.Snapshot(); len(pending) != 3 {
		t.Errorf("%d jobs wait in a paused queue, want 3", len(pending))
	}
	if err := a.Clear(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both are empty", func() bool { return a.Remaining()+b.Remaining() == 0 })
}

func TestFleetKeepsOwnersApart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.server()
	if err := a.Pause(); err != nil {
		t.Fatal(err)
	}
	mine := testJob(queue.Number{Value: 1})
	mine.Owner = "ann"
	if err := a.Put(mine); err != nil {
		t.Fatal(err)
	}
	bob := a.Of("bob")
	if done, err := bob.Delete(mine.ID); err != nil || done {
		t.Errorf("bob deletes ann's job: %v, %v", done, err)
	}
	if err := bob.MoveTo(mine.ID, 0); !errors.Is(err, queue.ErrUnknownJob) {
		t.Errorf("bob moves ann's job: %v", err)
	}
	if state, err := bob.Cancel(mine.ID); err != nil || state != queue.StateNone {
		t.Errorf("bob cancels ann's job: %v, %v", state, err)
	}
	if running, pending := bob.Snapshot(); len(running)+len(pending)+bob.Remaining() != 0 {
		t.Errorf("bob sees %v %v", running, pending)
	}
	if events, err := bob.Events(0, 10); err != nil || slices.ContainsFunc(events, func(e queue.Event) bool { return e.Owner != "" && e.Owner != "bob" }) {
		t.Errorf("bob's events: %v, %v", events, err)
	}
	if err := bob.Clear(); err != nil || a.Of("ann").Remaining() != 1 {
		t.Errorf("bob clears his queue: %v, ann has %d", err, a.Of("ann").Remaining())
	}
}

// TestFleetSurvivesADeadWorker cuts a worker off in the middle of a job: another one runs it, and what the first one says later is not heard.
func TestFleetSurvivesADeadWorker(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.server()
	dead := r.worker(queue.WorkerAd{Name: "dead"})
	j := r.put(a, "wait", int64(3000))
	eventually(t, "the job runs", func() bool { running, _ := a.Snapshot(); return len(running) == 1 && r.count(j.ID) == 1 })
	_ = dead.log.Close()
	r.worker(queue.WorkerAd{Name: "alive"})
	eventually(t, "the job ends", func() bool { return a.Find(j.ID) != nil })
	if n := r.count(j.ID); n != 2 {
		t.Errorf("the job ran %d times, want 2", n)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ends[j.ID] != 1 {
		t.Errorf("the job has %d ends", a.ends[j.ID])
	}
}

func (r *rig) count(id string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.runs[id]
}

// TestFleetRestarts ends everything, NATS too, with jobs in all states, and starts it again.
func TestFleetRestarts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.server(func(c *queue.DistributedConfig) { c.SaveEvery = 300 * time.Millisecond })
	w := r.worker(queue.WorkerAd{Name: "w"})
	done := r.put(a)
	eventually(t, "a job has ended", func() bool { return a.Find(done.ID) != nil })
	if err := a.Pause(); err != nil {
		t.Fatal(err)
	}
	waits := r.put(a)
	if err := a.SetClass(waits.ID, queue.High); err != nil {
		t.Fatal(err)
	}
	n := nextNumber(t, a).Value
	log := r.open(natslog.RoleServer)
	defer func() { _ = log.Close() }()
	eventually(t, "the state is kept", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, data, err := log.LoadState(ctx)
		return err == nil && strings.Contains(string(data), waits.ID)
	})
	late := r.put(a)
	w.stop()
	a.stop()
	r.nats.Close()
	r.start()
	b := r.server()
	eventually(t, "the state is there again", func() bool { return b.Remaining() == 2 && b.HistoryLen() == 1 })
	if _, pending := b.Snapshot(); pending[0].ID != waits.ID || pending[1].ID != late.ID || string(pending[0].Text()) != string(waits.Text()) {
		t.Errorf("the waiting jobs are %v", pending)
	}
	if got := nextNumber(t, b).Value; got <= n {
		t.Errorf("the next number is %v after %v", got, n)
	}
	if !b.Stats().Paused {
		t.Error("the queue is not paused any more")
	}
	r.worker(queue.WorkerAd{Name: "again"})
	if err := b.Resume(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all jobs have ended", func() bool { return b.HistoryLen() == 3 })
	b.check(t, waits, late)
	b.mu.Lock()
	if got := b.heard[done.ID]; len(got) != 3 {
		t.Errorf("a client that comes back hears %v of the job that ended before", got)
	}
	b.mu.Unlock()
	if text := string(b.Find(done.ID).Text()); !strings.Contains(text, `{"ran": "`+done.ID+`"}`) {
		t.Errorf("the old job's history is %s", text)
	}
}

// TestFleetForgetsWhatStatesHave holds that a server that starts comes to the state of the others though history was cleared meanwhile:
// what no state has yet stays in the log.
func TestFleetForgetsWhatStatesHave(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.server()
	r.worker(queue.WorkerAd{Name: "w"})
	done := r.put(a)
	eventually(t, "a job has ended", func() bool { return a.Find(done.ID) != nil })
	if err := a.ClearHistory(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond) // for what would be dropped
	b := r.server()
	eventually(t, "the other server has read the log", func() bool { return len(b.Workers()) == 1 })
	types := func(f *front) (list []string) {
		events, err := f.Events(0, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			list = append(list, fmt.Sprint(e.Number, " ", e.Type))
		}
		return list
	}
	want := types(a)
	if got := types(b); !slices.Equal(got, want) || len(want) < 4 {
		t.Errorf("a server that starts has the events %v, the other %v", got, want)
	}
	if x, y := a.Workers(), b.Workers(); len(x) != 1 || len(y) != 1 || x[0].Done != 1 || y[0].Done != 1 {
		t.Errorf("the workers are %+v and %+v", x, y)
	}
}

// TestFleetDropsWhatStatesHave holds that what was cleared leaves the log when two states were kept since.
func TestFleetDropsWhatStatesHave(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.server(func(c *queue.DistributedConfig) { c.SaveEvery, c.Overlap = 100*time.Millisecond, 100*time.Millisecond })
	r.worker(queue.WorkerAd{Name: "w"})
	done := r.put(a)
	eventually(t, "a job has ended", func() bool { return a.Find(done.ID) != nil })
	if err := a.ClearHistory(); err != nil {
		t.Fatal(err)
	}
	log := r.open(natslog.RoleServer)
	defer func() { _ = log.Close() }()
	eventually(t, "the job is dropped", func() bool {
		if err := errors.Join(a.Pause(), a.Resume()); err != nil { // changes, without which no state is kept
			t.Fatal(err)
		}
		for seq := range int64(8) {
			data, err := log.Read(t.Context(), seq+1)
			if err == nil && strings.Contains(string(data), done.ID) && !strings.Contains(string(data), `"type":"events"`) {
				return false
			}
		}
		return true
	})
}

// TestStatesLeaveNothing holds that states of before are gone from NATS, their names too.
func TestStatesLeaveNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	log := r.open(natslog.RoleServer)
	defer func() { _ = log.Close() }()
	for seq := range int64(5) {
		if err := log.SaveState(t.Context(), seq+1, []byte("state")); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := natslog.Connect(t.Context(), natslog.Config{URLs: []string{r.url}, Credentials: r.nats.Files[natslog.RoleServer], Role: natslog.RoleServer})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "OBJ_comfygo-state")
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Msgs; n != 4 {
		t.Errorf("%d messages remain of five states, want those of two: 4", n)
	}
}

// TestWorkersMayNotCommand holds that a worker's entries about others' jobs, and broken ones, have no effect.
func TestWorkersMayNotCommand(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.server()
	j := r.put(a)
	worker := r.open(natslog.RoleWorker)
	defer func() { _ = worker.Close() }()
	for i, head := range []string{
		`{"v":1,"type":"delete","all":true}`, `{"v":1,"type":"delete","all":true,"worker":"w"}`, `{"v":1,"type":"pause","on":true,"worker":"w"}`,
		`{"v":1,"type":"join","worker":"w"}`, `{"v":1,"type":"policy","worker":"w"}`, `{"v":1,"type":"end","seq":1,"tail":-1,"worker":"w"}`,
	} {
		data := append(binary.BigEndian.AppendUint32(nil, uint32(len(head))), head...)
		if err := worker.Append(t.Context(), queue.KeepCommand, fmt.Sprint("bad-", i), data); err != nil {
			t.Fatal(err)
		}
	}
	late := r.put(a) // after all of them
	if _, pending := a.Snapshot(); len(pending) != 2 || pending[0].ID != j.ID || pending[1].ID != late.ID || a.Stats().Paused || len(a.Workers()) != 0 {
		t.Errorf("the waiting jobs are %v, paused %v, workers %v", pending, a.Stats().Paused, a.Workers())
	}
}

func TestFleetSaysWhatNoWorkerHas(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.server(func(c *queue.DistributedConfig) { c.RoutePatience = time.Second })
	r.worker(queue.WorkerAd{Name: "w", Classes: []string{"PrimitiveInt", "Special"}})
	r.worker(queue.WorkerAd{Name: "v", Classes: []string{"PrimitiveInt"}})
	missing := testJob(queue.Number{})
	missing.Prompt.Set("2", pyjson.NewObject("class_type", "Nowhere", "inputs", pyjson.NewObject()))
	special := testJob(queue.Number{})
	special.Prompt.Set("2", pyjson.NewObject("class_type", "Special", "inputs", pyjson.NewObject()))
	for _, j := range []*queue.Job{missing, special} {
		if err := a.Put(j); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "both end", func() bool { return a.HistoryLen() == 2 })
	if text := string(a.Find(missing.ID).Text()); !strings.Contains(text, "no worker has the node class Nowhere") {
		t.Errorf("the job that cannot run: %s", text)
	}
	if text := string(a.Find(special.ID).Text()); !strings.Contains(text, `"status_str": "success"`) {
		t.Errorf("the job that one worker can run: %s", text)
	}
}

// TestWorkerOfAServer holds that a worker process that a server has started works with the server's credentials.
func TestWorkerOfAServer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	server := r.open(natslog.RoleServer) // it makes the streams
	defer func() { _ = server.Close() }()
	l, err := natslog.Open(ctx, natslog.Config{URLs: []string{r.url}, Credentials: r.nats.Files[natslog.RoleServer], Role: natslog.RoleWorker})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if err := l.Append(ctx, queue.KeepEvents, "one", []byte("one")); err != nil {
		t.Error(err)
	}
}

// TestWorkerHasNewClasses holds that classes which a worker gets after it has joined count.
func TestWorkerHasNewClasses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.server()
	log := r.open(natslog.RoleWorker)
	defer func() { _ = log.Close() }()
	var late atomic.Bool
	w := queue.NewRemoteWorker(queue.RemoteConfig{Log: log, Run: r.run, Ad: func() queue.WorkerAd {
		if late.Load() {
			return queue.WorkerAd{Name: "w", Classes: []string{"Late", "PrimitiveInt"}}
		}
		return queue.WorkerAd{Name: "w", Classes: []string{"PrimitiveInt"}}
	}})
	ctx, cancel := context.WithCancel(t.Context())
	var working sync.WaitGroup
	working.Go(func() { _ = w.Work(ctx) })
	defer func() { cancel(); working.Wait() }()
	busy := r.put(a, "wait", int64(600))
	eventually(t, "a job runs", func() bool { running, _ := a.Snapshot(); return len(running) == 1 })
	j := testJob(queue.Number{})
	j.Prompt.Set("2", pyjson.NewObject("class_type", "Late", "inputs", pyjson.NewObject()))
	if err := a.Put(j); err != nil {
		t.Fatal(err)
	}
	late.Store(true)
	w.Announce()
	eventually(t, "both jobs end", func() bool { return a.HistoryLen() == 2 })
	a.check(t, busy, j)
	if n := r.count(busy.ID) + r.count(j.ID); n != 2 {
		t.Errorf("the two jobs ran %d times", n)
	}
}

// TestFleetWaitsForItsOnlyWorker holds that a job that has long been waiting is not given up as soon as the worker that can run it starts again.
func TestFleetWaitsForItsOnlyWorker(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.server(func(c *queue.DistributedConfig) { c.RoutePatience = 2 * time.Second })
	special := queue.WorkerAd{Name: "special", Classes: []string{"PrimitiveInt", "Special"}}
	w := r.worker(special)
	r.worker(queue.WorkerAd{Name: "plain"})
	eventually(t, "both have joined", func() bool { return len(a.Workers()) == 2 })
	if err := a.Pause(); err != nil {
		t.Fatal(err)
	}
	j := testJob(queue.Number{})
	j.Prompt.Set("2", pyjson.NewObject("class_type", "Special", "inputs", pyjson.NewObject()))
	if err := a.Put(j); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2200 * time.Millisecond) // longer than its patience
	w.stop()
	time.Sleep(600 * time.Millisecond) // the servers look after jobs each 250 ms
	r.worker(special)
	if err := a.Resume(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the job ends", func() bool { return a.Find(j.ID) != nil })
	if text := string(a.Find(j.ID).Text()); !strings.Contains(text, `"status_str": "success"`) {
		t.Errorf("it ended so: %s", text)
	}
}

// TestRolesCannotReadEachOther holds that a worker's credentials do not open the log.
func TestRolesCannotReadEachOther(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	info, err := os.Stat(r.nats.Files[natslog.RoleServer])
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the credentials' mode is %v, %v", info.Mode(), err)
	}
	worker := r.open(natslog.RoleWorker)
	defer func() { _ = worker.Close() }()
	var heard atomic.Int64
	for _, to := range []string{"log.>", "from.>", "srv.>"} {
		stop, err := worker.Receive(to, func([]byte) { heard.Add(1) })
		if err == nil {
			defer stop()
		}
	}
	a := r.server()
	r.put(a)
	time.Sleep(200 * time.Millisecond)
	if n := heard.Load(); n != 0 {
		t.Errorf("a worker hears %d messages of servers", n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := natslog.Open(ctx, natslog.Config{URLs: []string{r.url}, Role: natslog.RoleServer}); err == nil {
		t.Error("NATS lets in who has no credentials")
	}
}
