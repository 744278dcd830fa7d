package executor

import (
	"slices"
	"sort"

	"comfygo/nodes"
)

// plan dissolves the graph in the order in which nodes get ready. A node that was staged can go back with more to wait for.
type plan struct {
	g       *graph
	cache   outputCache
	pending map[string]*task
	ready   []*task // sorted by seq
	seq     int
	blocked int // external blocks
	busy    int // pending nodes that may use the device

	held map[string]map[string]*entry // for each node the results it waits for or has, by node
	want map[string][]string          // the other way round
}

// task is a node that has to run.
type task struct {
	n        *node
	seq      int
	waits    int             // nodes and external blocks it waits for
	blocking map[string]bool // nodes that wait for it
	queued   bool            // it is among the ready nodes
}

func newPlan(g *graph, cache outputCache) *plan {
	return &plan{g: g, cache: cache, pending: map[string]*task{}, held: map[string]map[string]*entry{}, want: map[string][]string{}}
}

func (p *plan) empty() bool { return len(p.pending) == 0 }

// add puts a node in with everything it needs that has no result yet; lazy inputs are left out.
func (p *plan) add(id string) error {
	stack := []string{id}
	type link struct{ from, to string }
	var links []link
	var fresh []*task
	for len(stack) > 0 {
		id := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if p.pending[id] != nil {
			continue
		}
		n, err := p.g.get(id)
		if err != nil {
			return err
		}
		p.seq++
		t := &task{n: n, seq: p.seq, blocking: map[string]bool{}}
		p.pending[id] = t
		if n.class.Uses != nodes.UsesNothing {
			p.busy++
		}
		fresh = append(fresh, t)
		for _, l := range n.links {
			if l.lazy {
				continue
			}
			if p.cache.peek(l.from.ID) == nil {
				stack = append(stack, l.from.ID)
			}
			links = append(links, link{l.from.ID, id})
		}
	}
	for _, l := range links {
		if err := p.link(l.from, l.to); err != nil {
			return err
		}
	}
	for _, t := range fresh {
		if t.waits == 0 {
			p.queue(t)
		}
	}
	return nil
}

// link makes a node wait for another unless that one has a result, and gives it the result then.
func (p *plan) link(from, to string) error {
	if p.cache.peek(from) == nil {
		if err := p.add(from); err != nil {
			return err
		}
		if t := p.pending[from]; !t.blocking[to] {
			t.blocking[to] = true
			p.block(to)
		}
	}
	p.hold(from, to)
	return nil
}

// need makes a lazy input a real one.
func (p *plan) need(to *node, input string) error {
	v, there := to.inputs.Get(input)
	if !there {
		return nodes.Errorf("comfy_execution.graph.NodeInputError", "Node %s says it needs input %s, but there is no input to that node at all", to.id, input)
	}
	link, ok := nodes.AsLink(v)
	if !ok {
		return nodes.Errorf("comfy_execution.graph.NodeInputError", "Node %s says it needs input %s, but that value is a constant", to.id, input)
	}
	return p.link(link.ID, to.id)
}

// hold gives a node the result of another as soon as there is one.
func (p *plan) hold(from, to string) {
	m := p.held[to]
	if m == nil {
		m = map[string]*entry{}
		p.held[to] = m
	}
	if _, listed := m[from]; !listed {
		p.want[from] = append(p.want[from], to)
	}
	m[from] = p.cache.peek(from)
}

// result returns the result of a node for another that waits for it, or nil.
func (p *plan) result(from, to string) *entry {
	e := p.held[to][from]
	if e != nil {
		p.cache.touch(from, e)
	}
	return e
}

// deliver passes a new result to all nodes that wait for it.
func (p *plan) deliver(id string, e *entry) {
	for _, to := range p.want[id] {
		if m := p.held[to]; m != nil {
			m[id] = e
		}
	}
}

func (p *plan) block(id string) {
	t := p.pending[id]
	if t == nil {
		return
	}
	t.waits++
	p.unqueue(t)
}

func (p *plan) unblock(id string) {
	t := p.pending[id]
	if t == nil {
		return
	}
	t.waits--
	if t.waits == 0 {
		p.queue(t)
	}
}

// queue puts a task among the ready ones, in the order in which tasks were added.
func (p *plan) queue(t *task) {
	if t.queued {
		return
	}
	t.queued = true
	p.ready = slices.Insert(p.ready, p.place(t), t)
}

func (p *plan) unqueue(t *task) {
	if !t.queued {
		return
	}
	t.queued = false
	i := p.place(t)
	p.ready = slices.Delete(p.ready, i, i+1)
}

func (p *plan) place(t *task) int {
	return sort.Search(len(p.ready), func(i int) bool { return p.ready[i].seq >= t.seq })
}

// hang makes a node wait for something outside the graph; free ends that.
func (p *plan) hang(id string) {
	p.blocked++
	p.block(id)
}

func (p *plan) free(id string) {
	p.blocked--
	p.unblock(id)
}

// done takes a node out.
func (p *plan) done(id string) {
	t := p.pending[id]
	if t == nil {
		return
	}
	delete(p.pending, id)
	if t.n.class.Uses != nodes.UsesNothing {
		p.busy--
	}
	p.unqueue(t)
	for to := range t.blocking {
		p.unblock(to)
	}
	delete(p.held, id)
	delete(p.want, id)
}

// pick chooses among the ready nodes: output nodes and async nodes first, then what an output node waits for, then what waits two steps before one.
func (p *plan) pick() *task {
	for _, t := range p.ready {
		if t.n.class.OutputNode || t.n.class.Async {
			return t
		}
	}
	for _, t := range p.ready {
		if p.beforeOutput(t) {
			return t
		}
	}
	for _, t := range p.ready {
		for id := range t.blocking {
			if p.beforeOutput(p.pending[id]) {
				return t
			}
		}
	}
	return p.ready[0]
}

func (p *plan) beforeOutput(t *task) bool {
	if t == nil {
		return false
	}
	for id := range t.blocking {
		if b := p.pending[id]; b != nil && b.n.class.OutputNode {
			return true
		}
	}
	return false
}

// cycle returns the nodes that wait for each other if none is ready, in the order they were added.
func (p *plan) cycle() []string {
	waits := map[string]map[string]bool{}
	var order []*task
	for id, t := range p.pending {
		order = append(order, t)
		if waits[id] == nil {
			waits[id] = map[string]bool{}
		}
		for to := range t.blocking {
			if waits[to] == nil {
				waits[to] = map[string]bool{}
			}
			waits[to][id] = true
		}
	}
	sort.Slice(order, func(i, j int) bool { return order[i].seq < order[j].seq })
	for changed := true; changed; {
		changed = false
		for id, w := range waits {
			if len(w) > 0 {
				continue
			}
			changed = true
			delete(waits, id)
			for _, other := range waits {
				delete(other, id)
			}
		}
	}
	var out []string
	for _, t := range order {
		if _, in := waits[t.n.id]; in {
			out = append(out, t.n.id)
		}
	}
	return out
}
