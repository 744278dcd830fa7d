package executor

import (
	"context"
	"errors"
	"slices"
	"sync"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// run is one job being run.
type run struct {
	e        *Executor
	job      Job
	ctx      context.Context
	services nodes.Services

	g     *graph
	keys  *keyMaker
	cache outputCache
	plan  *plan
	out   *emitter
	cut   *cutter

	executed []string
	ran      map[string]bool
	cached   int // nodes whose results were there at the start
	shown    map[string]*shown
	shows    []string               // keys of shown in order
	parts    map[string][]expansion // nodes that wait for what they expanded into
	asyncs   map[string]*asyncCalls // nodes whose calls still run
	workers  *workers
	begun    *headStart // what was done of this job while the one before it ended; nil when nothing was

	revived    map[string]int // how often a lost result of a node was computed again
	background sync.WaitGroup
	wake       chan string
	over       chan struct{}
	success    bool
	cancelled  bool
}

// step is the outcome of the work on a node.
type step int

const (
	stepDone step = iota
	stepPending
	stepFailed
)

// Run runs a job and returns what belongs into the history. Jobs of one Executor run one after the other. The job ends early when ctx does,
// as an interrupted one.
func (e *Executor) Run(ctx context.Context, job Job, sink Sink) Result {
	e.mu.Lock()
	defer e.mu.Unlock()
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	begun := e.takeHeadStart(job)
	defer begun.drop()
	r := newRun(inner, e, job, sink)
	r.begun = begun
	r.start()
	cancel()
	r.out.close()
	close(r.over)
	r.background.Wait()
	return r.result()
}

func newRun(ctx context.Context, e *Executor, job Job, sink Sink) *run {
	job.Prompt = job.Prompt.Clone()
	if job.Folders != nil {
		ctx = InFolders(ctx, job.Folders)
	}
	r := &run{
		cut: newCutter(e.limits),
		e:   e, job: job, ctx: ctx, services: e.servicesIn(ctx, job.Folders), cache: e.cache, ran: map[string]bool{}, shown: map[string]*shown{}, parts: map[string][]expansion{},
		asyncs: map[string]*asyncCalls{}, workers: newWorkers(), wake: make(chan string), over: make(chan struct{}), success: true,
	}
	r.out = &emitter{sink: sink, now: e.now}
	r.out.client, r.out.hasOne = job.Client()
	return r
}

// ClearCache drops all results. It waits for a job that runs.
func (e *Executor) ClearCache() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.takeHeadStart(Job{}).drop()
	e.cache = newCache(e.config)
	e.states = &stateStore{}
}

func (r *run) start() {
	r.out.status("execution_start", pyjson.NewObject("prompt_id", r.job.ID), false)
	g, err := newGraph(r.job.Prompt, r.e.registry)
	if err != nil {
		r.fail("", nil, err)
		return
	}
	r.g = g
	r.out.progress = newProgressBoard(r.job.ID)
	if r.e.config.Kind == CacheNone {
		r.e.states = &stateStore{}
	}
	r.e.states.keep(g)
	r.e.runs++
	r.keys = &keyMaker{g: g, owner: r.job.owner(), run: r.e.runs, fingerprint: r.fingerprint}
	ids := slices.Clone(g.order)
	r.cache.begin(g, r.keys, ids)
	cached := r.cachedNodes(ids)
	r.cached = len(cached)
	r.out.status("execution_cached", pyjson.NewObject("nodes", cached, "prompt_id", r.job.ID), false)
	r.plan = newPlan(g, r.cache)
	r.adopt()
	known := r.cache.known()
	for _, id := range r.job.Outputs {
		if err := r.plan.add(id); err != nil {
			r.fail(id, known, err)
			return
		}
	}
	if r.loop(known) {
		r.resendIntermediate()
		r.out.status("execution_success", pyjson.NewObject("prompt_id", r.job.ID), false)
	}
}

func (r *run) cachedNodes(ids []string) []any {
	cached := []any{}
	for _, id := range ids {
		if r.cache.get(id) != nil {
			cached = append(cached, id)
		}
	}
	return cached
}

// loop runs nodes until none is left; false when one failed.
func (r *run) loop(known []string) bool {
	for !r.plan.empty() {
		r.waken(false)
		for len(r.plan.ready) == 0 && r.plan.blocked > 0 {
			r.waken(true)
		}
		if len(r.plan.ready) == 0 {
			r.reportCycle(known)
			return false
		}
		n := r.plan.pick().n
		how, problem := r.step(n)
		r.success = how != stepFailed
		switch how {
		case stepFailed:
			r.report(n, problem, known)
			return false
		case stepDone:
			r.plan.done(n.id)
		}
		r.cache.after()
	}
	return true
}

