package executor_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"comfygo/executor"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// counter counts the runs of its node by label.
type counter struct {
	mu   sync.Mutex
	runs map[string]int
}

func (c *counter) add(label string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.runs == nil {
		c.runs = map[string]int{}
	}
	c.runs[label]++
}

// counted adds up its inputs and counts its runs.
type counted struct {
	Label string `in:"label"`
	A     int64  `in:"a" default:"0"`
	B     int64  `in:"b" optional:"true" default:"0"`
}

// counters holds a counter for each prompt that is being run.
var counters sync.Map

func (*counted) Spec() nodes.Spec { return named("Counted", "INT") }
func (n *counted) Run(ctx *nodes.Context) (nodes.Result, error) {
	if c, ok := counters.Load(ctx.PromptID); ok {
		c.(*counter).add(n.Label)
	}
	return nodes.Out(n.A + n.B), nil
}

// misbehaving panics in its own goroutine, in a helper's, or waits for its context.
type misbehaving struct {
	How string `in:"how"`
}

func (*misbehaving) Spec() nodes.Spec { return output(named("Misbehaving", "INT")) }
func (n *misbehaving) Run(ctx *nodes.Context) (nodes.Result, error) {
	switch n.How {
	case "panic":
		return nodes.Out([]int{}[len(n.How)]), nil
	case "goroutine":
		var g nodes.Group
		g.Go(func() error { panic("in a helper") })
		return nodes.Result{}, g.Wait()
	case "wait":
		<-ctx.Done()
		return nodes.Result{}, fmt.Errorf("the library gave up")
	case "count":
		return nodes.Out(1, 2), nil
	case "ui":
		return nodes.WithUI("text", 7), nil
	}
	if len(n.How) > 10_000 {
		return nodes.Result{}, fmt.Errorf("too long: %s", n.How)
	}
	return nodes.Out(int64(1)), nil
}

// pastFingerprint has a fingerprint that the test sets.
type pastFingerprint struct {
	Value any `in:"value"`
}

func (*pastFingerprint) Spec() nodes.Spec { return named("Fingerprinted", "INT") }
func (n *pastFingerprint) Fingerprint(*nodes.Context) (any, error) {
	if n.Value == "never" {
		return math.NaN(), nil
	}
	return "same", nil
}

func (n *pastFingerprint) Run(ctx *nodes.Context) (nodes.Result, error) {
	if c, ok := counters.Load(ctx.PromptID); ok {
		c.(*counter).add("fingerprinted")
	}
	return nodes.Out(int64(7)), nil
}

func parse(t testing.TB, text string) *pyjson.Object {
	t.Helper()
	o, err := pyjson.UnmarshalObject([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// runPrompt validates and runs a prompt and returns the result, the types of the events and the runs by label.
func runPrompt(ctx context.Context, t testing.TB, ex *executor.Executor, id, prompt string) (executor.Result, []executor.Event, map[string]int) {
	t.Helper()
	c := &counter{}
	counters.Store(id, c)
	defer counters.Delete(id)
	body := pyjson.NewObject("prompt", parse(t, prompt), "prompt_id", id, "client_id", "me")
	job := accept(t, ex, body)
	var mu sync.Mutex
	var events []executor.Event
	r := ex.Run(ctx, job, executor.SinkFunc(func(e executor.Event) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, e)
	}))
	return r, events, c.runs
}

func find(events []executor.Event, typ string) *pyjson.Object {
	for _, e := range events {
		if e.Type == typ {
			return e.Data
		}
	}
	return nil
}

// chain is a diamond: 1 feeds 2 and 3, both feed 4, which 5 shows.
const diamond = `{"1":{"class_type":"Counted","inputs":{"label":"one","a":%d}},"2":{"class_type":"Counted","inputs":{"label":"two","a":["1",0]}},
"3":{"class_type":"Counted","inputs":{"label":"three","a":["1",0],"b":%d}},"4":{"class_type":"Counted","inputs":{"label":"four","a":["2",0],"b":["3",0]}},
"5":{"class_type":"ConfSink","inputs":{"value":["4",0]}}}`

func TestCachesRunOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	steps := []struct {
		a, b int
		runs map[executor.CacheKind][]string
	}{
		{1, 1, map[executor.CacheKind][]string{}},
		{1, 1, map[executor.CacheKind][]string{executor.CacheRAM: {}, executor.CacheClassic: {}, executor.CacheLRU: {}}},
		{1, 2, map[executor.CacheKind][]string{executor.CacheRAM: {"three", "four"}, executor.CacheClassic: {"three", "four"}, executor.CacheLRU: {"three", "four"}}},
		{1, 1, map[executor.CacheKind][]string{executor.CacheRAM: {"three", "four"}, executor.CacheClassic: {"three", "four"}, executor.CacheLRU: {}}},
		{2, 1, map[executor.CacheKind][]string{}},
	}
	all := []string{"one", "two", "three", "four"}
	for name, config := range map[string]executor.CacheConfig{"ram": {}, "classic": {Kind: executor.CacheClassic}, "lru": {Kind: executor.CacheLRU, Size: 20}, "none": {Kind: executor.CacheNone}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ex := executor.New(executor.Config{Registry: registry(t, &counted{}, &misbehaving{}), Cache: config})
			for i, s := range steps {
				r, _, runs := runPrompt(t.Context(), t, ex, fmt.Sprintf("%s-%s-%d", t.Name(), name, i), fmt.Sprintf(diamond, s.a, s.b))
				want, listed := s.runs[config.Kind]
				if !listed {
					want = all
				}
				for _, label := range all {
					expected := 0
					if slices.Contains(want, label) {
						expected = 1
					}
					if runs[label] != expected {
						t.Errorf("step %d: %s ran %d times, want %d", i, label, runs[label], expected)
					}
				}
				if got := r.Outputs.Object("5"); got == nil || !r.Success {
					t.Errorf("step %d: no output: %s", i, show(r.Outputs))
				}
			}
		})
	}
}

