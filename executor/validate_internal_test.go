package executor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// sink is an output node that needs up to four values; checks counts and may end its validation.
type sink struct {
	Value any `in:"value" type:"INT"`
	B     any `in:"b" type:"INT" optional:"true"`
	C     any `in:"c" type:"INT" optional:"true"`
	D     any `in:"d" type:"INT" optional:"true"`
	How   any `in:"how" type:"INT" optional:"true"`
}

// onCheck is called by the validator of sinks whose "how" is set, in TestValidationEndsWithItsRequest only.
var onCheck func()

func (*sink) Spec() nodes.Spec {
	return nodes.Spec{Name: "Sink", DisplayName: "Sink", Category: "test", OutputNode: true, Outputs: nodes.Outputs("INT"), Validates: []string{"how"}}
}
func (*sink) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(int64(1)), nil }
func (n *sink) ValidateInputs(*nodes.Context) error {
	if onCheck != nil && n.How != nil {
		onCheck()
	}
	return nil
}

func sinks(t *testing.T, l Limits) *Executor {
	t.Helper()
	r := nodes.NewRegistry()
	if err := r.Add(&sink{}); err != nil {
		t.Fatal(err)
	}
	return New(Config{Registry: r, Limits: l})
}

func promptOf(n int, inputs func(i int) string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `%q: {"class_type": "Sink", "inputs": {%s}},`, fmt.Sprint(i), inputs(i))
	}
	return "{" + strings.TrimSuffix(b.String(), ",") + "}"
}

// TestValidationIsLinear counts the work on prompts whose errors concern each other.
func TestValidationIsLinear(t *testing.T) {
	t.Parallel()
	const most = 2000 // where 600 broken outputs make 180,000 pairs, and 6 chains of 100 nodes 20,000 marks
	for name, inputs := range map[string]func(n int) func(i int) string{
		"broken outputs": func(int) func(int) string { return func(int) string { return "" } },
		// Chains in which each node needs the next, and one that is up to 100 nodes back, twice.
		"cycles that share nodes": func(n int) func(int) string {
			return func(i int) string {
				first := i - i%100
				return fmt.Sprintf(`"value": ["%d", 0], "b": ["%d", 0], "c": ["%d", 0]`, min(i+1, n-1), first, (first+i)/2)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			work := func(n int) int {
				o, err := pyjson.UnmarshalObject([]byte(promptOf(n, inputs(n))))
				if err != nil {
					t.Fatal(err)
				}
				e := sinks(t, Limits{})
				v := &validation{ctx: t.Context(), e: e, prompt: o, done: map[string]*checked{}, onPath: map[string]int{}, errors: pyjson.NewObject(), most: bounds{most, most}}
				if verdict := v.outputs(o.Keys()); verdict.OK || verdict.NodeErrors.Len() == 0 {
					t.Fatalf("verdict %v", verdict.OK)
				}
				return v.work
			}
			// What goes beyond the bound is at most one pass over the nodes, and one for each node.
			for _, n := range []int{300, 600} {
				if done := work(n); done > most+2*n {
					t.Errorf("%d steps for %d nodes", done, n)
				}
			}
		})
	}
}

func TestTooManyNodes(t *testing.T) {
	t.Parallel()
	e := sinks(t, Limits{Nodes: 3})
	for n, want := range map[int]string{3: "", 4: "too_many_nodes"} {
		o, err := pyjson.UnmarshalObject([]byte(promptOf(n, func(int) string { return `"value": 1` })))
		if err != nil {
			t.Fatal(err)
		}
		v, err := e.Validate(t.Context(), "p", o, nil)
		if err != nil || v.OK != (want == "") || v.Error.String("type") != want {
			t.Errorf("%d nodes: %v, %v, want %q", n, v.Error, err, want)
		}
	}
}

// TestValidationEndsWithItsRequest cancels the request while the third of many nodes is checked.
func TestValidationEndsWithItsRequest(t *testing.T) { //nolint:paralleltest // onCheck is shared
	ctx, cancel := context.WithCancelCause(t.Context())
	checks := 0
	onCheck = func() {
		if checks++; checks == 3 {
			cancel(errors.New("the client has left"))
		}
	}
	defer func() { onCheck = nil }()
	o, err := pyjson.UnmarshalObject([]byte(promptOf(100, func(int) string { return `"value": 1, "how": 1` })))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sinks(t, Limits{}).Validate(ctx, "p", o, nil); err == nil || err.Error() != "the client has left" || checks != 3 {
		t.Errorf("error %v after %d checks, want the context's cause after 3", err, checks)
	}
}

func TestTargets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		targets any
		id      string
		want    bool
		err     bool
	}{
		{nil, "1", true, false},
		{[]any{"2", int64(1), "1"}, "1", true, false},
		{[]any{int64(1)}, "1", false, false},
		{"212", "1", true, false},
		{strings.Repeat("1", mostTargetText+1), "1", false, true},
		{pyjson.NewObject("1", nil), "1", true, false},
		{int64(1), "1", false, true},
	} {
		wanted, err := targeted(c.targets)
		if (err != nil) != c.err || err == nil && wanted(c.id) != c.want {
			t.Errorf("%.20v: %v", c.targets, err)
		}
	}
}

// TestCut cuts what is shown by small limits.
func TestCut(t *testing.T) {
	t.Parallel()
	file := pyjson.NewObject("filename", "a.png", "subfolder", "", "type", "output")
	long := strings.Repeat("ä", 400)
	for name, v := range map[string]any{
		"a text": long, "many texts": []any{long, long, long, long, long}, "numbers": make([]any, 10000),
		"members": func() *pyjson.Object {
			o := pyjson.NewObject()
			for i := range 1000 {
				o.Set(fmt.Sprint(i), long)
			}
			return o
		}(),
	} {
		c := newCutter(Limits{Text: 300, JobText: 1000})
		got, err := pyjson.Marshal(c.value(v))
		if err != nil || len(got) > 8000 || !strings.Contains(string(got), "[cut: the first ") {
			t.Errorf("%s: %d bytes (%v) %.100s", name, len(got), err, got)
		}
	}
	c := newCutter(Limits{Text: 300, JobText: 1000})
	files := make([]any, 500)
	for i := range files {
		files[i] = file
	}
	if got := c.value(append([]any{strings.Repeat(long, 10), strings.Repeat(long, 10), strings.Repeat(long, 10), strings.Repeat(long, 10)}, files...)).([]any); len(got) != 504 || got[503] != file {
		t.Errorf("of 500 files %d are left", len(got)-4)
	}
	once := newCutter(Limits{Text: 300, JobText: 1000}).string(long)
	if again := newCutter(Limits{Text: 300, JobText: 1000}).string(once); again != once {
		t.Errorf("what was cut is cut again: %q", again)
	}
	short := []any{"a", int64(1), pyjson.NewObject("b", "c")}
	if got, _ := pyjson.Marshal(newCutter(Limits{Text: 300, JobText: 1000}).value(short)); string(got) != `["a", 1, {"b": "c"}]` {
		t.Errorf("a short value became %s", got)
	}
}
