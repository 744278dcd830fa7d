package tests_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"comfygo/demo"
)

// node is one node of an API workflow.
type node struct {
	Class  string         `json:"class_type"`
	Inputs map[string]any `json:"inputs"`
}

type workflow map[string]*node

// demoWorkflow is the example workflow with some inputs changed: "3.seed" to a value.
func demoWorkflow(t *testing.T, changes map[string]any) workflow {
	t.Helper()
	var w workflow
	if err := json.Unmarshal(demo.Workflow, &w); err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		id, field, ok := strings.Cut(name, ".")
		if !ok || w[id] == nil {
			t.Fatalf("the example workflow has no input %s", name)
		}
		w[id].Inputs[field] = changes[name]
	}
	return w
}

// link is a link to an output.
func link(id string, slot int) []any { return []any{id, slot} }

// of returns the ids of the nodes of a class, sorted.
func (w workflow) of(class string) []string {
	var ids []string
	for id, n := range w {
		if n.Class == class {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}
