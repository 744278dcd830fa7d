package jobs

import (
	"strings"
	"sync"
	"time"

	"comfygo/executor"
	"comfygo/internal/pyjson"
	"comfygo/queue"
)

const (
	// rememberedRuns is of how many jobs the times of the nodes are kept.
	rememberedRuns = 200
	// rememberedNodes is the maximum number of their nodes together.
	rememberedNodes = 100_000
	// quickNode is the time, in seconds, that a node of a class without measurements counts.
	quickNode = 0.01
)

// runProgress is the progress of a job.
type runProgress struct {
	jobID   string
	classes map[string]string // of the nodes that the outputs need
	nodes   map[string]*nodeProgress
	ended   bool
}

type nodeProgress struct {
	value, limit float64
	start, end   time.Time
	cached       bool
}

func (n *nodeProgress) seconds(now time.Time) float64 {
	if n.end.IsZero() {
		return now.Sub(n.start).Seconds()
	}
	return n.end.Sub(n.start).Seconds()
}

// Runs keeps the progress of the running jobs and of those before them, and how long the nodes of each class took.
type Runs struct {
	mu    sync.Mutex
	byID  map[string]*runProgress
	order []string
	usual map[string]float64 // seconds by class
}

// Begin records that a job runs now.
func (r *Runs) Begin(j *queue.Job) {
	p := &runProgress{jobID: j.ID, classes: neededNodes(j), nodes: map[string]*nodeProgress{}}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID == nil {
		r.byID, r.usual = map[string]*runProgress{}, map[string]float64{}
	}
	if r.byID[j.ID] == nil {
		r.order = append(r.order, j.ID)
	}
	r.byID[j.ID] = p
	nodes := 0
	for _, known := range r.byID {
		nodes += len(known.classes)
	}
	for len(r.order) > 1 && (len(r.order) > rememberedRuns || nodes > rememberedNodes) {
		nodes -= len(r.byID[r.order[0]].classes)
		delete(r.byID, r.order[0])
		r.order = r.order[1:]
	}
}

// neededNodes returns the classes of the nodes that a job's outputs lead back to.
func neededNodes(j *queue.Job) map[string]string {
	found := map[string]string{}
	left := append([]string{}, j.Outputs...)
	for len(left) > 0 {
		id := left[len(left)-1]
		left = left[:len(left)-1]
		node := j.Prompt.Object(id)
		if _, known := found[id]; known || node == nil {
			continue
		}
		found[strings.Clone(id)] = strings.Clone(node.String("class_type"))
		for _, v := range node.Object("inputs").All() {
			if link, ok := v.([]any); ok && len(link) == 2 {
				if from, ok := link[0].(string); ok {
					left = append(left, from)
				}
			}
		}
	}
	return found
}

// Observe updates the progress of a running job by an event. Texts of events are copied: they may be parts of a long one.
func (r *Runs) Observe(id string, e executor.Event, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.byID[id]
	if p == nil || p.ended {
		return
	}
	switch e.Type {
	case "progress_state":
		n := p.nodes[e.Node.ID]
		if n == nil || n.cached {
			n = &nodeProgress{start: at}
			p.nodes[strings.Clone(e.Node.ID)] = n
		}
		n.value, n.limit = e.Node.Value, e.Node.Limit
		if e.Node.Finished && n.end.IsZero() {
			n.end = at
		}
	case "execution_cached":
		ids, _ := e.Data.Get("nodes")
		list, _ := ids.([]any)
		for _, id := range list {
			if text, ok := id.(string); ok {
				p.nodes[strings.Clone(text)] = &nodeProgress{value: 1, limit: 1, start: at, end: at, cached: true}
			}
		}
	}
}

// End records that a job has ended, and learns from the times of its nodes.
func (r *Runs) End(id string, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.byID[id]
	if p == nil || p.ended {
		return
	}
	p.ended = true
	for id, n := range p.nodes {
		class, known := p.classes[id]
		switch {
		case n.end.IsZero():
			n.end = at
		case known && !n.cached:
			s := n.seconds(at)
			if old, ok := r.usual[class]; ok {
				s = (old + s) / 2
			}
			r.usual[class] = s
		}
	}
}

// Describe returns the progress of a job, or nil if it is unknown.
func (r *Runs) Describe(id string, now time.Time) *pyjson.Object {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.byID[id]
	if p == nil {
		return nil
	}
	var done, total, left float64
	var node, step, steps any
	times := pyjson.NewObject()
	for id, class := range p.classes {
		usual, known := r.usual[class]
		if !known {
			usual = quickNode
		}
		n := p.nodes[id]
		if n == nil {
			total, left = total+usual, left+usual
			continue
		}
		share, seconds := 1.0, n.seconds(now)
		weight := max(seconds, quickNode)
		if n.end.IsZero() {
			share = 0
			if n.limit > 0 {
				share = n.value / n.limit
			}
			weight = max(usual, seconds)
			if share > 0 {
				weight = seconds / share
			}
			left += weight * (1 - share)
			if node == nil || n.limit > 1 {
				node, step, steps = id, int64(n.value), int64(n.limit)
			}
		}
		done, total = done+share*weight, total+weight
		times.Set(id, pyjson.NewObject("class_type", class, "seconds", seconds, "finished", !n.end.IsZero(), "cached", n.cached))
	}
	o := pyjson.NewObject("percent", 100.0, "node", node, "step", step, "steps", steps, "eta_seconds", 0.0)
	if !p.ended && total > 0 {
		o.Set("percent", 100*done/total).Set("eta_seconds", left)
	}
	return o.Set("nodes", times)
}

// Class is the class of a node of a job, "" when the prompt has no such node.
func (r *Runs) Class(id, node string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.byID[id]; p != nil {
		return p.classes[node]
	}
	return ""
}

// Nodes returns the number of nodes that a job's outputs depend on, or 0 if the job is unknown.
func (r *Runs) Nodes(id string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.byID[id]; p != nil {
		return len(p.classes)
	}
	return 0
}

// withProgress adds the state of a job if the query requests it: its place among the waiting ones (1 is the next), its
// progress and estimated remaining time, and the times of its nodes.
func (s *Service) withProgress(job *pyjson.Object, position int) *pyjson.Object {
	o := pyjson.NewObject("position", nil)
	if position > 0 {
		o.Set("position", int64(position))
	}
	if p := s.Runs.Describe(job.String("id"), time.Now()); p != nil && position == 0 {
		o.Merge(p)
	} else {
		o.Set("percent", 0.0).Set("node", nil).Set("step", nil).Set("steps", nil).Set("eta_seconds", nil).Set("nodes", pyjson.NewObject())
	}
	return job.Set("progress", o)
}