func TestMemoryPressureDropsLargeResults(t *testing.T) {
	t.Parallel()
	free := int64(math.MaxInt64)
	config := executor.CacheConfig{Headroom: 1 << 30, InactiveHeadroom: 2 << 30, Available: func() int64 { return free }, Total: func() int64 { return 64 << 30 }}
	ex := executor.New(executor.Config{Registry: registry(t, &counted{}), Cache: config})
	run := func(id string, a int) map[string]int {
		_, _, runs := runPrompt(t.Context(), t, ex, t.Name()+id, fmt.Sprintf(diamond, a, 1))
		return runs
	}
	run("a", 1)
	run("b", 2)
	if runs := run("c", 1); len(runs) != 0 {
		t.Errorf("with memory to spare %v ran again", runs)
	}
	free = 3 << 29 // below what older prompts may use, enough for the running one
	run("d", 2)
	if runs := run("e", 1); runs["one"] != 1 {
		t.Errorf("under pressure the older prompt's results were kept: %v", runs)
	}
}

func TestFingerprints(t *testing.T) {
	t.Parallel()
	ex := executor.New(executor.Config{Registry: registry(t, &pastFingerprint{})})
	for i, c := range []struct {
		value string
		runs  int
	}{{"a", 1}, {"a", 0}, {"never", 1}, {"never", 1}} {
		prompt := fmt.Sprintf(`{"1":{"class_type":"Fingerprinted","inputs":{"value":%q}},"2":{"class_type":"ConfSink","inputs":{"value":["1",0]}}}`, c.value)
		_, _, runs := runPrompt(t.Context(), t, ex, fmt.Sprint(t.Name(), i), prompt)
		if runs["fingerprinted"] != c.runs {
			t.Errorf("run %d: ran %d times, want %d", i, runs["fingerprinted"], c.runs)
		}
	}
}

func TestFailuresBecomeMessages(t *testing.T) {
	t.Parallel()
	for how, want := range map[string]struct{ message, typ, trace string }{
		"panic":     {"runtime error: index out of range [5] with length 0\n", "RuntimeError", "misbehaving"},
		"goroutine": {"in a helper\n", "RuntimeError", "misbehaving"},
		"count":     {"Misbehaving gave 2 values for 1 outputs\n", "TypeError", "gave 2 values"},
		"ui":        {"'int' object is not iterable\n", "TypeError", "iterable"},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			ex := executor.New(executor.Config{Registry: registry(t, &misbehaving{})})
			r, events, _ := runPrompt(t.Context(), t, ex, t.Name(), fmt.Sprintf(`{"1":{"class_type":"Misbehaving","inputs":{"how":%q}}}`, how))
			e := find(events, "execution_error")
			if e == nil || r.Success || r.Interrupted {
				t.Fatalf("no error: %+v", r)
			}
			trace, _ := e.Get("traceback")
			if e.String("exception_message") != want.message || e.String("exception_type") != want.typ || !strings.Contains(show(trace), want.trace) {
				t.Errorf("have %s", show(e))
			}
			if show(e.Object("current_inputs")) != fmt.Sprintf(`{"how": [%q]}`, how) {
				t.Errorf("current inputs are %s", show(e.Object("current_inputs")))
			}
		})
	}
}

