package executor

import (
	"context"
	"errors"
	"runtime"

	"comfygo/nodes"
)

// The loop in run.go alone decides the order: it works on one node at a time, in upstream's order, and everything that clients, caches and the
// history see happens in a node's turn. Workers only make calls of nodes early, while the current node works: a call depends on its inputs and
// on nothing else, so the time at which it is made does not matter. The events of such a node are held back for its turn, and so is its error.

// errUnwanted ends the work on a result that is no longer needed.
var errUnwanted = errors.New("stopping a node that works ahead: its result is not wanted")

// ahead is a node whose calls are made before its turn.
type ahead struct {
	n      *node
	buffer *eventBuffer
	used   map[string]*entry // the results that its inputs come from, by node; nil when its key identifies them
	ctx    context.Context
	cancel context.CancelCauseFunc
	taken  bool // its result has been used, or is not wanted

	done chan struct{} // closed when what follows is set
	got  returned
	err  error
}

func newAhead(ctx context.Context, n *node, used map[string]*entry) *ahead {
	a := &ahead{n: n, buffer: &eventBuffer{}, used: used, done: make(chan struct{})}
	a.ctx, a.cancel = context.WithCancelCause(ctx)
	return a
}

// work makes the calls.
func (a *ahead) work(r *run, inputs inputSet) {
	defer close(a.done)
	c := r.caller(a.n, inputs)
	c.host = func() nodes.Host { return &host{r: r, n: a.n, bar: newBar(), buffer: a.buffer} }
	c.blocked = func(b *nodes.Blocker) *nodes.Blocker {
		if b.Message == nil {
			return b
		}
		a.buffer.add(func(r *run, n *node) { r.tellBlocked(n, b) })
		return &nodes.Blocker{}
	}
	a.got, a.err = r.make(a.ctx, a.n, c)
	if a.err == nil && a.got.expansions == nil && a.got.outputs != nil {
		a.got.kept = &entry{outputs: a.got.outputs}
	}
}

func (a *ahead) finished() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// entry returns the result for later nodes that work ahead too, or nil if it is not ready.
func (a *ahead) entry() *entry {
	if a == nil || !a.finished() {
		return nil
	}
	return a.got.kept
}

// workers are a run's nodes that work ahead. They belong to the run's goroutine.
type workers struct {
	limit   int               // how many may work at a time
	working int               // how many do
	device  *ahead            // the one that uses the device
	made    map[string]*ahead // by node, until its turn
	landed  chan *ahead       // those that have finished
	keys    map[cacheKey]int  // how many nodes have a key; nil when they have to be counted
}

// resultsAhead bounds the results that wait for their turn, for each worker: they hold images.
const resultsAhead = 8

func newWorkers() *workers {
	// The current node has a core of its own. On a single core the wait for the device is still worth using.
	limit := max(1, runtime.GOMAXPROCS(0)-1)
	// One more than the workers can be on its way: a node that began before the run.
	return &workers{limit: limit, made: map[string]*ahead{}, landed: make(chan *ahead, limit+1)}
}

func (c *workers) full() bool { return c.working >= c.limit || len(c.made) >= c.limit*resultsAhead }

func (c *workers) started(id string, a *ahead) {
	c.made[id] = a
	c.working++
	if a.n.class.Uses == nodes.UsesDevice {
		c.device = a
	}
}

func (c *workers) land(a *ahead) {
	c.working--
	if c.device == a {
		c.device = nil
	}
}

// perform makes a node's calls, or takes those that were made ahead. Others work ahead meanwhile.
func (r *run) perform(n *node, c *caller) (got returned, err error) {
	if a := r.takeAhead(n); a != nil {
		if r.ctx.Err() != nil {
			return got, context.Cause(r.ctx)
		}
		a.buffer.flush(r, n)
		r.accompany(n, a.done)
		return a.got, a.err
	}
	r.waitForDevice(n)
	if r.workAhead(n); r.workers.working == 0 && !r.mayHeadStart() {
		return r.make(r.ctx, n, c) // nothing to watch meanwhile
	}
	done := make(chan struct{})
	r.background.Go(func() {
		defer close(done)
		got, err = r.make(r.ctx, n, c)
	})
	r.accompany(n, done)
	return got, err
}

