package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"comfygo/demo"
	"comfygo/internal/apiclient"
)

// bench is one server under measurement.
type bench struct {
	server *apiclient.Process
	client *apiclient.Client
	start  time.Duration
	idle   apiclient.Usage
	runs   []figures
}

// cost is what something took.
type cost struct{ wall, cpu time.Duration }

// figures are those of one run.
type figures struct {
	nodes            []nodeCost
	first, step, all cost
	rss              int64
}

type nodeCost struct {
	name string
	cost
}

// workflow is an API workflow.
type workflow map[string]struct {
	Class  string         `json:"class_type"`
	Inputs map[string]any `json:"inputs"`
}

// load reads the workflow and sets what the options say.
func (o options) load(checkpoint string) (workflow, error) {
	text := demo.Workflow
	if o.workflow != "" {
		var err error
		if text, err = os.ReadFile(o.workflow); err != nil {
			return nil, err
		}
	}
	var w workflow
	if err := json.Unmarshal(text, &w); err != nil {
		return nil, fmt.Errorf("reading the workflow: %w", err)
	}
	for _, n := range w {
		if _, ok := n.Inputs["ckpt_name"]; ok {
			n.Inputs["ckpt_name"] = checkpoint
		}
		if n.Class == "EmptyLatentImage" && o.workflow == "" {
			n.Inputs["width"], n.Inputs["height"] = o.width, o.height
		}
		if n.Class == "KSampler" && o.workflow == "" {
			n.Inputs["steps"] = o.steps
		}
	}
	return w, nil
}

// reseed makes the next run another one, texts included, so that only models are reused.
func (w workflow) reseed(run int) {
	for _, n := range w {
		if _, ok := n.Inputs["seed"].(float64); ok || run > 0 && n.Class == "KSampler" {
			n.Inputs["seed"] = 42 + run
		}
		if text, ok := n.Inputs["text"].(string); ok && run > 0 {
			n.Inputs["text"] = text + "."
		}
	}
}

// recorder notes what the server had used at the messages of one run.
type recorder struct {
	server  *apiclient.Process
	names   func(id string) string
	begin   apiclient.Usage
	last    apiclient.Usage
	current string
	steps   []stepMark // the progress of the first sampler; the server leaves out what comes too fast
	sampler string
	out     figures
	err     error
}

// stepMark is what had been used when so many steps were done.
type stepMark struct {
	done int
	apiclient.Usage
}

// measure runs the workflow once.
func (b *bench) measure(ctx context.Context, w workflow) error {
	const name = "bench"
	socket, err := b.client.Dial(ctx, name)
	if err != nil {
		return err
	}
	defer socket.Close()
	r := &recorder{server: b.server, names: func(id string) string { return id + " " + w[id].Class }}
	if r.begin, err = b.server.Usage(); err != nil {
		return err
	}
	r.last = r.begin
	result, err := b.client.Follow(ctx, socket, name, w, r.see)
	if err != nil {
		return err
	}
	if f := result.Failure(); f != nil {
		return fmt.Errorf("node %s (%s): %s", f.NodeID, f.NodeType, f.Message)
	}
	if r.err != nil {
		return r.err
	}
	out, err := r.finish()
	if err != nil {
		return err
	}
	b.runs = append(b.runs, out)
	return nil
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
		r.out.nodes = append(r.out.nodes, nodeCost{name: r.names(r.current), cost: between(r.last, now)})
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

func (r *recorder) finish() (figures, error) {
	end := r.now()
	r.out.all = between(r.begin, end)
	r.out.rss = end.RSS
	if len(r.steps) == 0 {
		return figures{}, fmt.Errorf("no step was seen")
	}
	first, last := r.steps[0], r.steps[len(r.steps)-1]
	r.out.first = between(r.begin, first.Usage)
	if n := time.Duration(last.done - first.done); n > 0 {
		c := between(first.Usage, last.Usage)
		r.out.step = cost{wall: c.wall / n, cpu: c.cpu / n}
	}
	return r.out, r.err
}

func between(a, b apiclient.Usage) cost {
	return cost{wall: b.Wall.Sub(a.Wall), cpu: b.CPU - a.CPU}
}
