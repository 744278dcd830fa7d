package server_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestWaitForTheResult(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	var done struct {
		ID       string `json:"prompt_id"`
		Finished bool
		Result   struct {
			Outputs map[string]map[string][]any
			Status  struct{ Completed bool }
		}
	}
	a := r.do("POST", "/prompt?wait=20", simple(`{}`))
	if err := json.Unmarshal([]byte(a.body), &done); err != nil || a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if !done.Finished || !done.Result.Status.Completed || len(done.Result.Outputs["2"]["text"]) != 1 {
		t.Errorf("have %s", a.body)
	}
	begin := time.Now()
	r.expect("POST", "/prompt?wait=0.1", endless(idA), 200, `"finished": false`)
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("waiting 0.1 s took %v", took)
	}
	for _, wrong := range []string{"0", "-1", "x", "nan", "1e9", ""} {
		r.expect("POST", "/prompt?wait="+wrong, simple(`{}`), 400, "wait must be")
	}
	var waiter sync.WaitGroup
	waiter.Go(func() { r.expect("POST", "/prompt?wait=20", endless(idB), 200, `"finished": true`) })
	r.until("the second job", func() bool { return strings.Contains(r.do("GET", "/queue", "").body, idB) })
	r.expect("POST", "/queue", `{"delete": ["`+idB+`"]}`, 200, "")
	waiter.Wait()
}

func TestWaitEndsWithTheServer(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	var waiter sync.WaitGroup
	waiter.Go(func() { r.expect("POST", "/prompt?wait=60", endless(idA), 200, "") })
	r.until("the job", func() bool { return strings.Contains(r.do("GET", "/queue", "").body, idA) })
	begin := time.Now()
	r.stop()
	waiter.Wait()
	if took := time.Since(begin); took > 8*time.Second {
		t.Errorf("the server took %v to stop", took)
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	const key = "Idempotency-Key"
	var answers sync.Map
	var clients sync.WaitGroup
	for range 20 {
		clients.Go(func() { answers.Store(r.do("POST", "/prompt", simple(`{}`), key, "k1").body, true) })
	}
	clients.Wait()
	count := 0
	answers.Range(func(any, any) bool { count++; return true })
	if count != 1 {
		t.Errorf("%d different answers to one request sent twenty times", count)
	}
	if a := r.do("POST", "/prompt", simple(`{"x": 1}`), key, "k1"); a.status != 422 {
		t.Errorf("another prompt with the key: %d %s", a.status, a.body)
	}
	if a := r.do("POST", "/prompt", simple(`{}`), key, "k1", "Comfy-User", "other"); a.header.Get("Idempotency-Replayed") != "" || a.status != 200 {
		t.Errorf("another user's request with the key: %d %s", a.status, a.body)
	}
	if a := r.do("POST", "/prompt?wait=20", simple(`{}`), key, "k1"); a.header.Get("Idempotency-Replayed") != "true" || !strings.Contains(a.body, `"finished": true`) {
		t.Errorf("waiting for a job that was queued before: %d %s", a.status, a.body)
	}
	for range 2 { // a refused prompt leaves the key free
		if a := r.do("POST", "/prompt", `{"prompt": {}}`, key, "k2"); a.status != 400 {
			t.Errorf("a wrong prompt: %d %s", a.status, a.body)
		}
	}
	if a := r.do("POST", "/prompt", simple(`{}`), key, "k2"); a.status != 200 {
		t.Errorf("a right prompt after a wrong one: %d %s", a.status, a.body)
	}
	if a := r.do("POST", "/prompt", simple(`{}`), key, strings.Repeat("k", 256)); a.status != 400 {
		t.Errorf("a long key: %d %s", a.status, a.body)
	}
	var history map[string]any
	r.until("three jobs", func() bool {
		history = nil
		r.get("/history", &history)
		return len(history) >= 3
	})
	if len(history) != 3 {
		t.Errorf("%d jobs ran, want 3", len(history))
	}
}

func TestJobProgress(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	type job struct {
		Progress *struct {
			Position, Step, Steps *int
			Percent               float64
			ETA                   *float64 `json:"eta_seconds"`
			Node                  *string
			Nodes                 map[string]struct {
				Class    string `json:"class_type"`
				Seconds  float64
				Finished bool
			}
		}
	}
	of := func(id string) (j job) {
		r.get("/api/jobs/"+id+"?progress=true", &j)
		if j.Progress == nil {
			t.Fatalf("job %s has no progress", id)
		}
		return j
	}
	r.queue(endless(idA))
	r.queue(endless(idB))
	r.until("the first step", func() bool { p := of(idA).Progress; return p.Step != nil && *p.Step == 1 })
	running := of(idA).Progress
	if *running.Steps != 3 || running.Percent <= 0 || running.Percent >= 100 || running.Position != nil || *running.Node != "1" || running.ETA == nil || *running.ETA <= 0 {
		t.Errorf("the running job: %+v", running)
	}
	if n := running.Nodes["1"]; n.Class != "Wait" || n.Finished || n.Seconds <= 0 {
		t.Errorf("its node: %+v", n)
	}
	if p := of(idB).Progress; p.Position == nil || *p.Position != 1 || p.Percent != 0 {
		t.Errorf("the waiting job: %+v", p)
	}
	r.expect("GET", "/api/jobs/"+idB, "", 200, `"status": "pending"`)
	if a := r.do("GET", "/api/jobs/"+idB, ""); strings.Contains(a.body, "progress") {
		t.Errorf("without being asked: %s", a.body)
	}
	id := r.queue(strings.Replace(simple(`{}`), `{"prompt"`, `{"front": true, "prompt"`, 1))
	r.expect("POST", "/interrupt", "", 200, "")
	r.until("the short job", func() bool { return r.finished(id) })
	p := of(id).Progress
	if p.Percent != 100 || *p.ETA != 0 || len(p.Nodes) != 2 || !p.Nodes["1"].Finished || p.Nodes["2"].Class != "Show" {
		t.Errorf("the finished job: %+v", p)
	}
}

func TestSocketQuery(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	for _, wrong := range []string{"events=all", "events=", "since=x", "since=-1", "since=99999999999999999999"} {
		a := r.do("GET", "/ws?"+wrong, "", "Upgrade", "websocket", "Connection", "Upgrade", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
		if a.status != 400 || !strings.Contains(a.body, "error") {
			t.Errorf("%s: %d %s", wrong, a.status, a.body)
		}
	}
}