// make makes a node's calls and puts their results together.
func (r *run) make(ctx context.Context, n *node, c *caller) (got returned, err error) {
	ctx, end := r.watch(ctx, n)
	defer func() { end(err) }()
	err = nodes.Protect(func() error {
		results, err := c.each(ctx, runNode)
		if err != nil {
			return err
		}
		got, err = combine(n.class, results)
		return err
	})
	return got, err
}

// watch notifies the observer that a node's calls begin. The returned function must be called at their end.
func (r *run) watch(ctx context.Context, n *node) (context.Context, func(error)) {
	if r.e.watch == nil {
		return ctx, func(error) {}
	}
	return r.e.watch(ctx, Work{PromptID: r.job.ID, NodeID: n.id, Class: n.class.Name})
}

// accompany waits for the current node and keeps the others at work.
func (r *run) accompany(n *node, done <-chan struct{}) {
	r.workAhead(n)
	look, stop := r.lookForNext()
	defer stop()
	for {
		select {
		case <-done:
			return
		case a := <-r.workers.landed:
			r.workers.land(a)
			r.workAhead(n)
		case <-look:
			if r.headStart() {
				look = nil
			}
		}
	}
}

// waitForDevice waits until a node may use the device, which one that works ahead may have.
func (r *run) waitForDevice(n *node) {
	if n.class.Uses == nodes.UsesNothing {
		return
	}
	for r.workers.device != nil {
		r.workers.land(<-r.workers.landed)
	}
	r.e.takeHeadStart(Job{}).drop() // this job had seemed to be done with the device
}

// takeAhead returns what was made ahead for a node, unless its inputs have changed.
func (r *run) takeAhead(n *node) *ahead {
	a := r.workers.made[n.id]
	if a == nil {
		return nil
	}
	for id, e := range a.used {
		if r.plan.held[n.id][id] != e {
			r.dismiss(n.id)
			return nil
		}
	}
	delete(r.workers.made, n.id)
	if a.taken {
		return nil
	}
	a.taken = true
	return a
}

// dismiss drops what was made ahead for a node.
func (r *run) dismiss(id string) {
	if a := r.workers.made[id]; a != nil && !a.taken {
		a.taken = true
		a.cancel(errUnwanted)
	}
	delete(r.workers.made, id)
}

// workAhead starts nodes beside the current one: those that are ready, and those that wait for nothing but results made ahead.
func (r *run) workAhead(turn *node) {
	for {
		select {
		case a := <-r.workers.landed:
			r.workers.land(a)
			continue
		default:
		}
		break
	}
	for _, t := range r.plan.ready {
		if r.workers.full() {
			return
		}
		r.begin(t, turn)
	}
	for id, a := range r.workers.made {
		t := r.plan.pending[id]
		if t == nil || a.entry() == nil {
			continue
		}
		for to := range t.blocking {
			if next := r.plan.pending[to]; next != nil && !r.workers.full() {
				r.begin(next, turn)
			}
		}
	}
}

// begin starts a node if it may work beside the current one and all its inputs are ready.
func (r *run) begin(t *task, turn *node) {
	n := t.n
	if n == turn || !n.class.WorksAhead() || r.workers.made[n.id] != nil || r.parts[n.id] != nil || r.ctx.Err() != nil {
		return
	}
	if n.class.Uses == nodes.UsesDevice && (turn.class.Uses != nodes.UsesNothing || r.workers.device != nil) {
		return
	}
	used := map[string]*entry{}
	for _, l := range n.links {
		e := r.plan.held[n.id][l.from.ID]
		if e == nil {
			e = r.workers.made[l.from.ID].entry()
		}
		if e == nil {
			return
		}
		used[l.from.ID] = e
	}
	if r.cache.peek(n.id) != nil || r.hasTwin(n) {
		return
	}
	a := newAhead(r.ctx, n, used)
	inputs := gather(n.class, n.inputs, func(l nodes.Link) ([]any, bool) { return used[l.ID].list(l.Slot) })
	r.workers.started(n.id, a)
	r.background.Go(func() {
		a.work(r, inputs)
		r.workers.landed <- a
	})
}

// hasTwin reports whether another node has the same key: only the one that comes first is to run.
func (r *run) hasTwin(n *node) bool {
	if !n.keyed {
		return false
	}
	if r.workers.keys == nil {
		r.workers.keys = make(map[cacheKey]int, len(r.g.nodes))
		for _, other := range r.g.nodes {
			if other.keyed {
				r.workers.keys[other.key]++
			}
		}
	}
	return r.workers.keys[n.key] > 1
}
