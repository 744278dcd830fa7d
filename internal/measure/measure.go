// Package measure runs API workflows on a server from outside and measures the cost of each part: nodes, the time before
// the first step, a step, in wall-clock and CPU time. It reads the server's progress messages and Linux's /proc, so it
// measures ComfyUI and this program alike.
package measure

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"comfygo/internal/apiclient"
)

// Workflow is an API workflow by node id.
type Workflow map[string]Node

// Node is one node of a workflow.
type Node struct {
	Class  string         `json:"class_type"`
	Inputs map[string]any `json:"inputs"`
}

// Cost is the cost of a part.
type Cost struct{ Wall, CPU time.Duration }

// NodeCost is the cost of one node that ran.
type NodeCost struct {
	ID, Class string
	Cost
}

// Run holds the figures of one run of a workflow.
type Run struct {
	// Nodes lists the nodes that ran, in order; cached nodes are absent.
	Nodes []NodeCost
	// First is the cost up to the end of the sampler's first step, Step that of a later step, All that of the whole
	// prompt. Step is zero when fewer than two steps were seen.
	First, Step, All Cost
	// RSS is the resident memory at the end in bytes.
	RSS int64
}

// Node returns the cost of the first node of a class, or zero if none ran.
func (r Run) Node(class string) Cost {
	for _, n := range r.Nodes {
		if n.Class == class {
			return n.Cost
		}
	}
	return Cost{}
}

// recorder records the server's usage at the messages of one run.
type recorder struct {
	server  *apiclient.Process
	w       Workflow
	begin   apiclient.Usage
	last    apiclient.Usage
	current string
	steps   []stepMark // the progress of the first sampler; the server leaves out what comes too fast
	sampler string
	out     Run
	err     error
}

// stepMark is the usage at the end of a step.
type stepMark struct {
	done int
	apiclient.Usage
}

// Prompt runs a workflow once on a server and waits for its end. A prompt that fails is an error.
func Prompt(ctx context.Context, server *apiclient.Process, w Workflow) (Run, error) {
	const name = "measure"
	client := &apiclient.Client{Base: server.URL}
	socket, err := client.Dial(ctx, name)
	if err != nil {
		return Run{}, err
	}
	defer socket.Close()
	r := &recorder{server: server, w: w}
	if r.begin, err = server.Usage(); err != nil {
		return Run{}, err
	}
	r.last = r.begin
	result, err := client.Follow(ctx, socket, name, w, r.see)
	if err != nil {
		return Run{}, err
	}
	if f := result.Failure(); f != nil {
		return Run{}, fmt.Errorf("node %s (%s): %s", f.NodeID, f.NodeType, f.Message)
	}
	return r.finish()
}

func (r *recorder) see(m apiclient.Message) {
	switch m.Type {
	case "executing":
		var of struct{ Node string }
		if json.Unmarshal(m.Data, &of) == nil {
			r.enter(of.Node)
		}
	case "progress":
		var p apiclient.Progress
		if json.Unmarshal(m.Data, &p) == nil {
			r.progress(p)
		}
	}
}

// enter closes the node before and opens the next; an empty id is the end.
func (r *recorder) enter(id string) {
	now := r.now()
	if r.current != "" {
		r.out.Nodes = append(r.out.Nodes, NodeCost{ID: r.current, Class: r.w[r.current].Class, Cost: between(r.last, now)})
	}
	r.current, r.last = id, now
}

func (r *recorder) progress(p apiclient.Progress) {
	if r.sampler == "" {
		r.sampler = p.Node
	}
	if p.Node == r.sampler && p.Value > 0 {
		r.steps = append(r.steps, stepMark{p.Value, r.now()})
	}
}

func (r *recorder) now() apiclient.Usage {
	u, err := r.server.Usage()
	if err != nil && r.err == nil {
		r.err = err
	}
	return u
}

func (r *recorder) finish() (Run, error) {
	end := r.now()
	r.out.All = between(r.begin, end)
	r.out.RSS = end.RSS
	if len(r.steps) > 0 {
		first, last := r.steps[0], r.steps[len(r.steps)-1]
		r.out.First = between(r.begin, first.Usage)
		if n := time.Duration(last.done - first.done); n > 0 {
			c := between(first.Usage, last.Usage)
			r.out.Step = Cost{Wall: c.Wall / n, CPU: c.CPU / n}
		}
	}
	return r.out, r.err
}

func between(a, b apiclient.Usage) Cost {
	return Cost{Wall: b.Wall.Sub(a.Wall), CPU: b.CPU - a.CPU}
}
