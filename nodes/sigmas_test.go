package nodes_test

import (
	"slices"
	"testing"

	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

type scheduled struct {
	Sigmas []float32      `in:"sigmas" type:"SIGMAS"`
	Prompt *pyjson.Object `hidden:"PROMPT" in:"prompt"`
}

func (*scheduled) Spec() nodes.Spec {
	return nodes.Spec{Name: "Scheduled", Category: "test", Outputs: nodes.Outputs("SIGMAS")}
}

func (s *scheduled) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Result{Values: []any{s.Sigmas}}, nil
}

func TestSigmasFromPython(t *testing.T) {
	t.Parallel()
	c, err := nodes.NewClass(&scheduled{})
	if err != nil {
		t.Fatal(err)
	}
	if !c.TakesHidden() {
		t.Error("the hidden prompt does not count")
	}
	for name, shape := range map[string][]int{"a row": {3}, "a matrix": {1, 3}} {
		n, err := c.Bind(pyjson.NewObject("sigmas", &tensor.Tensor{Shape: shape, Data: []float32{3, 1, 0}}), nil)
		if len(shape) != 1 {
			if err == nil {
				t.Errorf("%s: no error", name)
			}
			continue
		}
		if err != nil || !slices.Equal(n.(*scheduled).Sigmas, []float32{3, 1, 0}) {
			t.Errorf("%s: %v, %v", name, n, err)
		}
	}
}
