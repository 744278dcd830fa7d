package executor_test

import (
	"context"
	"os"
	"testing"
	"time"

	"comfygo/executor"
	"comfygo/internal/pyjson"
)

// FuzzPrompt validates anything and runs what is accepted: nothing may panic or hang, and a refusal says why.
func FuzzPrompt(f *testing.F) {
	data, err := os.ReadFile("testdata/validation.json")
	if err != nil {
		f.Fatal(err)
	}
	cases, err := pyjson.Unmarshal(data)
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range cases.([]any) {
		p, _ := c.(*pyjson.Object).Get("prompt")
		f.Add([]byte(show(p)))
	}
	f.Add([]byte(chain(5, 1)))
	f.Add([]byte(`{"1":{"class_type":"ConfExpand","inputs":{"n":3,"start":["1",0]}},"2":{"class_type":"ConfSink","inputs":{"value":["1",0]}}}`))
	f.Add([]byte(`{"1":{"class_type":"ConfList","inputs":{"n":3}},"2":{"class_type":"ConfExpandUI","inputs":{"n":["1",0]}},"3":{"class_type":"ConfBlock","inputs":{"value":["2",0],"block":true,"message":"m"}},"4":{"class_type":"ConfUI","inputs":{"value":["3",-1]}}}`))
	full := registry(f)
	r := full.Without("ConfSteps", "ConfAsync", "TestSleep", "StubImage", "StubMask", "StubConstantImage", "EmptyImage", "SolidMask")
	ex := executor.New(executor.Config{Registry: r})
	f.Fuzz(func(t *testing.T, data []byte) {
		prompt, err := pyjson.UnmarshalObject(data)
		if err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		v, err := ex.Validate(ctx, "p", prompt, nil)
		switch {
		case err != nil:
			return
		case !v.OK && v.Error == nil:
			t.Fatal("refused without a reason")
		case !v.OK:
			if _, err := pyjson.Marshal(pyjson.NewObject("error", v.Error, "node_errors", v.NodeErrors)); err != nil {
				t.Fatal(err)
			}
			return
		}
		result := ex.Run(ctx, executor.Job{ID: "p", Prompt: prompt, ExtraData: pyjson.NewObject("client_id", "me"), Outputs: v.Outputs}, executor.SinkFunc(func(e executor.Event) {
			if _, err := pyjson.Marshal(e.Data); err != nil {
				t.Fatal(err)
			}
		}))
		if ctx.Err() != nil {
			t.Fatalf("still running: %v", result)
		}
		if _, err := pyjson.Marshal([]any{result.Outputs, result.Meta, result.StatusMessages()}); err != nil {
			t.Fatal(err)
		}
	})
}
