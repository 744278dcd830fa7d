package executor_test

import (
	"os"
	"testing"

	"comfygo/executor"
	"comfygo/nodes/pyjson"
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
