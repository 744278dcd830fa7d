package tests_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"comfygo/internal/apiclient"
	"comfygo/tests/golden"
)

// interruptLimit bounds how long an interrupt may take to show.
const interruptLimit = 10 * time.Second

// TestCancel interrupts a prompt while its model is being loaded and while it samples, and checks
// that the server still works.
func TestCancel(t *testing.T) {
	t.Parallel()
	server := start(t, "--demo-model", "--models-directory", golden.Models(t, "sd15-small"))
	still := server.stillWorks(t)
	tests := []struct {
		name  string
		cut   string // type of the message at which the interrupt is sent
		steps int
	}{
		{name: "loading", cut: "executing", steps: 2},
		{name: "sampling", cut: "progress", steps: 10000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			changes := map[string]any{"3.steps": tt.steps, "3.seed": tt.steps}
			if tt.name == "loading" {
				changes["4.ckpt_name"] = "sd15-small.safetensors"
			}
			took := server.interruptAt(t, demoWorkflow(t, changes), tt.cut)
			if took > interruptLimit {
				t.Errorf("the interrupt took %v", took)
			}
			still()
		})
	}
}

// interruptAt interrupts a prompt when a message of the type comes and returns how long it took until
// the prompt had ended as interrupted.
func (i *instance) interruptAt(t *testing.T, w workflow, cut string) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	const name = "canceller"
	socket, err := i.Dial(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	var sent time.Time
	ended := false
	result, err := i.Follow(ctx, socket, name, w, func(m apiclient.Message) {
		if m.Type == cut && sent.IsZero() {
			sent = time.Now()
			if err := i.Post(ctx, "/interrupt", nil, nil); err != nil {
				t.Error(err)
			}
		}
		if m.Type == "execution_interrupted" {
			ended = true
			var of struct {
				NodeID   string          `json:"node_id"`
				NodeType string          `json:"node_type"`
				Executed json.RawMessage `json:"executed"`
			}
			if err := json.Unmarshal(m.Data, &of); err != nil || of.NodeID == "" || of.NodeType == "" || of.Executed == nil {
				t.Errorf("incomplete message %s (%v)", m.Data, err)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if sent.IsZero() || !ended || result.Status.Completed {
		t.Errorf("sent %v, interrupted %v, completed %v (%s)", !sent.IsZero(), ended, result.Status.Completed, result.Status.Text)
	}
	return time.Since(sent)
}
