package server_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/queue"
	"comfygo/server"
)

func TestV2Job(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, r *rigV2) {
		data := testPNG(t, 5, 4)
		asset := r.upload(201, "photo.png", data)
		ref := `{"__type": "core/ASSET", "info": {"id": "` + asset["id"].(string) + `"}}`
		job := r.call(201, "POST", "/api/v2/jobs", `{"workflow": {"a": {"class_type": "Copies", "inputs": {"file": `+ref+`, "name": "made.png"}},
			"b": {"class_type": "Copies", "inputs": {"file": "note.txt", "text": "shown"}}},
			"extra_data": {"api_key_comfy_org": "secret"}, "metadata": {"client": "acme"}}`)
		id := job["id"].(string)
		self := "/api/v2/jobs/" + id
		if urls := job["urls"].(map[string]any); urls["self"] != self || urls["events"] != self+"/events" || urls["cancel"] != self+"/cancel" {
			t.Errorf("the links are %v", urls)
		}
		job = r.ends(id, "succeeded")
		if job["error"] != nil || job["progress"].(map[string]any)["value"] != 1.0 || job["metrics"].(map[string]any)["execution_ms"] == nil {
			t.Errorf("the job is %v", job)
		}
		byNode := map[any]map[string]any{}
		for _, o := range job["outputs"].([]any) {
			out := o.(map[string]any)
			byNode[out["node_id"]] = out
		}
		made, text := byNode["a"], byNode["b"]
		if len(byNode) != 2 || made["type"] != "image" || made["hash"] != asset["hash"] || made["name"] != "made.png" || text["type"] != "text" {
			t.Fatalf("the outputs are %v", byNode)
		}
		if a := r.do("GET", "/api/v2/assets/"+made["id"].(string)+"/content", ""); a.body != string(data) {
			t.Errorf("the output: %d, %d bytes", a.status, len(a.body))
		}
		if a := r.do("GET", strings.TrimPrefix(text["url"].(string), r.url), ""); a.body != "shown" {
			t.Errorf("the text: %d %q", a.status, a.body)
		}
		if got := r.call(200, "GET", "/api/v2/assets/"+made["id"].(string), ""); got["job_id"] != id {
			t.Errorf("the output's asset is %v", got)
		}
		workflow := r.do("GET", self+"/workflow", "")
		if workflow.status != 200 || !strings.Contains(workflow.body, `"format":"api"`) || strings.Contains(workflow.body, "secret") {
			t.Errorf("the workflow: %d %s", workflow.status, workflow.body)
		}
		if a := r.do("GET", "/history/"+id, ""); strings.Contains(a.body, "secret") {
			t.Errorf("the partner's key is in history: %s", a.body)
		}
		if got := r.call(200, "POST", self+"/cancel", ""); got["status"] != "succeeded" {
			t.Errorf("a finished job that is cancelled is %v", got["status"])
		}
	})
}

