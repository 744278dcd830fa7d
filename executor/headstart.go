package executor

import (
	"context"
	"sync"
	"time"

	"comfygo/nodes"
)

// headStart is work on the next job while the running one only saves its results. It goes through that job's nodes one after the other, as far
// as they may work ahead, and keeps their results by key, which covers everything they were made of. The job itself has not begun: it waits in
// the queue, and when it runs, it takes the results whose keys equal its nodes' own. A result that is not used is dropped.
type headStart struct {
	r      *run // sends no events and uses no cache
	prompt Prompt
	cancel context.CancelCauseFunc
	order  []*node
	kept   map[string]*entry // results that were there before, by node
	done   chan struct{}

	mu     sync.Mutex
	halted bool
	made   map[cacheKey]*ahead
}

// patience is the time for which the last nodes of a job run before the executor tries the next job, and the interval of further attempts: it
// is not worth it for quick ones.
const patience = 5 * time.Millisecond

// DropHeadStart forgets what was begun of the next job and waits until that work has ended. It waits for a job that runs. Call it when no job
// follows, and before models are freed.
func (e *Executor) DropHeadStart() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.takeHeadStart(Job{}).drop()
}

// takeHeadStart returns what was begun of a job, and drops what was begun of another one.
func (e *Executor) takeHeadStart(job Job) *headStart {
	h := e.begun
	e.begun = nil
	if h != nil && h.prompt != job.Prompt {
		h.drop()
		return nil
	}
	return h
}

// mayHeadStart reports whether nothing that is left of the run may use the device.
func (r *run) mayHeadStart() bool {
	return r.job.Next != nil && r.e.begun == nil && r.plan.busy == 0 && r.workers.device == nil && len(r.asyncs) == 0
}

// lookForNext returns a clock that ticks when a head start should be tried, or nil if none is possible.
func (r *run) lookForNext() (look <-chan time.Time, stop func()) {
	if !r.mayHeadStart() {
		return nil, func() {}
	}
	t := time.NewTicker(patience)
	return t.C, t.Stop
}

// headStart begins the next job; false when it cannot begin.
func (r *run) headStart() bool {
	if r.ctx.Err() != nil || !r.mayHeadStart() {
		return false
	}
	job, ok := r.job.Next()
	if !ok {
		return false
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.ctx))
	h := &headStart{r: newRun(ctx, r.e, job, nil), prompt: job.Prompt, cancel: cancel, kept: map[string]*entry{}, done: make(chan struct{}), made: map[cacheKey]*ahead{}}
	var err error
	if h.r.g, err = newGraph(h.r.job.Prompt, r.e.registry); err == nil {
		err = nodes.Protect(func() error { return h.look(r.cache) })
	}
	if err != nil { // the job itself will tell
		r.e.log.Debug("beginning with the next job", "prompt", job.ID, "error", err)
		h.order = nil
	}
	r.e.begun = h
	go h.work()
	return true
}

// look finds the nodes to work on: before each node those that it needs.
func (h *headStart) look(cache outputCache) error {
	keys := &keyMaker{g: h.r.g, owner: h.r.job.owner(), fingerprint: h.r.fingerprint}
	seen := map[string]bool{}
	var visit func(id string)
	visit = func(id string) {
		n := h.r.g.nodes[id]
		if n == nil || seen[id] {
			return
		}
		seen[id] = true
		e, kept := cache.find(keys.key(n))
		if !kept {
			return
		}
		if e != nil {
			h.kept[id] = e
			return
		}
		for _, l := range n.links {
			if !l.lazy {
				visit(l.from.ID)
			}
		}
		if n.class.WorksAhead() && !n.unique {
			h.order = append(h.order, n)
		}
	}
	for _, id := range h.r.job.Outputs {
		visit(id)
	}
	return nil
}

func (h *headStart) work() {
	defer close(h.done)
	for _, n := range h.order {
		a, inputs := h.begin(n)
		if a == nil {
			continue
		}
		a.work(h.r, inputs)
		if a.err != nil {
			return // the job ends there too
		}
	}
}

// begin makes a node the current one, or returns nil if one of its inputs is missing or the job itself has begun.
func (h *headStart) begin(n *node) (*ahead, inputSet) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.halted || h.r.ctx.Err() != nil || h.made[n.key] != nil {
		return nil, inputSet{}
	}
	used := map[string]*entry{}
	for _, l := range n.links {
		e := h.kept[l.from.ID]
		if e == nil {
			e = h.made[h.r.g.nodes[l.from.ID].key].entry()
		}
		if e == nil {
			return nil, inputSet{}
		}
		used[l.from.ID] = e
	}
	a := newAhead(h.r.ctx, n, nil)
	h.made[n.key] = a
	return a, gather(n.class, n.inputs, func(l nodes.Link) ([]any, bool) { return used[l.ID].list(l.Slot) })
}

// halt starts no further node and returns the results so far.
func (h *headStart) halt() map[cacheKey]*ahead {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.halted = true
	return h.made
}

// drop ends the work and waits until it has ended. A nil head start has none.
func (h *headStart) drop() {
	if h == nil {
		return
	}
	h.cancel(errUnwanted)
	<-h.done
}

// adopt takes over what was begun of the job.
func (r *run) adopt() {
	if r.begun == nil {
		return
	}
	made := r.begun.halt()
	watched := map[*ahead]bool{}
	for id, n := range r.g.nodes {
		a := made[n.key]
		if a == nil || !n.keyed {
			continue
		}
		r.workers.made[id] = a
		if a.finished() || watched[a] {
			continue
		}
		watched[a] = true
		r.workers.started(id, a)
		r.background.Go(func() {
			select {
			case <-a.done:
			case <-r.ctx.Done():
				a.cancel(context.Cause(r.ctx))
				<-a.done
			}
			r.workers.landed <- a
		})
	}
}
