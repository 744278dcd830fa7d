package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestManyNodes runs a prompt of many nodes: the state of all of them is not sent at each change, but a client has the last state before
// the message of the end.
func TestManyNodes(t *testing.T) {
	t.Parallel()
	const pairs = 1000
	var prompt []string
	for i := range pairs {
		prompt = append(prompt, fmt.Sprintf(`"n%d": {"class_type": "Number", "inputs": {"value": %d}}, "s%d": {"class_type": "Show", "inputs": {"value": ["n%d", 0]}}`, i, i%100, i, i))
	}
	r := start(t, nil)
	conn := r.dial("mine")
	conn.SetReadLimit(1 << 24)
	id := r.queue(`{"client_id": "mine", "prompt": {` + strings.Join(prompt, ",") + `}}`)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	states, last := 0, map[string]struct{ State string }{}
	for {
		_, data, err := conn.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var m struct {
			Type string
			Data struct{ Nodes json.RawMessage }
		}
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatal(err)
		}
		if m.Type == "execution_success" {
			break
		}
		if m.Type == "progress_state" {
			states++
			clear(last)
			if err := json.Unmarshal(m.Data.Nodes, &last); err != nil {
				t.Fatal(err)
			}
		}
	}
	if states < 100 || states > 2*pairs {
		t.Errorf("%d states were sent", states)
	}
	for node, row := range last {
		if row.State != "finished" {
			t.Errorf("at the end node %s is %s", node, row.State)
		}
	}
	if len(last) != 2*pairs {
		t.Errorf("the last state has %d nodes", len(last))
	}
	var job struct {
		Progress struct{ Nodes map[string]any } `json:"progress"`
	}
	text := r.do("GET", "/api/jobs/"+id, "").body
	if err := json.Unmarshal([]byte(text), &job); err != nil || !strings.Contains(text, `"completed"`) {
		t.Errorf("the job: %v, %.300s", err, text)
	}
}
