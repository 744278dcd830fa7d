package server_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"comfygo/executor"
	"comfygo/nodes"
	"comfygo/server"
)

// gates of the nodes below, by their label. A node says that it has begun and waits to be let on.
var gates sync.Map

type gate struct {
	begun, open, stopped chan struct{}
	runs                 atomic.Int32
}

func newGate(t *testing.T, label string) *gate {
	g := &gate{begun: make(chan struct{}, 9), open: make(chan struct{}), stopped: make(chan struct{}, 9)}
	gates.Store(label, g)
	t.Cleanup(func() { gates.Delete(label) })
	return g
}

func pass(ctx *nodes.Context, label string) error {
	v, _ := gates.Load(label)
	g := v.(*gate)
	g.runs.Add(1)
	ctx.Progress(1, 2)
	g.begun <- struct{}{}
	select {
	case <-g.open:
		return nil
	case <-ctx.Done():
		g.stopped <- struct{}{}
		return context.Cause(ctx)
	}
}

type draw struct {
	Gate string `in:"gate"`
}

func (*draw) Spec() nodes.Spec {
	return nodes.Spec{Name: "Sample", Outputs: nodes.Outputs("INT"), Uses: nodes.UsesDevice}
}

func (n *draw) Run(ctx *nodes.Context) (nodes.Result, error) {
	return nodes.Out(int64(1)), pass(ctx, n.Gate)
}

type keep struct {
	Value any    `in:"value" opts:"{}"`
	Gate  string `in:"gate"`
}

func (*keep) Spec() nodes.Spec {
	return nodes.Spec{Name: "Save", OutputNode: true, Uses: nodes.UsesNothing}
}

func (n *keep) Run(ctx *nodes.Context) (nodes.Result, error) {
	return nodes.WithUI("text", []any{n.Gate}), pass(ctx, n.Gate)
}

// overlapped is a server whose first prompt saves while the device works for the second one.
type overlapped struct {
	*rig
	first, second         string
	saving, sampling, end *gate
}

func overlap(t *testing.T) overlapped {
	t.Helper()
	registry := nodes.NewRegistry()
	for _, n := range []nodes.Node{&draw{}, &keep{}} {
		if err := registry.Add(n); err != nil {
			t.Fatal(err)
		}
	}
	o := overlapped{rig: start(t, func(c *server.Config) {
		c.Executor = executor.New(executor.Config{Registry: registry, Services: nodes.Services{Folders: c.Folders}})
	})}
	label := func(s string) string { return t.Name() + s }
	begin := newGate(t, label("sample1"))
	close(begin.open)
	o.saving, o.sampling, o.end = newGate(t, label("save1")), newGate(t, label("sample2")), newGate(t, label("save2"))
	queue := func(i string) string {
		return o.queue(fmt.Sprintf(`{"client_id": "mine", "prompt": {"1": {"class_type": "Sample", "inputs": {"gate": %q}}, "2": {"class_type": "Save", "inputs": {"value": ["1", 0], "gate": %q}}}}`,
			label("sample"+i), label("save"+i)))
	}
	o.first = queue("1")
	<-o.saving.begun
	o.second = queue("2") // it comes while the first is being saved already
	<-o.sampling.begun
	return o
}

func TestSamplingBesideSaving(t *testing.T) {
	t.Parallel()
	o := overlap(t)
	conn := o.dial("mine")
	if body := o.do("GET", "/queue", "").body; !strings.Contains(body, o.first) || strings.Index(body, o.second) < strings.Index(body, "queue_pending") {
		t.Errorf("the queue is %s", body)
	}
	close(o.saving.open)
	o.until("the first prompt's end", func() bool { return o.finished(o.first) })
	close(o.sampling.open)
	<-o.end.begun
	close(o.end.open)
	o.until("the second prompt's end", func() bool { return o.finished(o.second) })
	if n := o.sampling.runs.Load(); n != 1 {
		t.Errorf("the second prompt's sampler ran %d times", n)
	}
	var got []string
	for ends := 0; ends < 2; {
		m := o.next(conn)
		if m == "executing null" {
			ends++
		}
		if m != "status" && m != "progress_state" {
			got = append(got, m)
		}
	}
	end := slices.Index(got, "executing null")
	want := []string{"execution_start", "execution_cached", "executing", "progress", "executing", "progress", "executed", "execution_success", "executing null"}
	if !slices.Equal(got[end+1:], want) {
		t.Errorf("after the first prompt's end came %v", got[end+1:])
	}
	if slices.Contains(got[:end], "execution_start") {
		t.Errorf("before its end: %v", got[:end])
	}
}

func TestCancelledBeforeItsTurn(t *testing.T) {
	t.Parallel()
	o := overlap(t)
	o.do("POST", "/queue", fmt.Sprintf(`{"delete": [%q]}`, o.second))
	if len(o.sampling.stopped) > 0 {
		t.Error("the first prompt's end was not waited for")
	}
	close(o.saving.open)
	<-o.sampling.stopped
	o.until("the first prompt's end", func() bool { return o.finished(o.first) })
	if body := o.do("GET", "/history", "").body; strings.Contains(body, o.second) {
		t.Errorf("history is %s", body)
	}
}

// A shutdown waits for what was begun of a prompt, too; the test of leaks in TestMain would tell.
func TestShutdownBesideSaving(t *testing.T) {
	t.Parallel()
	o := overlap(t)
	o.stop()
	<-o.saving.stopped
	<-o.sampling.stopped
}
