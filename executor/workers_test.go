package executor_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// worker is the work of the nodes below: it waits for a given time, reports it, and adds up its inputs. Label fails, blocks or panics.
type worker struct {
	A, B  int64
	MS    float64
	Label string
}

// span is when a node of a prompt worked.
type span struct {
	node     string
	from, to time.Time
}

// spans holds a *spanList for each prompt that is watched.
var spans sync.Map

type spanList struct {
	mu   sync.Mutex
	list []span
}

func (s *spanList) of(node string) (out []span) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.list {
		if one.node == node {
			out = append(out, one)
		}
	}
	return out
}

// beside is how long two nodes of prompts worked at the same time.
func beside(a, b []span) (total time.Duration) {
	for _, x := range a {
		for _, y := range b {
			from, to := x.from, x.to
			if y.from.After(from) {
				from = y.from
			}
			if y.to.Before(to) {
				to = y.to
			}
			total += max(0, to.Sub(from))
		}
	}
	return total
}

func (w worker) run(ctx *nodes.Context) (any, error) {
	if l, ok := spans.Load(ctx.PromptID); ok {
		from := time.Now()
		defer func() {
			l := l.(*spanList)
			l.mu.Lock()
			defer l.mu.Unlock()
			l.list = append(l.list, span{ctx.ID, from, time.Now()})
		}()
	}
	ctx.Progress(1, 2)
	ctx.SendText("at work")
	t := time.NewTimer(time.Duration(w.MS * float64(time.Millisecond)))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-t.C:
	}
	switch w.Label {
	case "fail":
		return nil, nodes.Errorf("ValueError", "node %s fails", ctx.ID)
	case "panic":
		panic("node " + ctx.ID)
	case "block":
		return nodes.Block("node " + ctx.ID), nil
	}
	ctx.Progress(2, 2)
	return w.A + w.B + 1, nil
}

func workerSpec(name string, uses nodes.Uses) nodes.Spec {
	s := named(name, "INT")
	s.Uses = uses
	return s
}

// onDevice, onCPU and onDisk are classes like a sampler, an image operation and a saver.
type onDevice struct {
	A     int64   `in:"a" default:"0"`
	B     int64   `in:"b" default:"0"`
	MS    float64 `in:"ms" default:"0"`
	Label string  `in:"label" default:""`
}

func (*onDevice) Spec() nodes.Spec { return workerSpec("OnDevice", nodes.UsesDevice) }
func (n *onDevice) Run(ctx *nodes.Context) (nodes.Result, error) {
	v, err := worker(*n).run(ctx)
	return nodes.Out(v), err
}

type onCPU onDevice

func (*onCPU) Spec() nodes.Spec                               { return workerSpec("OnCPU", nodes.UsesNothing) }
func (n *onCPU) Run(ctx *nodes.Context) (nodes.Result, error) { return (*onDevice)(n).Run(ctx) }

type onDisk onDevice

func (*onDisk) Spec() nodes.Spec { return output(workerSpec("OnDisk", nodes.UsesNothing)) }
func (n *onDisk) Run(ctx *nodes.Context) (nodes.Result, error) {
	v, err := worker(*n).run(ctx)
	return nodes.Out(v).AddUI("text", []any{pyjson.Str(v)}), err
}

// unfolding becomes two nodes on the device.
type unfolding onDevice

func (*unfolding) Spec() nodes.Spec { return workerSpec("Unfolding", nodes.UsesNothing) }
func (n *unfolding) Run(ctx *nodes.Context) (nodes.Result, error) {
	g := ctx.NewGraph()
	one := g.Node("OnDevice", "a", n.A, "ms", n.MS, "b", 0, "label", "")
	two := g.Node("OnCPU", "a", one.Out(0), "b", n.B, "ms", n.MS, "label", n.Label)
	return nodes.Result{Values: []any{two.Out(0)}, Expand: g.Finish()}, nil
}

// The same classes for an executor that does everything in turn.
type (
	inTurnDevice    onDevice
	inTurnCPU       onDevice
	inTurnDisk      onDevice
	inTurnUnfolding onDevice
)

func undeclared(s nodes.Spec) nodes.Spec {
	s.Uses = nodes.UsesUnknown
	return s
}

func (*inTurnDevice) Spec() nodes.Spec    { return undeclared((*onDevice)(nil).Spec()) }
func (*inTurnCPU) Spec() nodes.Spec       { return undeclared((*onCPU)(nil).Spec()) }
func (*inTurnDisk) Spec() nodes.Spec      { return undeclared((*onDisk)(nil).Spec()) }
func (*inTurnUnfolding) Spec() nodes.Spec { return undeclared((*unfolding)(nil).Spec()) }

func (n *inTurnDevice) Run(ctx *nodes.Context) (nodes.Result, error) { return (*onDevice)(n).Run(ctx) }
func (n *inTurnCPU) Run(ctx *nodes.Context) (nodes.Result, error)    { return (*onCPU)(n).Run(ctx) }
func (n *inTurnDisk) Run(ctx *nodes.Context) (nodes.Result, error)   { return (*onDisk)(n).Run(ctx) }

func (n *inTurnUnfolding) Run(ctx *nodes.Context) (nodes.Result, error) {
	return (*unfolding)(n).Run(ctx)
}

var (
	declared = []nodes.Node{&onDevice{}, &onCPU{}, &onDisk{}, &unfolding{}}
	inTurn   = []nodes.Node{&inTurnDevice{}, &inTurnCPU{}, &inTurnDisk{}, &inTurnUnfolding{}}
)

// one is a node of a prompt's text; an input that begins with # is a link.
func one(id, class, a, b string, ms float64, label string) string {
	value := func(s string) string {
		if s != "" && s[0] == '#' {
			return fmt.Sprintf(`["%s",0]`, s[1:])
		}
		return s
	}
	return fmt.Sprintf(`"%s":{"class_type":"%s","inputs":{"a":%s,"b":%s,"ms":%v,"label":"%s"}}`, id, class, value(a), value(b), ms, label)
}