// fingerprint asks a node for its fingerprint, once a run. It depends on constants only. An error counts as a change.
func (r *run) fingerprint(n *node) any {
	if n.fingerprinted {
		return n.fingerprint
	}
	n.fingerprinted = true
	n.fingerprint = false
	if !n.class.HasFingerprint() {
		return n.fingerprint
	}
	if given, ok := n.data.Get("is_changed"); ok {
		n.fingerprint = given
		return given
	}
	results, err := r.caller(n, constants(n.class, n.inputs)).each(r.ctx, func(node nodes.Node, ctx *nodes.Context) (any, error) {
		return node.(nodes.Fingerprinter).Fingerprint(ctx)
	})
	if err != nil {
		r.e.log.Warn("fingerprinting a node failed, it counts as changed", "node", n.id, "class", n.class.Name, "error", err)
		n.fingerprint = notANumber
	} else {
		n.fingerprint = results
	}
	n.data.Set("is_changed", n.fingerprint)
	return n.fingerprint
}

// resendIntermediate shows the kept results of nodes that did not run and show something on their way, or warned when they ran: what
// they left out is left out of this job, too.
func (r *run) resendIntermediate() {
	for _, id := range r.g.order {
		n := r.g.nodes[id]
		if r.ran[id] {
			continue
		}
		if e := r.cache.get(id); e != nil && (n.class.HasIntermediateOutput || e.warned()) {
			r.resend(n, e)
		}
	}
}

func (r *run) result() Result {
	outputs, meta := pyjson.NewObject(), pyjson.NewObject()
	for _, id := range r.shows {
		outputs.Set(id, r.shown[id].output)
		meta.Set(id, r.shown[id].meta)
	}
	return Result{Outputs: outputs, Meta: meta, Messages: r.out.messages, Ran: len(r.ran), Cached: r.cached, Success: r.success, Interrupted: r.cancelled}
}

func (r *run) show(id string, s *shown) {
	if _, there := r.shown[id]; !there {
		r.shows = append(r.shows, id)
	}
	r.shown[id] = s
}

// report sends the error of a node that failed or was interrupted.
func (r *run) report(n *node, p *problem, known []string) {
	data := pyjson.NewObject("prompt_id", r.job.ID, "node_id", n.realID(), "node_type", r.originalClass(n.realID()), "executed", r.executed)
	if p.interrupted {
		r.cancelled = true
		r.e.log.Info("interrupting a job", "prompt", r.job.ID, "node", n.id)
		r.out.status("execution_interrupted", data, true)
		return
	}
	r.e.log.Error("running a node failed", "prompt", r.job.ID, "node", n.id, "class", n.class.Name, "error", p.err)
	cut := newCutter(r.e.limits)
	data.Set("exception_message", cut.string(forClients(r.services.Folders, p.err.Error()))+"\n").Set("exception_type", nodes.ExceptionType(p.err)).Set("traceback", cut.value(trace(r.services.Folders, p.err)))
	data.Set("current_inputs", p.inputs).Set("current_outputs", known)
	r.out.status("execution_error", data, false)
}

func (r *run) originalClass(id string) any {
	if n := r.job.Prompt.Object(id); n != nil {
		v, _ := n.Get("class_type")
		return v
	}
	return nil
}

// fail reports an error that no node's work led to.
func (r *run) fail(id string, known []string, err error) {
	r.success = false
	r.out.status("execution_error", pyjson.NewObject("prompt_id", r.job.ID, "node_id", id, "node_type", r.originalClass(id), "executed", []any{},
		"exception_message", forClients(r.services.Folders, err.Error())+"\n", "exception_type", nodes.ExceptionType(err), "traceback", trace(r.services.Folders, err), "current_inputs", []any{},
		"current_outputs", known), false)
}

var errCycle = errors.New("Dependency cycle detected") //nolint:staticcheck // clients see this text

// reportCycle blames the first node of a cycle that came by expansion: the others were checked before the run.
func (r *run) reportCycle(known []string) {
	cycle := r.plan.cycle()
	blamed := cycle[0]
	for _, id := range cycle {
		if shown := r.g.displayID(id); shown != id {
			blamed = shown
			break
		}
	}
	r.out.status("execution_error", pyjson.NewObject("prompt_id", r.job.ID, "node_id", blamed, "node_type", r.originalClass(blamed), "executed", r.executed,
		"exception_message", errCycle.Error(), "exception_type", "graph.DependencyCycleError", "traceback", []any{}, "current_inputs", []any{},
		"current_outputs", known), false)
}
