package executor_test

import (
	"strings"
	"testing"

	"comfygo/executor"
	"comfygo/internal/pyjson"
)

// TestShownIsCut looks for a long text in everything that a job leaves behind: outputs, events and messages.
func TestShownIsCut(t *testing.T) {
	t.Parallel()
	ex := executor.New(executor.Config{Registry: registry(t, &bulk{}, &misbehaving{}), Limits: executor.Limits{Text: 1000, JobText: 4000}})
	for name, prompt := range map[string]string{
		"outputs": `{"1": {"class_type": "Bulk", "inputs": {"bytes": 50000, "kind": "text"}}, "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}}}`,
		"error":   `{"1": {"class_type": "Bulk", "inputs": {"bytes": 50000, "kind": "text"}}, "2": {"class_type": "Misbehaving", "inputs": {"how": ["1", 0]}}}`,
	} {
		r, events, _ := runPrompt(t.Context(), t, ex, t.Name()+name, prompt)
		size := 0
		add := func(o *pyjson.Object) {
			b, err := pyjson.Marshal(o)
			if err != nil {
				t.Fatal(err)
			}
			size = max(size, len(b))
		}
		add(r.Outputs)
		for _, m := range r.Messages {
			add(m.Data)
		}
		for _, e := range events {
			if e.Data != nil {
				add(e.Data)
			}
		}
		if size > 8000 {
			t.Errorf("%s: %d bytes are shown of a text of 50000", name, size)
		}
		if name == "outputs" && !strings.Contains(show(r.Outputs), "[cut: the first 1000 of 50000 bytes]") {
			t.Errorf("%s: no mark in %s", name, show(r.Outputs))
		}
	}
}
