package workflow

import (
	"slices"
	"time"

	"comfygo/internal/pyjson"
)

// Converter turns saved workflows into prompts. Definitions is required.
type Converter struct {
	Definitions Definitions
	// Now returns the time for %date%; nil means time.Now.
	Now func() time.Time
	// Choose picks one of n alternatives {a|b|c} of a text; nil picks at random.
	Choose func(n int) int
}

// Convert returns the prompt of a workflow: an object of nodes by id, each with inputs, class_type and _meta.title. Node
// classes without a definition keep their links, and no values. The workflow is not changed. Errors say what in the
// workflow cannot be read; ErrTooLarge is for one that is beyond all measure.
func (c Converter) Convert(workflow *pyjson.Object) (*pyjson.Object, error) {
	d, err := c.newDocument(workflow)
	if err != nil {
		return nil, err
	}
	d.settle()
	if err := d.expandGroups(); err != nil {
		return nil, err
	}
	for _, n := range d.root.sorted() {
		n.applyAll(map[*graph]bool{})
	}
	x, err := d.expand()
	if err != nil {
		return nil, err
	}
	return x.prompt()
}

// settle does the front end's work after all nodes are made.
func (d *document) settle() {
	all := func(f func(*node)) { d.root.walk(map[*graph]bool{}, f) }
	all(func(n *node) { n.renumber() })
	all(func(n *node) {
		if n.class == nil && n.sub == nil {
			return
		}
		for i := len(n.inputs) - 1; i >= 0; i-- {
			if in := n.inputs[i]; in.widget != "" && n.widgetOf(in) == nil {
				n.removeInput(i)
			}
		}
	})
	d.primitives()
	all(func(n *node) {
		for _, w := range n.all() {
			if w.kind == "combo" && len(w.choices) > 0 && missing(w.current()) {
				w.assign(w.choices[0])
			}
			if s, ok := w.current().(string); ok && w.name == "sampler_name" && (n.typ == "KSampler" || n.typ == "KSamplerAdvanced") && len(s) > 7 && s[:7] == "sample_" {
				w.assign(s[7:])
			}
		}
	})
	d.matchTypes()
}

// applyAll puts the values of primitives where they feed, those within subgraphs too.
func (n *node) applyAll(seen map[*graph]bool) {
	n.apply()
	if n.sub == nil || seen[n.sub] {
		return
	}
	seen[n.sub] = true
	for _, inner := range n.sub.nodes {
		inner.applyAll(seen)
	}
}

// prompt writes down the nodes that run.
func (x *expansion) prompt() (*pyjson.Object, error) {
	made := map[string]*pyjson.Object{}
	var ids []string
	for _, p := range x.order {
		p = x.byID[p.id]
		if p.virtual || p.off() {
			continue
		}
		inputs, err := p.values()
		if err != nil {
			return nil, err
		}
		made[p.id] = pyjson.NewObject("inputs", inputs, "class_type", p.typ, "_meta", pyjson.NewObject("title", p.title))
		ids = append(ids, p.id)
	}
	for _, n := range made {
		inputs := n.Object("inputs")
		for _, name := range slices.Clone(inputs.Keys()) {
			v, _ := inputs.Get(name)
			if l := list(v); len(l) == 2 && made[str(l[0])] == nil {
				inputs.Delete(name)
			}
		}
	}
	slices.SortStableFunc(ids, compareIDs)
	out := pyjson.NewObject()
	for _, id := range ids {
		out.Set(id, made[id])
	}
	return out, nil
}

// values are the inputs of a node: what its widgets hold, and over that where its links come from.
func (p *placed) values() (*pyjson.Object, error) {
	inputs := pyjson.NewObject()
	put := func(name string, v any, kind string) {
		if _, ok := v.(absent); ok {
			inputs.Delete(name)
			return
		}
		if l, ok := v.([]any); ok {
			wrapped := pyjson.NewObject()
			if kind == "curve" {
				wrapped.Set("__type__", "CURVE")
			}
			v = wrapped.Set("__value__", l)
		}
		inputs.Set(name, v)
	}
	for _, w := range p.widgets {
		if w.name != "" && !w.hidden {
			put(w.name, p.graph.doc.text(w), w.kind)
		}
	}
	for i, in := range p.inputs {
		from, err := p.resolveInput(i, trail{}, "")
		if err != nil {
			return nil, err
		}
		switch {
		case from == nil:
		case from.fixed:
			put(in.name, from.value, "")
		default:
			inputs.Set(in.name, []any{from.id, int64(from.slot)})
		}
	}
	return inputs, nil
}
