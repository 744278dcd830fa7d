package executor_test

import (
	"fmt"
	"strings"
	"testing"

	"comfygo/engine/warning"
	"comfygo/executor"
	"comfygo/nodes"
)

// warner warns of two things, of one of them twice.
type warner struct{}

func (*warner) Spec() nodes.Spec { return named("Warner", "INT") }
func (*warner) Run(ctx *nodes.Context) (nodes.Result, error) {
	warning.Add(ctx, "left out")
	warning.Add(ctx, "left out")
	warning.Add(ctx, strings.Repeat("x", 1000))
	return nodes.Out(int64(1)), nil
}

// TestWarnings runs a node that warns twice: the client gets both texts, the history has them, and a second run that takes the
// node's result from the cache has them again.
func TestWarnings(t *testing.T) {
	t.Parallel()
	ex := executor.New(executor.Config{Registry: registry(t, &counted{}, &warner{})})
	for run := range 2 { // the second run has another node behind the one that warned
		prompt := fmt.Sprintf(`{"1": {"class_type": "Warner", "inputs": {}}, "2": {"class_type": "ConfSink", "inputs": {"value": ["3", 0]}},
			"3": {"class_type": "Counted", "inputs": {"label": "x", "a": ["1", 0], "b": %d}}}`, run)
		r, events, _ := runPrompt(t.Context(), t, ex, fmt.Sprint(t.Name(), run), prompt)
		if !r.Success {
			t.Fatal("the job failed")
		}
		out := r.Outputs.Object("1")
		if out == nil {
			t.Fatalf("run %d: no output of the node that warned", run)
		}
		list, _ := out.Get(nodes.UIWarnings)
		texts, _ := list.([]any)
		if len(texts) != 2 || texts[0] != "left out" || len(texts[1].(string)) > 510 {
			t.Errorf("run %d: warnings %v", run, list)
		}
		shown := 0
		for _, e := range events {
			if e.Type == executor.EventText && e.Data.String("node") == "1" {
				shown++
			}
		}
		if want := 2 * (1 - run); shown != want {
			t.Errorf("run %d: %d texts at the node, want %d", run, shown, want)
		}
	}
}
