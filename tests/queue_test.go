package tests_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"comfygo/internal/apiclient"
	"comfygo/tools/load"
)

// resample is a workflow that takes some hundredths of a second and is different for every n.
func resample(n, size int) map[string]any {
	return map[string]any{
		"1": map[string]any{"class_type": "EmptyImage", "inputs": map[string]any{"width": 256, "height": 256, "batch_size": 1, "color": n}},
		"2": map[string]any{"class_type": "ImageScale", "inputs": map[string]any{
			"image": []any{"1", 0}, "upscale_method": "lanczos", "width": size, "height": size, "crop": "disabled",
		}},
		"3": map[string]any{"class_type": "PreviewImage", "inputs": map[string]any{"images": []any{"2", 0}}},
	}
}

// launch starts the program on a base folder that outlives it.
func launch(t *testing.T, base string, flags ...string) *apiclient.Process {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p, err := apiclient.Start(ctx, nil, program, append([]string{"--port", "0", "--base-directory", base}, flags...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("the server printed:\n%s", p.Log())
		}
	})
	return p
}

type jobEvent struct {
	Number int64
	Type   string
	ID     string `json:"prompt_id"`
	Data   struct{ Status string }
}

// events reads the whole log of the queue.
func events(t *testing.T, url string) (all []jobEvent) {
	t.Helper()
	c := apiclient.Client{Base: url}
	for last := int64(0); ; {
		var page struct {
			Events []jobEvent
			Last   int64
		}
		if err := c.Get(t.Context(), fmt.Sprintf("/api/v1/queue/events?limit=1000&after=%d", last), &page); err != nil {
			t.Fatal(err)
		}
		if len(page.Events) == 0 {
			return all
		}
		all, last = append(all, page.Events...), page.Last
	}
}

// known returns where the server has each job: in the queue or in history.
func known(t *testing.T, url string) map[string]bool {
	t.Helper()
	c := apiclient.Client{Base: url}
	var lists struct {
		Running [][]json.RawMessage `json:"queue_running"`
		Pending [][]json.RawMessage `json:"queue_pending"`
	}
	if err := c.Get(t.Context(), "/queue", &lists); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, job := range append(lists.Running, lists.Pending...) {
		var id string
		if err := json.Unmarshal(job[1], &id); err != nil {
			t.Fatal(err)
		}
		ids[id] = true
	}
	var history map[string]json.RawMessage // asked for last: a job that ends in between is in both
	if err := c.Get(t.Context(), "/history", &history); err != nil {
		t.Fatal(err)
	}
	for id := range history {
		ids[id] = true
	}
	return ids
}

// feeders are clients that send jobs to whatever server lives at the moment.
type feeders struct {
	url      atomic.Pointer[string]
	mu       sync.Mutex
	accepted map[string]float64 // by id: the number
	unsure   map[string]bool    // the connection broke before the answer
}

// feed sends n jobs, each until it is accepted; one without an answer is sent again under a new id.
func (f *feeders) feed(ctx context.Context, client, n int) error {
	for i := range n {
		for {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			id := uuid.NewString()
			c := apiclient.Client{Base: *f.url.Load()}
			var answer struct{ Number float64 }
			err := c.Post(ctx, "/prompt", map[string]any{
				"prompt": resample(client*n+i, 384), "client_id": fmt.Sprint("client-", client), "prompt_id": id,
			}, &answer)
			var status *apiclient.StatusError
			if errors.As(err, &status) {
				return err
			}
			f.mu.Lock()
			if err == nil {
				f.accepted[id] = answer.Number
			} else {
				f.unsure[id] = true
			}
			f.mu.Unlock()
			time.Sleep(time.Duration(5+rand.IntN(30)) * time.Millisecond)
			if err == nil {
				break
			}
		}
	}
	return nil
}

// TestKilled kills the server twenty times at random moments while four clients send 200 jobs, and sees that every job
// that was accepted is in history in the end, once.
func TestKilled(t *testing.T) {
	t.Parallel()
	const kills, clients, each = 20, 4, 50
	base := t.TempDir()
	f := &feeders{accepted: map[string]float64{}, unsure: map[string]bool{}}
	p := launch(t, base)
	f.url.Store(&p.URL)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	var all sync.WaitGroup
	defer func() { // a test that fails early must not leave clients behind that speak to it
		cancel()
		all.Wait()
	}()
	for c := range clients {
		all.Go(func() {
			if err := f.feed(ctx, c, each); err != nil && ctx.Err() == nil {
				t.Errorf("client %d: %v", c, err)
			}
		})
	}
	for range kills {
		time.Sleep(time.Duration(20+rand.IntN(250)) * time.Millisecond)
		p.Kill()
		f.mu.Lock()
		before := make([]string, 0, len(f.accepted))
		for id := range f.accepted {
			before = append(before, id)
		}
		f.mu.Unlock()
		p = launch(t, base)
		f.url.Store(&p.URL)
		ids := known(t, p.URL)
		for _, id := range before {
			if !ids[id] {
				t.Fatalf("job %s was accepted, and is gone after a kill", id)
			}
		}
	}
	all.Wait()
	if err := load.Drained(ctx, p.URL); err != nil {
		t.Fatal(err)
	}
	f.check(t, p.URL, clients*each)
	if err := p.Stop(30 * time.Second); err != nil {
		t.Errorf("the server ended badly: %v", err)
	}
}

