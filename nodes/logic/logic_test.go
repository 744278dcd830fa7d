package logic_test

import (
	"testing"

	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/nodes/conditioning"
	"comfygo/nodes/logic"
)

func values(v ...any) nodes.Grown { return nodes.Grown{Names: make([]string, len(v)), Values: v} }

func TestResults(t *testing.T) {
	t.Parallel()
	nested, err := pyjson.Unmarshal([]byte(`{"ä": [1, {}], "b": []}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		node nodes.Node
		want string
	}{
		"int":         {&logic.PrimitiveInt{Value: int64(7)}, "[7]"},
		"whole float": {&logic.PrimitiveFloat{Value: int64(7)}, "[7]"},
		"any as text": {&logic.PrimitiveString{Value: []any{1.0, nil}}, "[[1.0, None]]"},
		"not empty":   {&logic.Not{Value: ""}, "[True]"},
		"not list":    {&logic.Not{Value: []any{nil}}, "[False]"},
		"and":         {&logic.And{Values: values(int64(1), "x", true)}, "[True]"},
		"and not":     {&logic.And{Values: values(int64(1), 0.0)}, "[False]"},
		"or":          {&logic.Or{Values: values(nil, "", int64(2))}, "[True]"},
		"or none":     {&logic.Or{Values: values(nil, "")}, "[False]"},
		"switch":      {&logic.Switch{Switch: true, OnTrue: "a", OnFalse: "b"}, "['a']"},
		"switch off":  {&logic.Switch{OnTrue: "a", OnFalse: "b"}, "['b']"},
		"any text":    {&logic.PreviewAny{Source: "x'y"}, `["x'y"]`},
		"any float":   {&logic.PreviewAny{Source: 1.0}, "['1.0']"},
		"any nothing": {&logic.PreviewAny{}, "['None']"},
		"any nested":  {&logic.PreviewAny{Source: nested}, `['{\n    "ä": [\n        1,\n        {}\n    ],\n    "b": []\n}']`},
		"any range":   {&logic.PreviewAny{Source: &conditioning.Range{Start: 0, End: 0.5}}, `['[\n    0.0,\n    0.5\n]']`},
		"any sigmas":  {&logic.PreviewAny{Source: []float32{14.6, 1, 0}}, `['tensor([14.6000,  1.0000,  0.0000])']`},
		"not zero":    {&logic.Not{Value: tensor.New(1)}, "[True]"},
		"and short":   {&logic.And{Values: values(false, tensor.New(2))}, "[False]"},
		"combo":       {&logic.CustomCombo{Choice: "mine"}, "['mine', 0]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := c.node.Run(nodes.TestContext(t.Context(), nodes.Services{}))
			if err != nil {
				t.Fatal(err)
			}
			if got := pyjson.Repr(r.Values); got != c.want {
				t.Errorf("have %s, want %s", got, c.want)
			}
		})
	}
}

// TestTensorsWithoutTruth: what has several elements is neither true nor false.
func TestTensorsWithoutTruth(t *testing.T) {
	t.Parallel()
	for name, node := range map[string]nodes.Node{
		"not":        &logic.Not{Value: tensor.New(1, 2)},
		"not sigmas": &logic.Not{Value: []float32{1, 0}},
		"and":        &logic.And{Values: values(true, tensor.New(3))},
		"or":         &logic.Or{Values: values(false, tensor.New(3))},
	} {
		if _, err := node.Run(nodes.TestContext(t.Context(), nodes.Services{})); nodes.ExceptionType(err) != "RuntimeError" {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestSwitchAsksForOne(t *testing.T) {
	t.Parallel()
	ctx := nodes.TestContext(t.Context(), nodes.Services{})
	for _, on := range []bool{false, true} {
		need, err := (&logic.Switch{Switch: on}).CheckLazy(ctx)
		want := map[bool]string{false: "on_false", true: "on_true"}[on]
		if err != nil || len(need) != 1 || need[0] != want {
			t.Errorf("asks for %v (%v), want %s", need, err, want)
		}
	}
}
