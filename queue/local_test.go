package queue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"comfygo/internal/pyjson"
	"comfygo/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a queue whose jobs wait until the test releases them.
type rig struct {
	*queue.Local
	t       *testing.T
	started chan string
	release chan queue.Outcome

	mu      sync.Mutex
	changes []int
	causes  []error
	frees   []queue.Flags
	done    []string
}

func newRig(t *testing.T, change func(*queue.Config)) *rig {
	t.Helper()
	r := &rig{t: t, started: make(chan string, 100), release: make(chan queue.Outcome)}
	cfg := queue.Config{
		Run:      r.run,
		Changed:  func(n int) { r.note(func() { r.changes = append(r.changes, n) }) },
		Finished: func(j *queue.Job, _ queue.Status) { r.note(func() { r.done = append(r.done, j.ID) }) },
		Free:     func(f queue.Flags) { r.note(func() { r.frees = append(r.frees, f) }) },
		Now:      func() time.Time { return time.UnixMilli(1) },
	}
	if change != nil {
		change(&cfg)
	}
	q, err := queue.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.Local = q
	return r
}

// next is the next number; a local queue always has one.
func (r *rig) next() int64 {
	n, err := r.NextNumber()
	if err != nil {
		r.t.Error(err)
	}
	return n
}

func (r *rig) note(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

func (r *rig) run(ctx context.Context, j *queue.Job) queue.Outcome {
	r.started <- j.ID
	if strings.HasPrefix(j.ID, "panic") {
		panic("the node fell over")
	}
	select {
	case out := <-r.release:
		return out
	case <-ctx.Done():
		r.note(func() { r.causes = append(r.causes, context.Cause(ctx)) })
		return queue.Outcome{Messages: []queue.Message{{Event: "execution_interrupted", Data: pyjson.NewObject()}}}
	}
}

// work starts the worker; the returned function stops it and waits.
func (r *rig) work() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Work(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Error(err)
		}
	}
}

func (r *rig) put(number float64, ids ...string) {
	r.t.Helper()
	for _, id := range ids {
		j := &queue.Job{
			Number: queue.Number{Value: number}, ID: id, Prompt: pyjson.NewObject("1", int64(2)),
			Extra: pyjson.NewObject("create_time", int64(5)), Secrets: pyjson.NewObject("key", "secret"), Outputs: []string{"1"},
		}
		if err := r.Put(j); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *rig) pending() []string {
	_, p := r.Snapshot()
	ids := []string{}
	for _, j := range p {
		ids = append(ids, j.ID)
	}
	return ids
}

func (r *rig) seen() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.changes)
}

