package server_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/assets"
	"comfygo/executor"
	"comfygo/folders"
	"comfygo/nodes"
	"comfygo/queue"
	"comfygo/server"
	"comfygo/server/reply"
)

// TestV2OutlivesTheServer: jobs, their outputs, what was cancelled while it waited, and idempotency keys are there after a
// restart.
func TestV2OutlivesTheServer(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "queue.db")
	durable := func(c *server.Config) { c.Store = queue.NewFile(path, queue.FileOptions{}) }
	first := startV2(t, false, durable)
	const copying = `{"workflow": {"1": {"class_type": "Copies", "inputs": {"file": "pic.png"}}}, "metadata": {"a": "b"}}`
	done := first.call(201, "POST", "/api/v2/jobs", copying, "Idempotency-Key", "k")
	first.ends(done["id"], "succeeded")
	first.call(200, "POST", "/api/v1/queue/pause", "")
	waits := first.call(201, "POST", "/api/v2/jobs", copying)["id"].(string)
	first.call(200, "POST", "/api/v2/jobs/"+waits+"/cancel", "")
	first.stop()

	second := startV2(t, false, durable)
	job := second.job(done["id"])
	if job["status"] != "succeeded" || job["created_at"] != done["created_at"] || job["metadata"].(map[string]any)["a"] != "b" {
		t.Errorf("the finished job is %v", job)
	}
	second.fails(422, "idempotency_key_reuse", "POST", "/api/v2/jobs", copying, "Idempotency-Key", "k")
	if job := second.job(waits); job["status"] != "canceled" {
		t.Errorf("the cancelled job is %v", job)
	}
	second.fails(404, "not_found", "GET", "/api/v2/jobs/"+waits+"/workflow", "")
	s := second.events(done["id"], "Last-Event-ID", "0123456789ab-1")
	s.until("the end", isStatus("succeeded"))
}

// FuzzV2 sends untrusted requests: no answer is a 500, and every refusal has a code.
func FuzzV2(f *testing.F) {
	for _, seed := range []string{
		`{"workflow": {"1": {"class_type": "Show", "inputs": {"value": 1}}}}`, `{"workflow": {"1": {"inputs": {"x": {"__type": "core/ASSET", "info": {"id": 5}}}}}}`,
		`{"workflow": {"nodes": [], "links": []}, "metadata": {"a": "b"}}`, `{"workflow": {}, "extra_data": {"api_key_comfy_org": "k"}}`, `[]`, `{"workflow": {"1": null}}`,
		`{"hash": "blake3:` + strings.Repeat("0", 64) + `", "tags": ["a", 1], "expires_in": 60.5}`, "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nx\r\n--b--\r\n",
		"limit=1&cursor=MTIzLmE&metadata[a]=b", "cursor=%zz&metadata[=", "tags=,,&limit=-1",
	} {
		for kind := range 5 {
			f.Add(kind, seed)
		}
	}
	dirs, err := folders.New(folders.Config{Base: f.TempDir()})
	if err != nil {
		f.Fatal(err)
	}
	lib, err := assets.Open(assets.Config{Folders: dirs, ContentType: reply.GuessType})
	if err != nil {
		f.Fatal(err)
	}
	registry := nodes.NewRegistry()
	if err := registry.Add(&show{}); err != nil {
		f.Fatal(err)
	}
	s, err := server.New(server.Config{
		Folders: dirs, Assets: lib, Policy: queue.Policy{Limit: 1000},
		Executor: executor.New(executor.Config{Registry: registry, Services: nodes.Services{Folders: dirs}}),
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := errors.Join(s.Close(), lib.Close()); err != nil {
			f.Error(err)
		}
	})
	f.Fuzz(func(t *testing.T, kind int, text string) {
		var r *http.Request
		switch kind % 5 {
		case 0, 1:
			r = httptest.NewRequest("POST", []string{"/api/v2/jobs", "/api/v2/assets/from-hash"}[kind%5], strings.NewReader(text))
		case 2:
			r = httptest.NewRequest("POST", "/api/v2/assets", strings.NewReader(text))
			r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		default:
			r = httptest.NewRequest("GET", "/api/v2/jobs", nil)
			if kind%5 == 4 {
				r.URL.Path = "/api/v2/assets"
			}
			r.URL.RawQuery = text
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code >= 500 && w.Code != 503 || w.Code >= 400 && !strings.Contains(w.Body.String(), `"code":"`) {
			t.Errorf("%s %s with %q: %d %s", r.Method, r.URL, text, w.Code, w.Body)
		}
	})
}
