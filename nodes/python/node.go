package python

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"

	"comfygo/internal/pyhost"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// node is a node of a class in Python. Its inputs are those of its context.
type node struct {
	bridge *Bridge
	spec   nodes.Spec
	pack   string   // that the class is of, for the log
	hidden []string // kinds that the class asks for
}

var (
	_ nodes.Validator     = (*node)(nil)
	_ nodes.Fingerprinter = (*node)(nil)
	_ nodes.LazyInputs    = (*node)(nil)
)

// Spec implements nodes.Node.
func (n *node) Spec() nodes.Spec { return n.spec }

// instance is the Python object that a node of a graph keeps from run to run, as upstream does.
type instance struct {
	session *pyhost.Session
	key     string
}

var instances atomic.Uint64

func newInstance() any {
	i := &instance{key: strconv.FormatUint(instances.Add(1), 10)}
	return i
}

// instanceOf returns the key of the node's object in this life of the process.
func instanceOf(ctx *nodes.Context, s *pyhost.Session) string {
	i, ok := ctx.State(newInstance).(*instance)
	if !ok {
		return strconv.FormatUint(instances.Add(1), 10)
	}
	if i.session != s { // of an earlier life of the process, if of any: its objects are gone
		runtime.AddCleanup(i, func(key string) { s.DropState(key) }, i.key)
		i.session = s
	}
	return i.key
}

// call calls one of the class's methods.
func (n *node) call(ctx *nodes.Context, what string, extra *pyjson.Object, wait func(func())) (*pyjson.Object, *pyhost.Session, error) {
	s, err := n.bridge.host.Session(ctx)
	if err != nil {
		return nil, nil, err
	}
	e := &encoder{session: s, shared: s, ctx: ctx}
	defer e.remove()
	values := ctx.Inputs()
	inputs, err := e.inputs(values)
	if err != nil {
		return nil, nil, n.explained(err)
	}
	hidden, err := n.hiddenValues(ctx)
	if err != nil {
		return nil, nil, err
	}
	m := pyjson.NewObject("what", what, "class", n.spec.Name, "prompt", ctx.PromptID, "node", ctx.ID, "index", int64(ctx.Call),
		"inputs", inputs, "hidden", hidden, "lists", n.spec.InputIsList)
	m.Merge(extra)
	if what == "run" || what == "lazy" {
		m.Set("instance", instanceOf(ctx, s))
	}
	end := n.bridge.begin(ctx)
	defer end()
	var answer *pyjson.Object
	s.Do(n.pack)
	wait(func() { answer, err = s.Call(ctx, "call", m) })
	runtime.KeepAlive(values) // the handles in it are in use until now
	return answer, s, interrupted(ctx, err)
}

// interrupted makes an interrupt in Python that of the job.
func interrupted(ctx context.Context, err error) error {
	var f *pyhost.Failure
	if errors.As(err, &f) && f.Interrupted && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// explained adds advice to the error for a value of this program that cannot be sent to Python.
func (n *node) explained(err error) error {
	var local *nativeOnly
	if errors.As(err, &local) {
		return nodes.Errorf("TypeError", "%s runs in Python: %w", n.spec.Name, err)
	}
	return err
}

func at(f func()) { f() }

// Run implements nodes.Node.
func (n *node) Run(ctx *nodes.Context) (nodes.Result, error) {
	wait := at
	if n.spec.Async {
		wait = ctx.Await
	}
	answer, s, err := n.call(ctx, "run", nil, wait)
	if err != nil {
		return nodes.Result{}, err
	}
	return result(s, answer)
}

func result(s *pyhost.Session, answer *pyjson.Object) (nodes.Result, error) {
	r := nodes.Result{UI: answer.Object("ui"), Expand: answer.Object("expand")}
	if b := answer.Object("block"); b != nil {
		r.Block = blocker(b)
	}
	if v, _ := answer.Get("values"); v != nil {
		list, ok := v.([]any)
		if !ok {
			return r, errors.New("the Python host answered without a list of values")
		}
		r.Values = make([]any, len(list))
		for i, e := range list {
			r.Values[i] = received(s, e)
		}
	}
	for _, v := range r.Expand.All() {
		if data, ok := v.(*pyjson.Object); ok {
			inputs := data.Object("inputs")
			for name, e := range inputs.All() {
				inputs.Set(name, received(s, e))
			}
		}
	}
	return r, nil
}

func blocker(o *pyjson.Object) *nodes.Blocker {
	b := &nodes.Blocker{}
	if text, ok := func() (string, bool) { v, _ := o.Get("message"); t, ok := v.(string); return t, ok }(); ok {
		b.Message = &text
	}
	return b
}

// received reads a value of a message.
func received(s *pyhost.Session, v any) any {
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			v[i] = received(s, e)
		}
	case *pyjson.Object:
		switch v.String(mark) {
		case "handle":
			return newHandle(s, v)
		case "blocker":
			return blocker(v)
		case "link":
			return nodes.Link{ID: v.String("node"), Slot: int(integer(v, "slot"))}
		}
	}
	return v
}

// hiddenValues returns the values of the hidden inputs that the class declares.
func (n *node) hiddenValues(ctx *nodes.Context) (*pyjson.Object, error) {
	out := pyjson.NewObject()
	for _, kind := range n.hidden {
		v := ctx.Hidden(kind)
		if graph, ok := v.(nodes.DynPrompt); ok {
			v = dynPrompt(graph)
		}
		out.Set(kind, v)
	}
	return out, nil
}