// check compares what was accepted with history and the log.
func (f *feeders) check(t *testing.T, url string, jobs int) {
	t.Helper()
	if len(f.accepted) != jobs {
		t.Errorf("%d jobs were accepted, want %d", len(f.accepted), jobs)
	}
	numbers := map[float64]bool{}
	for _, n := range f.accepted {
		if numbers[n] {
			t.Errorf("number %v was given twice", n)
		}
		numbers[n] = true
	}
	counts := map[string]map[string]int{}
	last := int64(0)
	cut := 0
	for _, e := range events(t, url) {
		if e.Number != last+1 {
			t.Errorf("event %d follows event %d", e.Number, last)
		}
		last = e.Number
		if counts[e.ID] == nil {
			counts[e.ID] = map[string]int{}
		}
		counts[e.ID][e.Type]++
		if e.Type == "finished" && e.Data.Status == "interrupted" {
			cut++
			if counts[e.ID]["started"] != 2 {
				t.Errorf("job %s is marked as interrupted after %d starts", e.ID, counts[e.ID]["started"])
			}
		} else if e.Type == "finished" && e.Data.Status != "success" {
			t.Errorf("job %s ended with %s", e.ID, e.Data.Status)
		}
	}
	ids := known(t, url)
	again := 0
	for id := range f.accepted {
		n := counts[id]
		if !ids[id] || n["queued"] != 1 || n["finished"] != 1 || n["started"] < 1 || n["started"] > 2 {
			t.Errorf("accepted job %s: in history %v, events %v", id, ids[id], n)
		}
		again += n["started"] - 1
	}
	for id := range ids {
		if _, ok := f.accepted[id]; !ok && !f.unsure[id] {
			t.Errorf("job %s is in history and was not sent", id)
		}
	}
	t.Logf("%d accepted, %d without an answer, %d ran again, %d were marked as interrupted", len(f.accepted), len(f.unsure), again, cut)
}

// TestDrain ends the server with SIGTERM while a job runs: the job comes to its end, and the next one waits for the
// restart.
func TestDrain(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	p := launch(t, base, "--drain-timeout", "60")
	c := apiclient.Client{Base: p.URL}
	var ids []string
	for n := range 3 {
		id, err := c.Queue(t.Context(), resample(n, 2048), "")
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	for started := false; !started; {
		for _, e := range events(t, p.URL) {
			started = started || e.Type == "started"
		}
	}
	if err := syscall.Kill(p.PID(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	var exit *exec.ExitError
	if err := p.Stop(time.Second); !errors.As(err, &exit) || exit.ExitCode() != 143 {
		t.Errorf("after SIGTERM: %v", err)
	}
	p = launch(t, base)
	if err := load.Drained(t.Context(), p.URL); err != nil {
		t.Fatal(err)
	}
	starts := map[string]int{}
	for _, e := range events(t, p.URL) {
		if e.Type == "started" {
			starts[e.ID]++
		}
		if e.Type == "requeued" {
			t.Errorf("job %s was cut short", e.ID)
		}
	}
	for _, id := range ids {
		if starts[id] != 1 {
			t.Errorf("job %s started %d times", id, starts[id])
		}
	}
}

// TestSoak sends a few thousand tiny prompts; `make soak` sends more.
func TestSoak(t *testing.T) {
	t.Parallel()
	server := start(t, "--queue-keep", "500")
	round := func(n int) int {
		t.Helper()
		if _, err := (load.Feed{URL: server.Base, Prompts: n, Clients: 4, Distinct: 50, Waiting: 200}).Send(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := load.Drained(t.Context(), server.Base); err != nil {
			t.Fatal(err)
		}
		h, err := load.GetHealth(t.Context(), server.Base)
		if err != nil {
			t.Fatal(err)
		}
		return h.Process.Goroutines
	}
	goroutines := round(1000)
	first, err := server.process.Usage()
	if err != nil {
		t.Fatal(err)
	}
	const few = 5
	if n := round(2000); n > goroutines+few {
		t.Errorf("goroutines grew from %d to %d", goroutines, n)
	}
	last, err := server.process.Usage()
	if err != nil {
		t.Fatal(err)
	}
	// The race detector's shadow memory grows at its own pace, so the leeway is wide.
	if last.RSS > first.RSS+first.RSS/2+32<<20 {
		t.Errorf("resident memory grew from %d to %d bytes", first.RSS, last.RSS)
	}
}