func TestInterrupt(t *testing.T) {
	t.Parallel()
	for _, prompt := range []string{
		`{"1":{"class_type":"Misbehaving","inputs":{"how":"wait"}}}`,
		`{"1":{"class_type":"ConfAsync","inputs":{"value":1,"ms":100000}},"2":{"class_type":"ConfSink","inputs":{"value":["1",0]}}}`,
		`{"1":{"class_type":"ConfSteps","inputs":{"steps":1000,"delay_ms":10000,"preview":"none","seed":1}},"2":{"class_type":"ConfSink","inputs":{"value":["1",0]}}}`,
	} {
		ex := executor.New(executor.Config{Registry: registry(t, &misbehaving{})})
		ctx, cancel := context.WithCancelCause(t.Context())
		stop := time.AfterFunc(50*time.Millisecond, func() { cancel(executor.ErrInterrupted) })
		start := time.Now()
		r, events, _ := runPrompt(ctx, t, ex, t.Name(), prompt)
		stop.Stop()
		if took := time.Since(start); took > 250*time.Millisecond {
			t.Errorf("the interrupt took %v", took)
		}
		e := find(events, "execution_interrupted")
		if e == nil || !r.Interrupted || r.Success || find(events, "execution_error") != nil {
			t.Fatalf("not interrupted: %+v", r)
		}
		if e.String("node_id") != "1" {
			t.Errorf("have %s", show(e))
		}
		if again, _, _ := runPrompt(t.Context(), t, ex, t.Name()+"again", `{"1":{"class_type":"Misbehaving","inputs":{"how":"ok"}}}`); !again.Success {
			t.Errorf("the interrupt reached the next job: %+v", again)
		}
	}
}

func TestWithoutClient(t *testing.T) {
	t.Parallel()
	ex := executor.New(executor.Config{Registry: registry(t)})
	body := parse(t, `{"prompt_id":"p","prompt":{"1":{"class_type":"ConfSteps","inputs":{"steps":1,"delay_ms":0,"preview":"png","seed":1}},"2":{"class_type":"ConfSink","inputs":{"value":["1",0]}}}}`)
	var types []string
	r := ex.Run(t.Context(), accept(t, ex, body), executor.SinkFunc(func(e executor.Event) {
		if !e.Broadcast {
			t.Errorf("%s is not for all clients", e.Type)
		}
		types = append(types, e.Type)
	}))
	want := []string{"progress_state", "progress_state", "progress", executor.EventPreview, "progress_state", "progress_state", "progress_state"}
	if !slices.Equal(types, want) {
		t.Errorf("have %v, want %v", types, want)
	}
	if len(r.Messages) != 3 || r.Messages[2].Event != "execution_success" {
		t.Errorf("the history has %v", r.Messages)
	}
}

