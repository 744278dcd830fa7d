package executor_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"comfygo/executor"
	"comfygo/internal/pyjson"
)

// chain is a prompt of n nodes one behind the other, and an output.
func chain(n, start int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"0":{"class_type":"ConfInt","inputs":{"value":%d}}`, start)
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, `,"%d":{"class_type":"ConfAdd","inputs":{"a":["%d",0],"b":1}}`, i, i-1)
	}
	fmt.Fprintf(&b, `,"out":{"class_type":"ConfSink","inputs":{"value":["%d",0]}}}`, n-1)
	return b.String()
}

// BenchmarkChain runs chains of trivial nodes that are never cached: the time is the executor's own. The target for 1000 nodes is 20 ms.
func BenchmarkChain(b *testing.B) {
	for _, n := range []int{100, 1000, 4000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			ex := executor.New(executor.Config{Registry: registry(b)})
			i := 0
			for b.Loop() {
				b.StopTimer()
				i++
				job := accept(b, ex, pyjson.NewObject("prompt", parse(b, chain(n, i%1000)), "prompt_id", fmt.Sprint(i), "client_id", "me"))
				b.StartTimer()
				if r := ex.Run(context.Background(), job, executor.SinkFunc(func(executor.Event) {})); !r.Success {
					b.Fatal("failed")
				}
			}
		})
	}
}

// BenchmarkCached validates and runs a small prompt whose results are all cached.
func BenchmarkCached(b *testing.B) {
	ex := executor.New(executor.Config{Registry: registry(b)})
	text := chain(3, 1)
	for b.Loop() {
		job := accept(b, ex, pyjson.NewObject("prompt", parse(b, text), "prompt_id", "x", "client_id", "me"))
		ex.Run(context.Background(), job, executor.SinkFunc(func(executor.Event) {}))
	}
}

// BenchmarkValidate validates a chain.
func BenchmarkValidate(b *testing.B) {
	ex := executor.New(executor.Config{Registry: registry(b)})
	prompt := parse(b, chain(1000, 1))
	for b.Loop() {
		if v, err := ex.Validate(context.Background(), "x", prompt, nil); err != nil || !v.OK {
			b.Fatal(err)
		}
	}
}
