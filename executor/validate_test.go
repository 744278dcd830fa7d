package executor_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"comfygo/executor"
	"comfygo/internal/pyjson"
)

// TestRecordedValidation sends every recorded prompt through validation and compares the whole answer.
func TestRecordedValidation(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/validation.json")
	if err != nil {
		t.Fatal(err)
	}
	cases, err := pyjson.Unmarshal(data)
	if err != nil {
		t.Fatal(err)
	}
	ex := executor.New(executor.Config{Registry: registry(t)})
	for _, c := range cases.([]any) {
		o := c.(*pyjson.Object)
		t.Run(o.String("id"), func(t *testing.T) {
			t.Parallel()
			status, _ := o.Get("status")
			raw, _ := o.Get("prompt")
			prompt, _ := raw.(*pyjson.Object)
			targets, _ := o.Get("targets")
			v, err := ex.Validate(t.Context(), "p", prompt.Clone(), targets)
			switch {
			case status == int64(500):
				if err == nil {
					t.Fatalf("accepted with %+v, upstream fails", v)
				}
				return
			case err != nil:
				t.Fatalf("fails with %v, upstream answers %v", err, status)
			case v.OK != (status == int64(200)):
				t.Fatalf("ok is %v, upstream answers %v: %s", v.OK, status, show(v.NodeErrors))
			}
			want := o.Object("answer")
			got := pyjson.NewObject("node_errors", v.NodeErrors)
			if !v.OK {
				got.Set("error", v.Error)
			}
			want = want.Clone()
			want.Delete("prompt_id")
			want.Delete("number")
			seen, err := reread(got)
			if err != nil {
				t.Fatal(err)
			}
			if d := differ("", want, seen, false); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestValidationOfGiants checks prompts in which everything depends on everything: the answer comes soon and is of the prompt's size.
func TestValidationOfGiants(t *testing.T) {
	t.Parallel()
	const n = 9_000
	ex := executor.New(executor.Config{Registry: registry(t)})
	for name, tt := range map[string]struct {
		next func(i int) string // what node i needs
		part string             // of the answer
	}{
		"a chain without end":       {func(i int) string { return fmt.Sprintf(`["%d",0]`, i+1) }, "maximum recursion depth exceeded"},
		"one long cycle":            {func(i int) string { return fmt.Sprintf(`["%d",0]`, (i+1)%n) }, "maximum recursion depth exceeded"},
		"cycles of 3000":            {func(i int) string { return fmt.Sprintf(`["%d",0]`, i-i%3000+(i+1)%3000) }, "Dependency cycle detected"},
		"as many broken as outputs": {func(int) string { return `["x",0]` }, "exception_during_inner_validation"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			prompt := pyjson.NewObject()
			for i := range n {
				inputs, err := pyjson.UnmarshalObject([]byte(`{"b":1,"a":` + tt.next(i) + `}`))
				if err != nil {
					t.Fatal(err)
				}
				prompt.Set(strconv.Itoa(i), pyjson.NewObject("class_type", "ConfAdd", "inputs", inputs))
				prompt.Set("out"+strconv.Itoa(i), pyjson.NewObject("class_type", "ConfSink", "inputs", pyjson.NewObject("value", []any{strconv.Itoa(i), int64(0)})))
			}
			v, err := ex.Validate(t.Context(), "p", prompt, nil)
			if err != nil || v.OK {
				t.Fatalf("validated as %v, %v", v.OK, err)
			}
			text := show(v.NodeErrors)
			if !strings.Contains(text, tt.part) {
				t.Errorf("the errors don't say %q", tt.part)
			}
			if len(text) > 100<<20 {
				t.Errorf("%d bytes of errors", len(text))
			}
		})
	}
}
