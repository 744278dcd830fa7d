package server_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"comfygo/queue"
	"comfygo/queue/webhook"
	"comfygo/server"
)

// simple is a prompt that ends at once, endless one that runs until it is interrupted; extra is its extra_data.
func simple(extra string) string {
	return `{"prompt": {"1": {"class_type": "Number", "inputs": {"value": 3}}, "2": {"class_type": "Show", "inputs": {"value": ["1", 0]}}}, "extra_data": ` + extra + `}`
}

func endless(id string) string {
	return `{"prompt_id": "` + id + `", "prompt": {"1": {"class_type": "Wait", "inputs": {"seed": 1}}, "2": {"class_type": "Show", "inputs": {"value": ["1", 0]}}}}`
}

const (
	idA = "aaaaaaaa-0000-4000-8000-000000000000"
	idB = "bbbbbbbb-0000-4000-8000-000000000000"
	idC = "cccccccc-0000-4000-8000-000000000000"
)

// expect sends a request and compares the status and a part of the answer.
func (r *rig) expect(method, path, body string, status int, part string) string {
	r.t.Helper()
	got := r.do(method, path, body)
	if got.status != status || !strings.Contains(got.body, part) {
		r.t.Errorf("%s %s %s: %d %s; want %d and %s", method, path, body, got.status, got.body, status, part)
	}
	return got.body
}

// poll asks again and again until the answer is right.
func (r *rig) poll(path string, right func(body string) bool) string {
	r.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if body := r.do("GET", path, "").body; right(body) {
			return body
		}
	}
	r.t.Fatalf("%s never says what it should", path)
	return ""
}

func onFile(t *testing.T, cfg *server.Config) {
	cfg.Store = queue.NewFile(filepath.Join(t.TempDir(), "q.db"), queue.FileOptions{})
}

func TestQueueAPI(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *server.Config) { onFile(t, c) })
	r.expect("POST", "/api/v1/queue/pause", "", 200, `"paused": true`)
	for _, id := range []string{idA, idB, idC} {
		r.expect("POST", "/prompt", endless(id), 200, id)
	}
	order := func(want ...string) {
		t.Helper()
		var lists struct {
			Pending [][]any `json:"queue_pending"`
		}
		if err := json.Unmarshal([]byte(r.do("GET", "/queue", "").body), &lists); err != nil {
			t.Fatal(err)
		}
		got := []string{}
		for _, j := range lists.Pending {
			got = append(got, j[1].(string)[:1])
		}
		if strings.Join(got, "") != strings.Join(want, "") {
			t.Errorf("waiting %v, want %v", got, want)
		}
	}
	r.expect("POST", "/api/v1/queue/move", `{"prompt_id": "`+idC+`", "position": 0}`, 200, `"moved": true`)
	order("c", "a", "b")
	r.expect("POST", "/api/v1/queue/move", `{"prompt_id": "`+idB+`", "before": "`+idA+`"}`, 200, `"moved": true`)
	order("c", "b", "a")
	r.expect("POST", "/api/v1/queue/priority", `{"prompt_id": "`+idA+`", "priority": "high"}`, 200, `"moved": true`)
	order("a", "c", "b")
	r.expect("GET", "/api/v1/queue", "", 200, `"pending": 3`)
	r.expect("POST", "/api/v1/queue/resume", "", 200, `"paused": false`)
	r.poll("/api/v1/queue", func(body string) bool { return strings.Contains(body, `"running": 1`) })
	r.expect("POST", "/api/v1/queue/cancel", `{"prompt_id": "`+idC+`"}`, 200, `{"cancelled": "pending"}`)
	r.expect("POST", "/api/v1/queue/cancel", `{"prompt_id": "`+idA+`"}`, 200, `{"cancelled": "running"}`)
	r.poll("/history/"+idA, func(body string) bool { return body != "{}" })
	r.expect("POST", "/api/v1/queue/cancel", `{"prompt_id": "`+idA+`"}`, 404, "error")
	r.expect("GET", "/api/v1/queue/events?limit=2", "", 200, `{"events": [{"number": 1, "time": "`)
	last := r.expect("GET", "/api/v1/queue/events?after=4", "", 200, `"type": "moved", "prompt_id": "`+idC)
	if strings.Contains(last, `"number": 4,`) || !strings.Contains(last, `"number": 5,`) {
		t.Errorf("events after 4: %s", last)
	}
	for _, bad := range []struct{ method, path, body string }{
		{"POST", "/api/v1/queue/move", `{`},
		{"POST", "/api/v1/queue/move", `{"prompt_id": "x"}`},
		{"POST", "/api/v1/queue/move", `{"prompt_id": "x", "position": 1, "before": "y"}`},
		{"POST", "/api/v1/queue/move", `{"prompt_id": "x", "position": "first"}`},
		{"POST", "/api/v1/queue/priority", `{"prompt_id": "x", "priority": "top"}`},
		{"POST", "/api/v1/queue/priority", `[]`},
		{"POST", "/api/v1/queue/cancel", `{}`},
		{"GET", "/api/v1/queue/events?after=-1", ""},
		{"GET", "/api/v1/queue/events?limit=1001", ""},
	} {
		r.expect(bad.method, bad.path, bad.body, 400, `{"error": "`)
	}
	r.expect("POST", "/api/v1/queue/move", `{"prompt_id": "x", "position": 0}`, 404, "no waiting job")
}

