package sampling_test

import (
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/tests/golden"
)

// TestCustomWorkflowsEqualUpstream runs workflows with sampler nodes, guiders, model samplings and hooks on guidance, each node as the
// registry makes it from the workflow.
func TestCustomWorkflowsEqualUpstream(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"pipeline/custom", "pipeline/hooks"} {
		var cases map[string]map[string]step
		want := golden.Load(t, file, &cases)
		for name, steps := range cases {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w := &workflow{t: t, steps: steps, done: map[string][]any{}}
				for id, s := range steps {
					if s.Class != "SaveLatent" {
						continue
					}
					slot, _, _ := strings.Cut(s.Inputs["filename_prefix"].(string), "/")
					got := w.evalClass(id)[0].(engine.Latent)
					golden.Compare(t, slot, got.Samples.Data, want.Get(t, name+"/"+slot).Data, whole)
				}
			})
		}
	}
}

// evalClass is eval with registered classes if there are any; other classes are made by hand.
func (w *workflow) evalClass(id string) []any {
	w.t.Helper()
	if out, ok := w.done[id]; ok {
		return out
	}
	s := w.steps[id]
	values := pyjson.NewObject()
	for name, v := range s.Inputs {
		if link, ok := v.([]any); ok {
			v = w.evalClass(link[0].(string))[int(link[1].(float64))]
		}
		values.Set(name, v)
	}
	var out []any
	class, ok := nodes.Default().Get(s.Class)
	switch {
	case ok:
		out = runClass(w.t, class, values)
	default:
		out = w.eval(id)
	}
	w.done[id] = out
	return out
}

// runClass runs a node of a class.
func runClass(t *testing.T, class *nodes.Class, values *pyjson.Object) []any {
	t.Helper()
	node, err := class.Bind(values, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := node.Run(nodes.TestContext(t.Context(), nodes.Services{Engine: runtime}))
	if err != nil {
		t.Fatalf("%s: %v", class.Name, err)
	}
	return r.Values
}
