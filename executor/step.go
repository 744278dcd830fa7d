package executor

import (
	"fmt"
	"math"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

var notANumber = math.NaN()

// problem is the reason why a node failed.
type problem struct {
	err         error
	inputs      *pyjson.Object
	interrupted bool
}

// step works on a node: it is done, has to wait for more, or failed.
func (r *run) step(n *node) (step, *problem) {
	if e := r.cache.get(n.id); e != nil {
		r.dismiss(n.id)
		r.resend(n, e)
		r.out.finished(n)
		r.plan.deliver(n.id, e)
		return stepDone, nil
	}
	inputs := pyjson.NewObject()
	how, err := r.work(n, inputs)
	if err != nil {
		r.addHidden(n, inputs)
		p := &problem{err: err, inputs: newCutter(r.e.limits).object(shownInputs(inputs))}
		p.interrupted = r.ctx.Err() != nil // whatever became of it in the node
		return stepFailed, p
	}
	if how == stepDone {
		r.out.finished(n)
		if !r.ran[n.id] {
			r.ran[n.id] = true
			r.executed = append(r.executed, n.id)
		}
	}
	return how, nil
}

// work takes a node as far as it gets. seen takes up the inputs for messages about an error.
func (r *run) work(n *node, seen *pyjson.Object) (step, error) {
	var got returned
	var err error
	switch {
	case r.asyncs[n.id] != nil:
		results, failed := r.asyncs[n.id].collect()
		delete(r.asyncs, n.id)
		if failed != nil {
			return stepFailed, failed
		}
		got, err = combine(n.class, results)
	case r.parts[n.id] != nil:
		got.outputs, err = r.resolve(n, r.parts[n.id])
		delete(r.parts, n.id)
	default:
		var wait bool
		if got, wait, err = r.call(n, seen); wait && err == nil {
			return stepPending, nil
		}
	}
	if err != nil {
		return stepFailed, err
	}
	if got.ui != nil && got.ui.Len() > 0 {
		if r.e.keep != nil {
			if got.ui, err = r.e.keep(r.ctx, got.ui); err != nil {
				return stepFailed, err
			}
		}
		r.display(n, got.ui)
	}
	if got.expansions != nil {
		return stepPending, r.expand(n, got.expansions)
	}
	e := got.kept
	if e == nil {
		e = &entry{outputs: got.outputs}
	}
	e.ui = r.shown[n.id]
	r.plan.deliver(n.id, e)
	r.cache.set(n.id, e)
	return stepDone, nil
}

// call announces a node and calls it. wait is true when it needs lazy inputs first or its calls go on in the background.
func (r *run) call(n *node, seen *pyjson.Object) (got returned, wait bool, err error) {
	if wait, err = r.revive(n); wait || err != nil {
		return got, wait, err
	}
	r.out.started(n)
	inputs := gather(n.class, n.inputs, func(l nodes.Link) ([]any, bool) { return r.linked(n, l) })
	seen.Merge(inputs.values)
	r.out.toClient("executing", pyjson.NewObject("node", n.id, "display_node", n.display, "prompt_id", r.job.ID))
	c := r.caller(n, inputs)
	if n.class.IsLazy() {
		if wait, err = r.askLazy(n, c); wait || err != nil {
			return got, wait, err
		}
	}
	c.host = func() nodes.Host { return newHost(r, n, nil) }
	c.blocked = func(b *nodes.Blocker) *nodes.Blocker { return r.blocked(n, b) }
	if !n.class.Async {
		got, err = r.perform(n, c)
		return got, false, err
	}
	r.waitForDevice(n)
	a, pending, err := r.startAsync(r.ctx, n, c, runNode)
	if err != nil {
		return got, false, err
	}
	if pending {
		r.hang(n, a)
		return got, true, nil
	}
	results, err := a.collect()
	if err != nil {
		return got, false, err
	}
	got, err = combine(n.class, results)
	return got, false, err
}

// mostRevivals is the number of times in a job that a node runs again because its result was lost: a node that itself ends the process
// would otherwise run forever.
const mostRevivals = 3

// revive schedules those inputs of a node again whose values were lost with the process that held them; wait is true then.
func (r *run) revive(n *node) (wait bool, err error) {
	if r.services.Elsewhere == nil {
		return false, nil
	}
	for _, l := range n.links {
		e := r.plan.held[n.id][l.from.ID]
		if e == nil || e.living() != nil || r.revived[l.from.ID] >= mostRevivals {
			continue
		}
		if r.revived == nil {
			r.revived = map[string]int{}
		}
		r.revived[l.from.ID]++
		delete(r.plan.held[n.id], l.from.ID) // for it to be held again, and delivered
		if err := r.plan.link(l.from.ID, n.id); err != nil {
			return false, err
		}
		wait = true
	}
	return wait, nil
}

func (r *run) caller(n *node, inputs inputSet) *caller {
	return &caller{id: n.id, promptID: r.job.ID, services: r.services, log: r.e.log, class: n.class, inputs: inputs}
}

func runNode(node nodes.Node, ctx *nodes.Context) (any, error) {
	r, err := node.Run(ctx)
	if err != nil {
		return r, err
	}
	if err := charge(ctx, r.Values); err != nil {
		return nil, err
	}
	return ctx.WithWarnings(r), nil
}

// Texts, lists and JSON values of more than this many bytes are charged to the job; spare is the memory to be left beside them.
const (
	chargedFrom = 1 << 20
	spare       = 2 << 20
)

// charge fails when the texts, lists and JSON values that a node gives have used up the memory: they are kept until the job
// ends and longer, and a node that reserved nothing for them must not get around the limit.
func charge(ctx *nodes.Context, values []any) error {
	n := nodes.TextBytes(values)
	if n < chargedFrom {
		return nil
	}
	return ctx.Reserve(fmt.Sprintf("anything beside the results of node %s, texts and lists of %d bytes", ctx.ID, n), spare)
}

// linked returns the list that a link delivers.
func (r *run) linked(n *node, l nodes.Link) ([]any, bool) {
	return r.plan.result(l.ID, n.id).list(l.Slot)
}

// display shows a node's values to the client and keeps them for the history.
func (r *run) display(n *node, ui *pyjson.Object) {
	if r.e.enrich != nil {
		ui = r.e.enrich(r.ctx, ui)
	}
	ui = r.cut.object(ui)
	meta := pyjson.NewObject("node_id", n.id, "display_node", n.display, "parent_node", n.parentID(), "real_node_id", n.realID())
	r.show(n.id, &shown{output: ui, meta: meta})
	r.out.toClient("executed", pyjson.NewObject("node", n.id, "display_node", n.display, "output", ui, "prompt_id", r.job.ID))
}

// resend shows the values of a cached result again.
func (r *run) resend(n *node, e *entry) {
	var output any
	if e.ui != nil {
		if r.e.keep != nil { // temp files may have been cleaned away
			if _, err := r.e.keep(r.ctx, e.ui.output); err != nil {
				r.e.log.Warn("keeping the files of a result of before", "node", n.id, "error", err)
			}
		}
		ui := &shown{output: r.cut.object(e.ui.output), meta: e.ui.meta}
		r.show(n.id, ui)
		output = ui.output
	}
	r.out.toClient("executed", pyjson.NewObject("node", n.id, "display_node", n.display, "output", output, "prompt_id", r.job.ID))
}

// blocked sends the client the message of a blocker, once; for later nodes it is silent.
func (r *run) blocked(n *node, b *nodes.Blocker) *nodes.Blocker {
	if b.Message == nil {
		return b
	}
	r.tellBlocked(n, b)
	return &nodes.Blocker{}
}

func (r *run) tellBlocked(n *node, b *nodes.Blocker) {
	r.out.send("execution_error", pyjson.NewObject("prompt_id", r.job.ID, "node_id", n.id, "node_type", n.class.Name, "executed", append([]string{}, r.executed...),
		"exception_message", "Execution Blocked: "+newCutter(r.e.limits).string(*b.Message), "exception_type", "ExecutionBlocked", "traceback", []any{}, "current_inputs", []any{},
		"current_outputs", []any{}), nil)
}
