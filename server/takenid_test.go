package server_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestPromptIDInUse sends an id again while its job waits, while it runs, and when it has ended.
func TestPromptIDInUse(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	const running, waiting = "00000000-0000-4000-8000-000000000901", "00000000-0000-4000-8000-000000000902"
	prompt := func(id, class string) string {
		return `{"prompt_id": "` + id + `", "prompt": {"1": {"class_type": "` + class + `", "inputs": {"seed": 1, "value": 1}}, "2": {"class_type": "Show", "inputs": {"value": ["1", 0]}}}}`
	}
	r.queue(prompt(running, "Wait"))
	r.until("the job to run", func() bool { return strings.Contains(r.do("GET", "/api/jobs?status=in_progress", "").body, running) })
	r.queue(prompt(waiting, "Number"))
	for _, id := range []string{running, waiting} {
		if a := r.do("POST", "/prompt", prompt(id, "Number")); a.status != http.StatusConflict || !strings.Contains(a.body, "invalid_prompt_id") {
			t.Errorf("%s again: %d %s", id, a.status, a.body)
		}
	}
	r.do("POST", "/interrupt", "")
	r.until("both to end", func() bool { return r.finished(running) && r.finished(waiting) })
	r.queue(prompt(running, "Number"))
}