// dynPrompt writes a graph with the nodes that expansion has added.
func dynPrompt(g nodes.DynPrompt) *pyjson.Object {
	added := pyjson.NewObject()
	original := g.Original()
	for _, id := range g.IDs() {
		if original.Has(id) {
			continue
		}
		data := pyjson.NewObject()
		for k, v := range g.Node(id).All() {
			if inputs, ok := v.(*pyjson.Object); ok && k == "inputs" {
				v = onlyPlain(inputs)
			}
			data.Set(k, v)
		}
		added.Set(id, pyjson.NewObject("node", data, "parent", g.ParentID(id), "display", g.DisplayID(id)))
	}
	return pyjson.NewObject("original", original, "added", added)
}

// onlyPlain removes values that are not JSON from a node's inputs: constants that expansion brought and that Python
// holds.
func onlyPlain(inputs *pyjson.Object) *pyjson.Object {
	out := pyjson.NewObject()
	for k, v := range inputs.All() {
		if _, err := pyjson.Marshal(v); err != nil {
			v = nil
		}
		out.Set(k, v)
	}
	return out
}

// ValidateInputs implements nodes.Validator.
func (n *node) ValidateInputs(ctx *nodes.Context) error {
	extra := pyjson.NewObject()
	for _, name := range n.spec.Validates {
		if name != "input_types" {
			continue
		}
		types := pyjson.NewObject()
		for input, typ := range ctx.LinkedTypes() {
			types.Set(input, typ)
		}
		extra.Set("input_types", types)
	}
	answer, _, err := n.call(ctx, "validate", extra, at)
	if err != nil {
		return err
	}
	if ok, _ := answer.Get("valid"); ok == true {
		return nil
	}
	if reason := answer.String("reason"); reason != "" {
		return nodes.Invalid("%s", reason)
	}
	return nodes.Refused()
}

// Fingerprint implements nodes.Fingerprinter.
func (n *node) Fingerprint(ctx *nodes.Context) (any, error) {
	answer, _, err := n.call(ctx, "fingerprint", nil, at)
	if err != nil {
		return nil, err
	}
	v, ok := answer.Get("value")
	if !ok {
		return math.NaN(), nil
	}
	return v, nil
}

// CheckLazy implements nodes.LazyInputs.
func (n *node) CheckLazy(ctx *nodes.Context) ([]string, error) {
	answer, _, err := n.call(ctx, "lazy", nil, at)
	if err != nil {
		return nil, err
	}
	v, _ := answer.Get("names")
	list, _ := v.([]any)
	var names []string
	for _, e := range list {
		if name, ok := e.(string); ok {
			names = append(names, name)
		}
	}
	return names, nil
}

// classOf makes a class from the host's description.
func (b *Bridge) classOf(name string, d *pyjson.Object) (*nodes.Class, error) {
	info := d.Object("info")
	if info == nil {
		return nil, fmt.Errorf("class %s has no description", name)
	}
	is := func(o *pyjson.Object, key string) bool { v, _ := o.Get(key); return v == true }
	spec := nodes.Spec{
		Name: name, DisplayName: info.String("display_name"), Category: info.String("category"), Description: info.String("description"),
		Module: info.String("python_module"), V3: is(d, "v3"), OutputNode: is(info, "output_node"), InputIsList: is(info, "is_input_list"),
		HasIntermediateOutput: is(info, "has_intermediate_output"), NotIdempotent: is(d, "not_idempotent"), Async: is(d, "async"),
		AcceptAllInputs: is(d, "accept_all"), Deprecated: is(info, "deprecated"), Experimental: is(info, "experimental"), APINode: is(info, "api_node"),
	}
	spec.Outputs = outputs(info)
	for _, e := range listIn(d, "validates") {
		if text, ok := e.(string); ok {
			spec.Validates = append(spec.Validates, text)
		}
	}
	n := &node{bridge: b, spec: spec, pack: strings.TrimPrefix(spec.Module, "custom_nodes.")}
	for _, kind := range d.Object("hidden").All() {
		if text, ok := kind.(string); ok && nodes.IsHiddenKind(text) {
			n.hidden = append(n.hidden, text)
		}
	}
	return nodes.NewForeignClass(nodes.Definition{
		Spec: spec, Info: info, Hidden: d.Object("hidden"), Live: func() *pyjson.Object { return b.live(name) }, Make: func() nodes.Node { return n },
		Fingerprints: is(d, "fingerprints"), Lazy: is(d, "lazy"),
	})
}

func listIn(o *pyjson.Object, key string) []any {
	v, _ := o.Get(key)
	list, _ := v.([]any)
	return list
}

func outputs(info *pyjson.Object) []nodes.Output {
	types, lists, names := listIn(info, "output"), listIn(info, "output_is_list"), listIn(info, "output_name")
	out := make([]nodes.Output, len(types))
	for i, t := range types {
		switch t := t.(type) {
		case string:
			out[i].Type = t
		case []any:
			out[i].Choices = t
		default:
			out[i].Type = "*"
		}
		if i < len(lists) {
			out[i].List = lists[i] == true
		}
		if i < len(names) {
			out[i].Name, _ = names[i].(string)
		}
	}
	return out
}
