package executor

import (
	"context"
	"sync"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// asyncCalls are the calls of an async node; some of them may still run.
type asyncCalls struct {
	results []any
	errs    []error
	waiting sync.WaitGroup
	open    int
	mu      sync.Mutex
}

// start makes the calls of an async node one after the other: each runs until it first waits for something, then the next begins.
// pending is true when some of them are not done; they continue in goroutines, which the run waits for.
func (r *run) startAsync(ctx context.Context, n *node, c *caller, f method) (a *asyncCalls, pending bool, err error) {
	a = &asyncCalls{}
	err = c.calls(func(index int, values *pyjson.Object) error {
		slot := a.slot(nil)
		paused := make(chan struct{})
		pause := sync.OnceFunc(func() { close(paused) })
		one := *c
		one.host = func() nodes.Host { return newHost(r, n, pause) }
		a.waiting.Add(1)
		r.background.Go(func() {
			defer a.waiting.Done()
			defer pause()
			ctx, end := r.watch(ctx, n)
			result, err := one.once(ctx, index, values, f)
			end(err)
			a.finish(slot, result, err)
		})
		<-paused
		return a.early(slot)
	}, func(b *nodes.Blocker) { a.slot(b) })
	if err != nil {
		return nil, false, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a, a.open > 0, nil
}

// slot makes room for a result; nil marks one that is still to come.
func (a *asyncCalls) slot(result any) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.results = append(a.results, result)
	a.errs = append(a.errs, nil)
	if result == nil {
		a.open++
	}
	return len(a.results) - 1
}

func (a *asyncCalls) finish(slot int, result any, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.results[slot], a.errs[slot] = result, err
	a.open--
}

// early returns the error of a call that ended before it waited.
func (a *asyncCalls) early(slot int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.errs[slot]
}

// collect returns the results once all calls are done, or the first error.
func (a *asyncCalls) collect() ([]any, error) {
	a.waiting.Wait()
	for _, err := range a.errs {
		if err != nil {
			return nil, err
		}
	}
	return a.results, nil
}

// hang lets the run go on without the node until its calls are done.
func (r *run) hang(n *node, a *asyncCalls) {
	r.asyncs[n.id] = a
	r.plan.hang(n.id)
	r.background.Go(func() {
		a.waiting.Wait()
		select {
		case r.wake <- n.id:
		case <-r.over:
		}
	})
}

// waken puts back nodes whose calls are done. With wait it blocks until there is one.
func (r *run) waken(wait bool) {
	if wait {
		r.plan.free(<-r.wake)
	}
	for {
		select {
		case id := <-r.wake:
			r.plan.free(id)
		default:
			return
		}
	}
}