func TestJobOptions(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	for _, bad := range []string{
		`[]`, `{"priority": "top"}`, `{"priority": 1}`, `{"time_limit": 0}`, `{"time_limit": "5"}`, `{"time_limit": NaN}`, `{"time_limit": 1e300}`,
		`{"unknown": 1}`, `{"webhook": 1}`, `{"webhook": {}}`, `{"webhook": {"url": "http://127.0.0.1/"}}`, `{"webhook": {"url": "https://example.com", "secret": 5}}`,
		`{"webhook": {"url": "https://example.com", "events": ["all"]}}`, `{"webhook": {"url": "https://example.com", "other": 1}}`,
	} {
		r.expect("POST", "/prompt", simple(`{"comfygo": `+bad+`}`), 400, `"type": "invalid_options"`)
	}
	r.expect("POST", "/prompt", simple(`{"comfygo": {"priority": "low", "time_limit": 2.5}, "mine": 1}`), 200, "prompt_id")
	history := r.poll("/history", func(body string) bool { return body != "{}" })
	if strings.Contains(history, "comfygo") || !strings.Contains(history, `"mine": 1`) {
		t.Errorf("history %s", history)
	}
}

// TestNoNumber: an invalid number has no place in the queue, and no client can make the queue's file refuse a write,
// which would count as a fault of the file.
func TestNoNumber(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	for _, number := range []string{`NaN`, `"nan"`, `"x"`, `[1]`} {
		r.expect("POST", "/prompt", strings.Replace(simple(`{}`), `{`, `{"number": `+number+`, `, 1), 400, `reading number`)
	}
	r.expect("POST", "/prompt", strings.Replace(simple(`{}`), `{`, `{"number": -Infinity, `, 1), 200, `"number": -Infinity`)
}

func TestQueueLimit(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *server.Config) { c.Policy.Limit = 2 })
	r.expect("POST", "/api/v1/queue/pause", "", 200, "")
	for range 2 {
		r.expect("POST", "/prompt", simple("{}"), 200, "prompt_id")
	}
	r.expect("POST", "/prompt", simple("{}"), 429, `"type": "queue_full"`)
	if after := r.do("POST", "/prompt", simple("{}")).header.Get("Retry-After"); after != "1" {
		t.Errorf("retry after %q", after)
	}
}

// TestUnreachableStore serves with a queue that cannot be opened yet.
func TestUnreachableStore(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *server.Config) { c.Store = broken{queue.NewMemory()} })
	got := r.do("POST", "/prompt", simple("{}"))
	if got.status != 503 || got.header.Get("Retry-After") == "" || !strings.Contains(got.body, `"type": "queue_unavailable"`) {
		t.Errorf("refused with %d %s", got.status, got.body)
	}
	r.expect("GET", "/health", "", 503, `"status": "unhealthy"`)
	r.expect("GET", "/queue", "", 200, `"queue_pending": []`)
}

// TestWebhook runs a job and receives what is sent about it.
func TestWebhook(t *testing.T) {
	t.Parallel()
	type message struct {
		header http.Header
		body   string
	}
	got := make(chan message, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		got <- message{req.Header, string(body)}
	}))
	t.Cleanup(receiver.Close)
	r := start(t, func(c *server.Config) { onFile(t, c); c.WebhookAllow = []string{"127.0.0.0/8"} })
	r.expect("POST", "/prompt", simple(fmt.Sprintf(`{"comfygo": {"webhook": {"url": "%s/x", "secret": "topsecret"}}}`, receiver.URL)), 200, "prompt_id")
	m := <-got
	if sign := webhook.Sign("topsecret", m.header.Get("Webhook-Id"), m.header.Get("Webhook-Timestamp"), []byte(m.body)); m.header.Get("Webhook-Signature") != sign {
		t.Errorf("signature %q, want %q", m.header.Get("Webhook-Signature"), sign)
	}
	for _, part := range []string{`"type": "job.finished"`, `"status": "success"`, `"outputs": {"2": {"text": [3]}}`} {
		if !strings.Contains(m.body, part) {
			t.Errorf("%s is missing in %s", part, m.body)
		}
	}
	for _, path := range []string{"/history", "/queue", "/api/v1/queue/events", "/api/jobs"} {
		if strings.Contains(r.do("GET", path, "").body, "topsecret") {
			t.Errorf("%s shows the secret", path)
		}
	}
}

// broken is a store that cannot be loaded.
type broken struct{ queue.Store }

