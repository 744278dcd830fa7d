package conditioning_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/nodes/conditioning"
	"comfygo/tests/golden"
)

// recorded is a call of a node that ComfyUI made.
type recorded struct {
	ID, Class string
	Args      map[string]any
	Tensors   map[string]any
	Scalars   []any
}

// exact allows for the rounding of one fused product.
var exact = golden.Tolerance{MaxAbs: 6e-7}

// TestNodesGoldens runs every recorded call of a class that changes conditionings.
func TestNodesGoldens(t *testing.T) {
	t.Parallel()
	var file struct{ Cases []recorded }
	stored := golden.Load(t, "nodes/image", &file)
	ran := 0
	for _, c := range file.Cases {
		if !strings.HasPrefix(c.Class, "Conditioning") {
			continue
		}
		ran++
		t.Run(c.Class, func(t *testing.T) {
			t.Parallel()
			out := run(t, c)
			for name := range c.Tensors {
				golden.Compare(t, name, find(t, out, name).Data, stored.Get(t, c.ID+"/"+name).Data, exact)
			}
			compareValues(t, out, c.Scalars)
		})
	}
	if ran < 8 {
		t.Errorf("only %d calls ran", ran)
	}
}

func run(t *testing.T, c recorded) engine.Conditioning {
	t.Helper()
	class, ok := nodes.Default().Get(c.Class)
	if !ok {
		t.Fatal("there is no such class")
	}
	inputs := pyjson.NewObject()
	for name, arg := range c.Args {
		switch v := arg.(type) {
		case map[string]any:
			inputs.Set(name, entry(v["name"].(string), v["shape"].([]any)))
		case float64:
			if v == float64(int64(v)) {
				inputs.Set(name, int64(v))
			} else {
				inputs.Set(name, v)
			}
		}
	}
	n, err := class.Bind(inputs, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := n.Run(nodes.TestContext(t.Context(), nodes.Services{}))
	if err != nil {
		t.Fatal(err)
	}
	return r.Values[0].(engine.Conditioning)
}

// entry makes a conditioning from its recipe.
func entry(name string, dims []any) engine.Conditioning {
	var shape []int
	for _, d := range dims {
		shape = append(shape, int(d.(float64)))
	}
	return engine.Conditioning{{Tokens: golden.Normal(name, shape...), Pooled: golden.Normal(name+"p", 1, shape[2])}}
}

// find returns the tensor that the goldens call output.entry.0 or output.entry.1.key.
func find(t *testing.T, c engine.Conditioning, name string) *tensor.Tensor {
	t.Helper()
	parts := strings.SplitN(name, ".", 4)
	i, err := strconv.Atoi(parts[1])
	if err != nil || i >= len(c) {
		t.Fatalf("there is no %s", name)
	}
	if len(parts) == 4 && parts[3] == "pooled_output" {
		return c[i].Pooled
	}
	return c[i].Tokens
}

// compareValues compares what entries hold beside tensors: outputs of entries of pairs.
func compareValues(t *testing.T, c engine.Conditioning, scalars []any) {
	t.Helper()
	if len(scalars) == 0 {
		return
	}
	for i, pair := range scalars[0].([]any) {
		for key, want := range pair.([]any)[1].(map[string]any) {
			got := c[i].Values[key]
			if list, ok := want.([]any); ok {
				got, want = got.(sampling.Area), area(list)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s is %v, want %v", key, got, want)
			}
		}
	}
}

// area reads upstream's tuple: sizes, then offsets, perhaps "percentage" before them.
func area(tuple []any) sampling.Area {
	var a sampling.Area
	if tuple[0] == "percentage" {
		a.Percent, tuple = true, tuple[1:]
	}
	for i, v := range tuple {
		if i < len(tuple)/2 {
			a.Size = append(a.Size, v.(float64))
		} else {
			a.Offset = append(a.Offset, v.(float64))
		}
	}
	return a
}

func TestEntriesAreNotChanged(t *testing.T) {
	t.Parallel()
	ctx := nodes.TestContext(t.Context(), nodes.Services{})
	values := map[string]any{"strength": 3.0}
	c := engine.Conditioning{{Tokens: golden.Normal("keep", 1, 4, 2), Values: values}}
	tokens := slices.Clone(c[0].Tokens.Data)
	for _, n := range []nodes.Node{
		&conditioning.ConditioningSetAreaStrength{Conditioning: c, Strength: 1}, &conditioning.ConditioningZeroOut{Conditioning: c},
		&conditioning.ConditioningMultiply{Conditioning: c, Multiplier: 2}, &conditioning.ConditioningConcat{To: c, From: c},
		&conditioning.ConditioningAverage{To: c, From: c, Strength: 0.5}, &conditioning.ConditioningSetMask{Conditioning: c, Mask: tensor.New(2, 2)},
	} {
		if _, err := n.Run(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if len(values) != 1 || values["strength"] != 3.0 || !slices.Equal(c[0].Tokens.Data, tokens) {
		t.Errorf("a node has changed what it was given: %v", c[0])
	}
}

func TestMasks(t *testing.T) {
	t.Parallel()
	c := engine.Conditioning{{Tokens: tensor.New(1, 2, 2)}}
	r, err := (&conditioning.ConditioningSetMask{Conditioning: c, Mask: tensor.New(5, 7), Strength: 0.5, Area: "mask bounds"}).Run(nodes.TestContext(t.Context(), nodes.Services{}))
	if err != nil {
		t.Fatal(err)
	}
	v := r.Values[0].(engine.Conditioning)[0].Values
	if m := v["mask"].(*tensor.Tensor); !slices.Equal(m.Shape, []int{1, 5, 7}) || v["set_area_to_bounds"] != true || v["mask_strength"] != 0.5 {
		t.Errorf("got %v", v)
	}
}

func TestMultiply(t *testing.T) {
	t.Parallel()
	c := engine.Conditioning{{Tokens: golden.Normal("m", 1, 3, 2), Pooled: golden.Normal("p", 1, 2)}, {Tokens: golden.Normal("n", 1, 3, 2)}}
	r, err := (&conditioning.ConditioningMultiply{Conditioning: c, Multiplier: -1.5}).Run(nodes.TestContext(t.Context(), nodes.Services{}))
	if err != nil {
		t.Fatal(err)
	}
	out := r.Values[0].(engine.Conditioning)
	if out[0].Tokens.Data[3] != -1.5*c[0].Tokens.Data[3] || out[0].Pooled.Data[1] != -1.5*c[0].Pooled.Data[1] || out[1].Pooled != nil {
		t.Errorf("got %v", out)
	}
}

func TestConditioningsThatDoNotFit(t *testing.T) {
	t.Parallel()
	narrow := engine.Conditioning{{Tokens: tensor.New(1, 4, 2)}}
	wide := engine.Conditioning{{Tokens: tensor.New(1, 4, 3)}}
	many := engine.Conditioning{{Tokens: tensor.New(3, 4, 2)}}
	two := engine.Conditioning{{Tokens: tensor.New(2, 4, 2)}}
	for name, n := range map[string]nodes.Node{
		"concat widths":  &conditioning.ConditioningConcat{To: narrow, From: wide},
		"concat nothing": &conditioning.ConditioningConcat{To: narrow},
		"concat rows":    &conditioning.ConditioningConcat{To: two, From: narrow},
		"concat no text": &conditioning.ConditioningConcat{To: narrow, From: engine.Conditioning{{}}},
		"average widths": &conditioning.ConditioningAverage{To: wide, From: narrow},
		"average rows":   &conditioning.ConditioningAverage{To: many, From: two},
		"average none":   &conditioning.ConditioningAverage{To: wide},
		"no mask":        &conditioning.ConditioningSetMask{Conditioning: narrow},
		"a flat mask":    &conditioning.ConditioningSetMask{Conditioning: narrow, Mask: tensor.New(4)},
	} {
		if _, err := n.Run(nodes.TestContext(t.Context(), nodes.Services{})); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
