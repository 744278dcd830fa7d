package server_test

import (
	"path/filepath"
	"strings"
	"testing"

	"comfygo/queue"
	"comfygo/server"
)

// TestIdempotencyKeyOutlivesTheServer sends requests with keys again after the server has ended, one job done, the other cut off.
func TestIdempotencyKeyOutlivesTheServer(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "queue.db")
	durable := func(cfg *server.Config) { cfg.Store = queue.NewFile(path, queue.FileOptions{}) }
	const key = "Idempotency-Key"
	first := start(t, durable)
	done := first.do("POST", "/prompt", simple(`{}`), key, "done").body
	first.expect("POST", "/prompt?wait=20", simple(`{}`), 200, `"finished": true`)
	cut := first.do("POST", "/prompt", endless(idA), key, "cut").body
	first.until("the job", func() bool { return strings.Contains(first.do("GET", "/queue", "").body, idA) })
	first.stop()

	second := start(t, durable)
	if a := second.do("POST", "/prompt", simple(`{}`), key, "done"); a.body != done || a.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("again: %d %s, and %s before", a.status, a.body, done)
	}
	if a := second.do("POST", "/prompt?wait=20", simple(`{}`), key, "done"); !strings.Contains(a.body, `"finished": true`) || !strings.Contains(a.body, `"result": {`) {
		t.Errorf("waiting for what was done before: %d %s", a.status, a.body)
	}
	if a := second.do("POST", "/prompt?wait=0.1", endless(idA), key, "cut"); a.status != 200 || !strings.Contains(a.body, `"finished": false`) || !strings.Contains(a.body, idA) {
		t.Errorf("waiting for what runs again: %d %s, and %s before", a.status, a.body, cut)
	}
	if a := second.do("POST", "/prompt", simple(`{"x": 1}`), key, "done"); a.status != 422 {
		t.Errorf("another prompt with the key: %d %s", a.status, a.body)
	}
	if n := strings.Count(second.do("GET", "/history", "").body, `"prompt":`); n != 2 {
		t.Errorf("%d jobs have run, want 2", n)
	}
	second.expect("POST", "/queue", `{"clear": true}`, 200, "")
	second.expect("POST", "/interrupt", `{}`, 200, "")
}
