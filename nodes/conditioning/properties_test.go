package conditioning_test

import (
	"testing"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/nodes/conditioning"
)

// call runs a class by its inputs as the executor does.
func call(t *testing.T, class string, inputs ...any) []any {
	t.Helper()
	c, ok := nodes.Default().Get(class)
	if !ok {
		t.Fatalf("there is no class %s", class)
	}
	n, err := c.Bind(pyjson.NewObject(inputs...), nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := n.Run(nodes.TestContext(t.Context(), nodes.Services{}))
	if err != nil {
		t.Fatal(err)
	}
	return r.Values
}

// named makes a conditioning that can be told from others.
func named(name string) engine.Conditioning {
	return engine.Conditioning{{Tokens: tensor.New(1, 1, 1), Values: map[string]any{"name": name}}}
}

func names(c engine.Conditioning) string {
	s := ""
	for _, e := range c {
		s += e.Values["name"].(string)
	}
	return s
}

func TestPropertiesOfTheNewEntryOnly(t *testing.T) {
	t.Parallel()
	ranges := call(t, "ConditioningTimestepsRange", "start_percent", 0.25, "end_percent", 0.75)
	for i, want := range []conditioning.Range{{Start: 0.25, End: 0.75}, {Start: 0, End: 0.25}, {Start: 0.75, End: 1}} {
		if got := *ranges[i].(*conditioning.Range); got != want {
			t.Errorf("range %d is %v, want %v", i, got, want)
		}
	}
	for _, c := range []struct {
		class  string
		inputs []any
		sides  []string
	}{
		{"ConditioningSetProperties", []any{"cond_NEW", named("a")}, []string{"a"}},
		{"ConditioningSetPropertiesAndCombine", []any{"cond", named("o"), "cond_NEW", named("a")}, []string{"oa"}},
		{"PairConditioningSetProperties", []any{"positive_NEW", named("a"), "negative_NEW", named("b")}, []string{"a", "b"}},
		{"PairConditioningSetPropertiesAndCombine", []any{
			"positive", named("o"), "negative", named("u"), "positive_NEW", named("a"), "negative_NEW", named("b"),
		}, []string{"oa", "ub"}},
	} {
		t.Run(c.class, func(t *testing.T) {
			t.Parallel()
			inputs := append(c.inputs, "strength", 0.5, "set_cond_area", "mask bounds", "mask", tensor.New(1, 4, 4), "timesteps", ranges[1])
			for i, v := range call(t, c.class, inputs...) {
				side := v.(engine.Conditioning)
				if names(side) != c.sides[i] {
					t.Errorf("side %d is %q, want %q", i, names(side), c.sides[i])
				}
				last := side[len(side)-1].Values
				if last["mask"] == nil || last["mask_strength"] != 0.5 || last["set_area_to_bounds"] != true || last["start_percent"] != 0.0 || last["end_percent"] != 0.25 {
					t.Errorf("side %d: the new entry has %v", i, last)
				}
				if len(side) > 1 && len(side[0].Values) != 1 {
					t.Errorf("side %d: the old entry has %v", i, side[0].Values)
				}
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	single := call(t, "ConditioningSetDefaultCombine", "cond", named("a"), "cond_DEFAULT", named("b"))
	pair := call(t, "PairConditioningSetDefaultCombine", "positive", named("a"), "negative", named("c"), "positive_DEFAULT", named("b"), "negative_DEFAULT", named("d"))
	for i, v := range append(single, pair...) {
		c := v.(engine.Conditioning)
		if want := []string{"ab", "ab", "cd"}[i]; names(c) != want {
			t.Errorf("%q, want %q", names(c), want)
		}
		if c[0].Values["default"] != nil || c[1].Values["default"] != true {
			t.Errorf("the entries have %v and %v", c[0].Values, c[1].Values)
		}
	}
	both := call(t, "PairConditioningCombine", "positive_A", named("a"), "negative_A", named("b"), "positive_B", named("c"), "negative_B", named("d"))
	if a, b := names(both[0].(engine.Conditioning)), names(both[1].(engine.Conditioning)); a != "ac" || b != "bd" {
		t.Errorf("got %q and %q", a, b)
	}
}

// tags are hooks that only have names.
type tags string

func (s tags) Join(others conditioning.Hooks) conditioning.Hooks { return s + others.(tags) }

func TestHooksAddUp(t *testing.T) {
	t.Parallel()
	c := call(t, "ConditioningSetProperties", "cond_NEW", named("a"), "strength", 1.0, "set_cond_area", "default", "hooks", tags("x"))[0]
	c = call(t, "ConditioningSetDefaultCombine", "cond", named("b"), "cond_DEFAULT", c, "hooks", tags("y"))[0]
	got := c.(engine.Conditioning)
	if got[1].Values["hooks"] != tags("xy") || got[0].Values["hooks"] != nil || got[1].Values["mask"] != nil {
		t.Errorf("got %v and %v", got[0].Values, got[1].Values)
	}
}