func TestV2JobRefused(t *testing.T) {
	t.Parallel()
	r := startV2(t, false, nil)
	for name, c := range map[string]struct{ code, body string }{
		"no JSON":           {"invalid_request", `{`},
		"no object":         {"invalid_request", `[]`},
		"no workflow":       {"invalid_workflow", `{}`},
		"a list":            {"invalid_workflow", `{"workflow": []}`},
		"the editor's":      {"workflow_format_ui", `{"workflow": {"nodes": [], "links": [], "last_node_id": 1}}`},
		"nothing":           {"invalid_workflow", `{"workflow": {}}`},
		"no node":           {"invalid_workflow", `{"workflow": {"1": 5}}`},
		"unknown class":     {"invalid_workflow", `{"workflow": {"1": {"class_type": "Nothing", "inputs": {}}}}`},
		"no output":         {"invalid_workflow", `{"workflow": {"1": {"class_type": "Number", "inputs": {"value": 1}}}}`},
		"missing asset":     {"missing_asset", `{"workflow": {"1": {"class_type": "Copies", "inputs": {"file": {"__type": "core/ASSET", "info": {"id": "9f8a1c0d-2b3e-4f56-8a7b-1c2d3e4f5a6b"}}}}}}`},
		"malformed asset":   {"missing_asset", `{"workflow": {"1": {"class_type": "Copies", "inputs": {"file": {"__type": "core/ASSET", "info": {"hash": "blake3:00"}}}}}}`},
		"asset in a list":   {"missing_asset", `{"workflow": {"1": {"class_type": "Copies", "inputs": {"file": [{"x": {"__type": "core/ASSET"}}]}}}}`},
		"a webhook":         {"invalid_request", `{"workflow": {"1": {}}, "webhook_url": "http://127.0.0.1"}`},
		"inputs":            {"invalid_request", `{"workflow": {"1": {}}, "inputs": {}}`},
		"other extra data":  {"invalid_request", `{"workflow": {"1": {}}, "extra_data": {"client_id": "x"}}`},
		"no text as key":    {"invalid_request", `{"workflow": {"1": {}}, "extra_data": {"api_key_comfy_org": 1}}`},
		"labels as a list":  {"metadata_invalid", `{"workflow": {"1": {}}, "metadata": []}`},
		"labels of numbers": {"metadata_invalid", `{"workflow": {"1": {}}, "metadata": {"a": 1}}`},
		"labels in braces":  {"metadata_invalid", `{"workflow": {"1": {}}, "metadata": {"a]": "1"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			r := &rigV2{rig: &rig{t: t, url: r.url}}
			r.fails(422, c.code, "POST", "/api/v2/jobs", c.body)
		})
	}
	e := r.fails(422, "invalid_workflow", "POST", "/api/v2/jobs", `{"workflow": {"7": {"class_type": "Copies", "inputs": {}}}}`)
	nodes, _ := e["details"].(map[string]any)["node_errors"].(map[string]any)
	list, _ := nodes["7"].([]any)
	if len(list) == 0 || list[0].(map[string]any)["field"] != "file" || list[0].(map[string]any)["reason"] != "missing_input" {
		t.Errorf("the details are %v", e["details"])
	}
	r.fails(404, "not_found", "GET", "/api/v2/jobs/9f8a1c0d-2b3e-4f56-8a7b-1c2d3e4f5a6b", "")
	r.fails(404, "not_found", "GET", "/api/v2/jobs/9f8a1c0d-2b3e-4f56-8a7b-1c2d3e4f5a6b/events", "")
}

const waiting = `{"g": {"class_type": "Gated", "inputs": {"file": "` + "%" + `"}}}`

func gatedWorkflow(name string) string { return strings.Replace(waiting, "%", name, 1) }

func TestV2Cancel(t *testing.T) {
	t.Parallel()
	r := startV2(t, false, nil)
	running := r.submit(gatedWorkflow("a"))["id"]
	r.until("the first job's start", func() bool { return r.job(running)["status"] == "running" })
	queued := r.submit(gatedWorkflow("b"))
	if queued["status"] != "queued" || queued["queue_position"] != 0.0 || queued["progress"] != nil {
		t.Errorf("the waiting job is %v", queued)
	}
	for range 2 { // the second time changes nothing
		got := r.call(200, "POST", "/api/v2/jobs/"+queued["id"].(string)+"/cancel", "")
		if got["status"] != "canceled" || got["created_at"] != queued["created_at"] {
			t.Errorf("the cancelled job is %v", got)
		}
	}
	if a := r.do("GET", "/api/v2/jobs/"+queued["id"].(string)+"/workflow", ""); a.status != 200 {
		t.Errorf("its workflow: %d", a.status)
	}
	other := r.queue(`{"prompt": ` + gatedWorkflow("c") + `}`)
	r.do("POST", "/queue", `{"delete": ["`+other+`"]}`)
	if got := r.job(other); got["status"] != "canceled" {
		t.Errorf("a job that was deleted from the queue is %v", got)
	}
	got := r.call(200, "POST", "/api/v2/jobs/"+running.(string)+"/cancel", "")
	if got["status"] != "canceling" && got["status"] != "canceled" {
		t.Errorf("the running job is %v after it was cancelled", got["status"])
	}
	if got := r.ends(running, "canceled"); got["error"] != nil {
		t.Errorf("the cancelled job is %v", got)
	}
}

func TestV2Failure(t *testing.T) {
	t.Parallel()
	r := startV2(t, false, nil)
	job := r.ends(r.submit(`{"1": {"class_type": "Copies", "inputs": {"file": "missing.png"}}}`)["id"], "failed")
	e, _ := job["error"].(map[string]any)
	if e["code"] != "node_execution_error" || e["node_id"] != "1" || e["class_type"] != "Copies" || !strings.Contains(e["message"].(string), "missing.png") {
		t.Errorf("the error is %v", e)
	}
}

func TestV2Idempotency(t *testing.T) {
	t.Parallel()
	r := startV2(t, false, nil)
	r.fails(422, "invalid_workflow", "POST", "/api/v2/jobs", `{"workflow": {}}`, "Idempotency-Key", "k")
	job := r.submit(`{"1": {"class_type": "Show", "inputs": {"value": 1}}}`, "Idempotency-Key", "k")
	e := r.fails(422, "idempotency_key_reuse", "POST", "/api/v2/jobs", `{"workflow": {"1": {"class_type": "Show", "inputs": {"value": 1}}}}`, "Idempotency-Key", "k")
	r.submit(`{"1": {"class_type": "Show", "inputs": {"value": 2}}}`, "Idempotency-Key", "other")
	r.ends(job["id"], "succeeded")
	if got := r.call(200, "GET", "/api/v2/jobs", "")["jobs"].([]any); len(got) != 2 {
		t.Errorf("there are %d jobs after %v", len(got), e)
	}
}

func TestV2QueueFull(t *testing.T) {
	t.Parallel()
	r := startV2(t, false, func(c *server.Config) { c.Policy = queue.Policy{Limit: 1} })
	running := r.submit(gatedWorkflow("a"))["id"]
	r.until("the first job's start", func() bool { return r.job(running)["status"] == "running" })
	r.submit(gatedWorkflow("b"))
	body := `{"workflow": ` + gatedWorkflow("c") + `}`
	r.fails(429, "queue_full", "POST", "/api/v2/jobs", body, "Idempotency-Key", "k")
	if a := r.do("POST", "/api/v2/jobs", body, "Idempotency-Key", "k"); a.status != 429 || a.header.Get("Retry-After") == "" {
		t.Errorf("a full queue: %d, Retry-After %q: the key must be free again", a.status, a.header.Get("Retry-After"))
	}
}

func TestV2JobPages(t *testing.T) {
	t.Parallel()
	r := startV2(t, false, nil)
	var ids []any
	for i := range 5 {
		label := `"odd"`
		if i%2 == 0 {
			label = `"even"`
		}
		job := r.call(201, "POST", "/api/v2/jobs", `{"workflow": {"1": {"class_type": "Show", "inputs": {"value": 1}}}, "metadata": {"kind": `+label+`}}`)
		r.ends(job["id"], "succeeded")
		ids = append([]any{job["id"]}, ids...)
	}
	collect := func(query string) (got []any) {
		cursor := ""
		for {
			v := r.call(200, "GET", "/api/v2/jobs?limit=2"+query+cursor, "")
			for _, j := range v["jobs"].([]any) {
				got = append(got, j.(map[string]any)["id"])
			}
			next, _ := v["next_cursor"].(string)
			if next == "" || len(got) > 10 {
				return got
			}
			cursor = "&cursor=" + next
		}
	}
	text := func(v any) string { b, _ := json.Marshal(v); return string(b) }
	if got := collect(""); len(got) != 5 || len(strings.Split(text(got), text(ids[0]))) != 2 {
		t.Errorf("the jobs are %v, want %v", got, ids)
	}
	if got := collect("&metadata%5Bkind%5D=even"); len(got) != 3 {
		t.Errorf("the labelled jobs are %v", got)
	}
	if got := collect("&metadata[kind]=none"); len(got) != 0 {
		t.Errorf("jobs without the label: %v", got)
	}
	r.fails(422, "invalid_cursor", "GET", "/api/v2/jobs?cursor=!", "")
	r.fails(422, "invalid_metadata_filter", "GET", "/api/v2/jobs?metadata[]=x", "")
	r.fails(422, "invalid_request", "GET", "/api/v2/jobs?limit=101", "")
}

// TestV2Unreadable: a catalogue error is reported to clients, but its cause is not.
func TestV2Unreadable(t *testing.T) {
	t.Parallel()
	r := startV2(t, false, func(c *server.Config) { c.OpenAssets = nil })
	r.fails(501, "not_implemented", "GET", "/api/v2/assets", "")
	if err := os.WriteFile(filepath.Join(r.base, "input", "x.png"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if a := r.do("POST", "/api/v2/jobs", `{"workflow": {"1": {"class_type": "Show", "inputs": {"value": 1}}}}`); a.status != http.StatusCreated {
		t.Errorf("a job without assets: %d %s", a.status, a.body)
	}
}