func TestOrder(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.put(5, "e")
	r.put(2, "c", "b")
	r.put(-3, "a")
	r.put(2.5, "d")
	if got, want := r.pending(), []string{"a", "b", "c", "d", "e"}; !slices.Equal(got, want) {
		t.Fatalf("waiting %v, want %v", got, want)
	}
	stop := r.work()
	defer stop()
	for _, want := range []string{"a", "b", "c", "d", "e"} {
		if got := <-r.started; got != want {
			t.Errorf("ran %s, want %s", got, want)
		}
		r.release <- queue.Outcome{Success: true}
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for want := range int64(3) {
		if got := r.next(); got != want {
			t.Errorf("number %d, want %d", got, want)
		}
	}
	if n := (queue.Number{Value: 3, Float: true}).JSON(); n != any(3.0) {
		t.Errorf("a given number became %T", n)
	}
	if n := (queue.Number{Value: 3}).JSON(); n != any(int64(3)) {
		t.Errorf("a counted number became %T", n)
	}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.put(1, "a")      // 1
	r.put(2, "b", "c") // 2 3
	if ok, err := r.Delete("b"); !ok || err != nil {
		t.Error("b was waiting")
	} // 2
	if ok, _ := r.Delete("b"); ok {
		t.Error("b was gone")
	}
	if ok, _ := r.Delete("a"); !ok { // 1
		t.Error("a was waiting")
	}
	if ok, _ := r.Delete("c"); !ok { // 0 0: the last one tells twice
		t.Error("c was waiting")
	}
	r.put(1, "d") // 1
	if err := r.Clear(); err != nil {
		t.Error(err)
	} // 0
	if got, want := r.seen(), []int{1, 2, 3, 2, 1, 0, 0, 1, 0}; !slices.Equal(got, want) {
		t.Errorf("changes %v, want %v", got, want)
	}
}

func TestRunAndHistory(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	stop := r.work()
	r.put(7, "a")
	<-r.started
	if n := r.Remaining(); n != 1 {
		t.Errorf("remaining %d while running, want 1", n)
	}
	if ok, _ := r.Delete("a"); ok {
		t.Error("a running job was deleted")
	}
	r.release <- queue.Outcome{
		Success: true, Outputs: pyjson.NewObject("1", pyjson.NewObject("x", []any{int64(1)})),
		Messages: []queue.Message{{Event: "execution_start", Data: pyjson.NewObject("prompt_id", "a")}},
	}
	stop()
	row := r.Find("a")
	if row == nil {
		t.Fatal("no history")
	}
	want := `{"prompt": [7, "a", {"1": 2}, {"create_time": 5}, ["1"]], "outputs": {"1": {"x": [1]}}, ` +
		`"status": {"status_str": "success", "completed": true, "messages": [["execution_start", {"prompt_id": "a"}]]}, "meta": {}}`
	if string(row.Text()) != want {
		t.Errorf("history\n%s\nwant\n%s", row.Text(), want)
	}
	if got, want := r.seen(), []int{1, 1, 0}; !slices.Equal(got, want) {
		t.Errorf("changes %v, want %v", got, want)
	}
	if !slices.Equal(r.done, []string{"a"}) {
		t.Errorf("finished %v", r.done)
	}
	if strings.Contains(string(row.Text()), "secret") {
		t.Error("a secret got into history")
	}
}

func TestInterrupt(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	if r.Interrupt() {
		t.Error("nothing ran")
	}
	stop := r.work()
	r.put(1, "a", "b")
	<-r.started
	if r.InterruptIfRunning("b") {
		t.Error("b does not run")
	}
	if !r.InterruptIfRunning("a") {
		t.Error("a runs")
	}
	<-r.started // b: the interrupt of a did not reach it
	r.release <- queue.Outcome{Success: true}
	stop()
	if len(r.causes) != 1 || !errors.Is(r.causes[0], queue.ErrInterrupted) {
		t.Errorf("causes %v", r.causes)
	}
	if text := string(r.Find("a").Text()); !strings.Contains(text, `"status_str": "error"`) {
		t.Errorf("a: %s", text)
	}
	if text := string(r.Find("b").Text()); !strings.Contains(text, `"status_str": "success"`) {
		t.Errorf("b: %s", text)
	}
}

func TestShutdownLeavesTheRunningJob(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	stop := r.work()
	r.put(1, "a")
	<-r.started
	stop()
	if len(r.causes) != 1 || !errors.Is(r.causes[0], queue.ErrShutdown) {
		t.Errorf("causes %v", r.causes)
	}
	if r.Find("a") != nil {
		t.Error("a job that a shutdown cut short is no history")
	}
}

func TestPanicDoesNotEndTheWorker(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	stop := r.work()
	r.put(1, "panic")
	<-r.started
	r.put(2, "b")
	<-r.started
	r.release <- queue.Outcome{Success: true}
	stop()
	if text := string(r.Find("panic").Text()); !strings.Contains(text, "the node fell over") || !strings.Contains(text, "execution_error") {
		t.Errorf("history %s", text)
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	freed := make(chan queue.Flags, 4)
	r := newRig(t, func(c *queue.Config) { c.Free = func(f queue.Flags) { freed <- f } })
	stop := r.work()
	r.SetFlags(queue.Flags{FreeMemory: true})
	if f := <-freed; !f.FreeMemory || f.UnloadModels {
		t.Errorf("freed %+v", f)
	}
	r.put(1, "a")
	<-r.started
	r.SetFlags(queue.Flags{UnloadModels: true})
	r.SetFlags(queue.Flags{FreeMemory: true})
	select {
	case <-freed:
		t.Error("freed while a job ran")
	case <-time.After(20 * time.Millisecond):
	}
	r.release <- queue.Outcome{Success: true}
	if f := <-freed; !f.FreeMemory || !f.UnloadModels {
		t.Errorf("freed %+v", f)
	}
	stop()
}

func TestHistoryLimitAndSlices(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *queue.Config) {
		c.HistoryLimit = 100
		c.Run = func(context.Context, *queue.Job) queue.Outcome { return queue.Outcome{Success: true} }
	})
	stop := r.work()
	for i := range 250 {
		r.put(float64(i), fmt.Sprintf("j%03d", i))
	}
	for r.Remaining() > 0 {
		time.Sleep(time.Millisecond)
	}
	stop()
	ids := func(rows []*queue.Row) (out []string) {
		for _, row := range rows {
			out = append(out, row.ID)
		}
		return out
	}
	all := ids(r.History(0, -1))
	if len(all) != 100 || all[0] != "j150" || all[99] != "j249" || r.HistoryLen() != 100 {
		t.Fatalf("%d rows from %s to %s", len(all), all[0], all[len(all)-1])
	}
	if got := ids(r.History(98, -1)); !slices.Equal(got, []string{"j248", "j249"}) {
		t.Errorf("from 98 on: %v", got)
	}
	if got := ids(r.History(1, 2)); !slices.Equal(got, []string{"j151", "j152"}) {
		t.Errorf("two from 1 on: %v", got)
	}
	if got := r.History(0, 0); len(got) != 0 {
		t.Errorf("none: %v", got)
	}
	for i := 160; i < 240; i++ {
		if err := r.DeleteHistory(fmt.Sprintf("j%03d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if got := ids(r.History(8, 4)); !slices.Equal(got, []string{"j158", "j159", "j240", "j241"}) {
		t.Errorf("after deleting: %v", got)
	}
	if err := r.ClearHistory(); err != nil || r.HistoryLen() != 0 || r.Find("j249") != nil {
		t.Error("history is not empty")
	}
}
