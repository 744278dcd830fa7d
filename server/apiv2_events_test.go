package server_test

import (
	"testing"
)

func TestV2Events(t *testing.T) {
	t.Parallel()
	r := startV2(t, false, nil)
	first := r.submit(gatedWorkflow("first"))["id"]
	r.until("the first job's start", func() bool { return r.job(first)["status"] == "running" })
	id := r.submit(`{"g": {"class_type": "Gated", "inputs": {"file": "second"}},
		"c": {"class_type": "Copies", "inputs": {"file": "pic.png", "name": "seen.png"}}}`)["id"]

	s := r.events(id)
	if ct := s.resp.Header.Get("Content-Type"); ct != "text/event-stream" || s.resp.StatusCode != 200 {
		t.Fatalf("the stream: %d %s", s.resp.StatusCode, ct)
	}
	if e := s.until("where the job stands", func(event) bool { return true }); e.name != "status" || e.data["status"] != "queued" || e.data["queue_position"] != 0.0 {
		t.Errorf("the first event is %v", e)
	}
	r.steps(3)
	s.until("the start", isStatus("running"))
	var output, preview, progress event
	note := func(e event) event {
		switch e.name {
		case "output":
			output = e
		case "preview":
			preview = e
		case "progress":
			progress = e
		}
		return e
	}
	r.steps(1)
	s.until("a preview", func(e event) bool { return note(e).name == "preview" })
	r.steps(2)
	last := s.until("the end", func(e event) bool { return isStatus("succeeded")(note(e)) })
	if output.data["name"] != "seen.png" || output.data["type"] != "image" {
		t.Errorf("the output is %v", output)
	}
	if preview.data["content_type"] != "image/jpeg" || preview.data["node_id"] != "g" || preview.data["data_base64"] == "" {
		t.Errorf("the preview is %v", preview)
	}
	if progress.data["nodes_total"] != 2.0 {
		t.Errorf("the progress is %v", progress)
	}
	if e, more := s.next(); more {
		t.Errorf("after the end comes %v", e)
	}

	again := r.events(id)
	if e, _ := again.next(); !isStatus("succeeded")(e) {
		t.Errorf("a finished job's stream begins with %v", e)
	}
	if e, more := again.next(); more {
		t.Errorf("and goes on with %v", e)
	}
	resumed := r.events(id, "Last-Event-ID", output.id)
	resumed.until("the end", isStatus("succeeded"))
	after := r.events(id, "Last-Event-ID", last.id)
	if e, more := after.next(); more && !isStatus("succeeded")(e) {
		t.Errorf("behind the last event comes %v", e)
	}
}

// TestV2EventsResume: a client that reconnects with the id of the last event gets what was missed, in order, and nothing twice.
func TestV2EventsResume(t *testing.T) {
	t.Parallel()
	r := startV2(t, false, nil)
	id := r.submit(`{"c": {"class_type": "Copies", "inputs": {"file": "pic.png", "name": "one.png", "after": ["g", 0]}},
		"g": {"class_type": "Gated", "inputs": {"file": "x"}}}`)["id"]
	s := r.events(id)
	begun := s.until("the start", isStatus("running"))
	s.close()
	r.steps(3)
	r.ends(id, "succeeded")

	missed := r.events(id, "Last-Event-ID", begun.id)
	outputs, ends := 0, 0
	for {
		e, ok := missed.next()
		if !ok {
			break
		}
		switch {
		case e.name == "output":
			outputs++
		case isStatus("running")(e):
			t.Error("the start is told twice")
		case isStatus("succeeded")(e):
			ends++
		}
	}
	if outputs != 1 || ends != 1 {
		t.Errorf("%d outputs and %d ends were told, want one each", outputs, ends)
	}

	// An id of another process: all that can still be told.
	foreign := r.events(id, "Last-Event-ID", "0123456789ab-3")
	outputs = 0
	foreign.until("the end", func(e event) bool {
		if e.name == "output" {
			outputs++
		}
		if e.name == "preview" {
			t.Error("the preview of a job that has ended is still kept")
		}
		return isStatus("succeeded")(e)
	})
	if outputs != 1 {
		t.Errorf("%d outputs are told after a restart, want 1", outputs)
	}
}

func TestV2EventsCancel(t *testing.T) {
	t.Parallel()
	r := startV2(t, false, nil)
	running := r.submit(gatedWorkflow("a"))["id"]
	waits := r.submit(gatedWorkflow("b"))["id"]
	one, two := r.events(running), r.events(waits)
	one.until("the start", isStatus("running"))
	two.until("its place", isStatus("queued"))
	r.call(200, "POST", "/api/v2/jobs/"+waits.(string)+"/cancel", "")
	two.until("the end of the waiting one", isStatus("canceled"))
	if e, more := two.next(); more {
		t.Errorf("after the end comes %v", e)
	}
	r.call(200, "POST", "/api/v2/jobs/"+running.(string)+"/cancel", "")
	one.until("the end of the running one", isStatus("canceled"))
}

func TestV2TooManyStreams(t *testing.T) {
	t.Parallel()
	r := startV2(t, false, nil)
	id := r.submit(gatedWorkflow("a"))["id"]
	for range 64 {
		if s := r.events(id); s.resp.StatusCode != 200 {
			t.Fatalf("a stream: %d", s.resp.StatusCode)
		}
	}
	s := r.events(id)
	if s.resp.StatusCode != 429 || s.resp.Header.Get("Retry-After") == "" {
		t.Errorf("one stream too many: %d", s.resp.StatusCode)
	}
	r.stop() // a server that ends does not wait for its streams
}