// TestStoreWithoutRoom sends prompts to queues whose store is full, and whose store does not say whether it has a job.
func TestStoreWithoutRoom(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		status int
		typ    string
	}{
		{fmt.Errorf("%w: %w", queue.ErrUnavailable, queue.ErrFull), 507, "queue_store_full"}, {&queue.UncertainError{}, 504, "queue_uncertain"},
	} {
		r := start(t, func(cfg *server.Config) { cfg.Store = refusing{queue.NewMemory(), c.err} })
		got := r.do("POST", "/prompt", simple("{}"))
		if got.status != c.status || got.header.Get("Retry-After") == "" || !strings.Contains(got.body, `"type": "`+c.typ+`"`) {
			t.Errorf("%v: refused with %d %s", c.err, got.status, got.body)
		}
		body := `{"workflow": {"1": {"class_type": "Number", "inputs": {"value": 3}}, "2": {"class_type": "Show", "inputs": {"value": ["1", 0]}}}}`
		if got = r.do("POST", "/api/v2/jobs", body); got.status != c.status {
			t.Errorf("%v: the API v2 refuses with %d %s", c.err, got.status, got.body)
		}
	}
}

// TestKeyOfAnUncertainRequest sends requests with a key again when it is not known whether the first was accepted: they are for the same job.
func TestKeyOfAnUncertainRequest(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen []string
	fails := []error{&queue.UncertainError{}, queue.ErrUnavailable, queue.ErrTakenID, queue.ErrTakenID}
	r := start(t, func(cfg *server.Config) {
		cfg.Store = submitting{queue.NewMemory(), func(b queue.Batch) error {
			mu.Lock()
			defer mu.Unlock()
			for _, change := range b.Changes {
				if q, ok := change.(queue.Queued); ok {
					seen = append(seen, q.Job.ID)
					return fails[(len(seen)-1)%len(fails)]
				}
			}
			return nil
		}}
	})
	const key = "Idempotency-Key"
	v2 := `{"workflow": {"1": {"class_type": "Number", "inputs": {"value": 3}}, "2": {"class_type": "Show", "inputs": {"value": ["1", 0]}}}}`
	for _, c := range []struct {
		path, body string
		statuses   []int
	}{{"/prompt", simple("{}"), []int{504, 503, 409, 409}}, {"/api/v2/jobs", v2, []int{504, 503, 422, 422}}} {
		mu.Lock()
		seen = nil
		mu.Unlock()
		for i, want := range c.statuses {
			if got := r.do("POST", c.path, c.body, key, "k"); got.status != want {
				t.Errorf("%s, request %d: %d %s, want %d", c.path, i, got.status, got.body, want)
			}
		}
		mu.Lock()
		if ids := slices.Compact(slices.Clone(seen)); len(ids) != 1 || len(seen) < 3 {
			t.Errorf("%s: the requests are for the jobs %q", c.path, seen)
		}
		mu.Unlock()
		if got := r.do("POST", c.path, strings.Replace(c.body, "3", "4", 1), key, "k"); got.status != 422 {
			t.Errorf("%s: another request with the key: %d %s", c.path, got.status, got.body)
		}
	}
}

// TestKeyUsedAtAnotherServer answers a request whose key another server of the fleet has accepted: with that one's answer, or 422 to another prompt.
func TestKeyUsedAtAnotherServer(t *testing.T) {
	t.Parallel()
	sum := sha256.Sum256([]byte(simple("{}")))
	r := start(t, func(cfg *server.Config) {
		cfg.Store = submitting{queue.NewMemory(), func(queue.Batch) error {
			return &queue.RepeatedError{Receipt: queue.Receipt{
				Sum: sum[:], Answer: []byte(`{"prompt_id": "of the other one", "number": 7}`), JobID: "of the other one", Job: &queue.Job{ID: "of the other one"},
			}}
		}}
	})
	const key = "Idempotency-Key"
	for range 2 {
		got := r.do("POST", "/prompt", simple("{}"), key, "k")
		if got.status != 200 || !strings.Contains(got.body, `"of the other one", "number": 7`) || got.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	if got := r.do("POST", "/prompt", strings.Replace(simple("{}"), "3", "4", 1), key, "another"); got.status != 422 {
		t.Errorf("another prompt: %d %s", got.status, got.body)
	}
	v2 := `{"workflow": {"1": {"class_type": "Number", "inputs": {"value": 3}}, "2": {"class_type": "Show", "inputs": {"value": ["1", 0]}}}}`
	for range 2 {
		if got := r.do("POST", "/api/v2/jobs", v2, key, "k"); got.status != 422 || !strings.Contains(got.body, "was used before") {
			t.Errorf("the API v2: %d %s", got.status, got.body)
		}
	}
}

// submitting is a store that asks before it keeps anything.
type submitting struct {
	queue.Store
	ask func(queue.Batch) error
}

func (s submitting) Submit(b queue.Batch) func() error {
	if err := s.ask(b); err != nil {
		return func() error { return err }
	}
	return s.Store.Submit(b)
}

// refusing is a store that keeps nothing.
type refusing struct {
	queue.Store
	err error
}

func (r refusing) Submit(queue.Batch) func() error { return func() error { return r.err } }

func (broken) Load() (queue.Saved, error) {
	return queue.Saved{}, fmt.Errorf("%w: no space left on device", queue.ErrUnavailable)
}