// A node that starts has shares of 1, with a decimal point; its own counts and the cache's are whole numbers.
func TestProgressFigures(t *testing.T) {
	t.Parallel()
	ex := executor.New(executor.Config{Registry: registry(t)})
	const prompt = `{"1":{"class_type":"ConfSteps","inputs":{"steps":1,"delay_ms":0,"preview":"none","seed":1}},"2":{"class_type":"ConfSink","inputs":{"value":["1",0]}}}`
	for round, want := range [][]string{
		{`"value": 0.0, "max": 1.0, "state": "running"`, `"value": 1, "max": 1, "state": "running"`, `"value": 1, "max": 1, "state": "finished"`},
		{`"value": 1, "max": 1, "state": "finished"`},
	} {
		_, events, _ := runPrompt(t.Context(), t, ex, fmt.Sprint("figures", round), prompt)
		var told []string
		for _, e := range events {
			if e.Type == "progress_state" {
				told = append(told, string(must(pyjson.Marshal(e.Data))))
			}
		}
		for i, w := range want {
			if i >= len(told) || !strings.Contains(told[i], w) {
				t.Errorf("round %d: message %d of %v lacks %s", round, i, told, w)
			}
		}
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func TestLists(t *testing.T) {
	t.Parallel()
	ex := executor.New(executor.Config{Registry: registry(t)})
	for _, c := range []struct{ name, prompt, node, want string }{
		{"the last of a shorter list is repeated", `{"1":{"class_type":"ConfList","inputs":{"n":3}},"2":{"class_type":"ConfAdd","inputs":{"a":["1",0],"b":10}},"9":{"class_type":"ConfSink","inputs":{"value":["2",0]}}}`, "9", `{"text": ["11", "12", "13"]}`},
		{"lists as a whole", `{"1":{"class_type":"ConfList","inputs":{"n":4}},"2":{"class_type":"ConfListSum","inputs":{"values":["1",0],"scale":2}},"9":{"class_type":"ConfSink","inputs":{"value":["2",0]}}}`, "9", `{"text": ["20"]}`},
		{"expansion in a list", `{"1":{"class_type":"ConfList","inputs":{"n":2}},"2":{"class_type":"ConfExpand","inputs":{"n":2,"start":["1",0]}},"9":{"class_type":"ConfSink","inputs":{"value":["2",0]}}}`, "9", `{"text": ["2", "3"]}`},
		{"async in a list", `{"1":{"class_type":"ConfList","inputs":{"n":3}},"2":{"class_type":"ConfAsync","inputs":{"value":["1",0],"ms":5}},"9":{"class_type":"ConfSink","inputs":{"value":["2",0]}}}`, "9", `{"text": ["1", "2", "3"]}`},
		{"a loop", `{"0":{"class_type":"StubInt","inputs":{"value":5}},"1":{"class_type":"TestForLoopOpen","inputs":{"remaining":4,"initial_value1":["0",0]}},"2":{"class_type":"TestIntMathOperation","inputs":{"a":["1",2],"b":2,"operation":"multiply"}},
			"3":{"class_type":"TestForLoopClose","inputs":{"flow_control":["1",0],"initial_value1":["2",0]}},"9":{"class_type":"ConfSink","inputs":{"value":["3",0]}}}`, "9", `{"text": ["80"]}`},
	} {
		r, events, _ := runPrompt(t.Context(), t, ex, t.Name()+c.name, c.prompt)
		if !r.Success {
			t.Fatalf("%s: %s", c.name, show(find(events, "execution_error")))
		}
		if got := show(r.Outputs.Object(c.node)); got != c.want {
			t.Errorf("%s: have %s, want %s", c.name, got, c.want)
		}
	}
}

func TestEmptyListIsAnError(t *testing.T) {
	t.Parallel()
	ex := executor.New(executor.Config{Registry: registry(t)})
	_, events, _ := runPrompt(t.Context(), t, ex, t.Name(), `{"1":{"class_type":"ConfList","inputs":{"n":0}},"2":{"class_type":"ConfAdd","inputs":{"a":["1",0],"b":10}},"9":{"class_type":"ConfSink","inputs":{"value":["2",0]}}}`)
	if e := find(events, "execution_error"); e.String("exception_type") != "IndexError" {
		t.Errorf("have %s", show(e))
	}
}

func TestValidationStopsWithItsContext(t *testing.T) {
	t.Parallel()
	ex := executor.New(executor.Config{Registry: registry(t)})
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("gone"))
	v, err := ex.Validate(ctx, "p", parse(t, `{"1":{"class_type":"ConfSink","inputs":{"value":1}}}`), nil)
	if err == nil || err.Error() != "gone" || v.OK {
		t.Errorf("verdict %+v, error %v, want the context's cause", v, err)
	}
}

func TestSeveralJobsOneAfterTheOther(t *testing.T) {
	t.Parallel()
	ex := executor.New(executor.Config{Registry: registry(t, &counted{})})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if r, _, _ := runPrompt(t.Context(), t, ex, fmt.Sprint(t.Name(), i), fmt.Sprintf(diamond, i, 1)); !r.Success {
				t.Errorf("job %d failed", i)
			}
			ex.ClearCache()
		})
	}
	wg.Wait()
}
