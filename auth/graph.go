package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// graph is a prompt in API form: node ID to node.
type graph struct {
	nodes map[string]graphNode
	order []string // as they were written
}

type graphNode struct {
	class  string
	inputs map[string]any // json.Number for numbers
	order  []string
	extra  []string // members besides class_type, inputs and _meta
}

// member is one of an object's, in its written order.
type member struct {
	name  string
	value json.RawMessage
}

// members reads an object. Of a name that is given twice the last counts.
func members(data []byte) ([]member, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("it is no object")
	}
	var list []member
	at := map[string]int{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name, _ := t.(string)
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		if i, twice := at[name]; twice {
			list[i].value = value
			continue
		}
		at[name] = len(list)
		list = append(list, member{name, value})
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("something stands behind it")
	}
	return list, nil
}

// parseGraph reads a prompt.
func parseGraph(data []byte) (*graph, error) {
	nodes, err := members(data)
	if err != nil {
		return nil, fmt.Errorf("the graph cannot be read: %w", err)
	}
	g := &graph{nodes: map[string]graphNode{}}
	for _, m := range nodes {
		n, err := parseNode(m.value)
		if err != nil {
			return nil, fmt.Errorf("node %s cannot be read: %w", short(m.name), err)
		}
		g.nodes[m.name] = n
		g.order = append(g.order, m.name)
	}
	return g, nil
}

func parseNode(data []byte) (graphNode, error) {
	parts, err := members(data)
	n := graphNode{inputs: map[string]any{}}
	for _, m := range parts {
		switch m.name {
		case "class_type":
			if err := json.Unmarshal(m.value, &n.class); err != nil {
				return n, errors.New("its class_type is no text")
			}
		case "inputs":
			inputs, err := members(m.value)
			if err != nil {
				return n, fmt.Errorf("its inputs: %w", err)
			}
			for _, in := range inputs {
				dec := json.NewDecoder(bytes.NewReader(in.value))
				dec.UseNumber()
				var v any
				if err := dec.Decode(&v); err != nil {
					return n, err
				}
				n.inputs[in.name] = v
				n.order = append(n.order, in.name)
			}
		case "_meta":
		default:
			n.extra = append(n.extra, m.name)
		}
	}
	return n, err
}

// workflowRecord is a registered workflow, ready to be compared with.
type workflowRecord struct {
	Workflow
	graph *graph
	free  map[[2]string]bool // node and input
}

func newWorkflowRecord(w Workflow) (*workflowRecord, error) {
	g, err := parseGraph(w.Graph)
	if err != nil {
		return nil, err
	}
	r := &workflowRecord{Workflow: w, graph: g, free: map[[2]string]bool{}}
	for _, f := range w.Free {
		r.free[[2]string{f.Node, f.Input}] = true
	}
	return r, nil
}

// compare counts how often a graph differs elsewhere than in what the free inputs may be, and names the first difference:
// by the number of the node, then by the name of the input.
func (w *workflowRecord) compare(given *graph) (n int, first string) {
	differs := func(format string, args ...any) {
		if n++; n == 1 {
			first = fmt.Sprintf(format, args...)
		}
	}
	ids := map[string]bool{}
	for id := range w.graph.nodes {
		ids[id] = true
	}
	for id := range given.nodes {
		ids[id] = true
	}
	for _, id := range slices.SortedFunc(maps.Keys(ids), byNumber) {
		want, registered := w.graph.nodes[id]
		have, sent := given.nodes[id]
		switch {
		case !sent:
			differs("node %s (%s) is missing", short(id), short(want.class))
		case !registered:
			differs("there is a node %s (%s) too much", short(id), short(have.class))
		case want.class != have.class:
			differs("node %s is %s and not %s", short(id), short(have.class), short(want.class))
		default:
			w.compareInputs(id, want, have, differs)
		}
	}
	return n, first
}

func (w *workflowRecord) compareInputs(id string, want, have graphNode, differs func(string, ...any)) {
	if len(have.extra) > 0 {
		differs("node %s (%s) has %s, which no workflow has", short(id), short(want.class), short(have.extra[0]))
	}
	names := map[string]bool{}
	for name := range want.inputs {
		names[name] = true
	}
	for name := range have.inputs {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		wanted, registered := want.inputs[name]
		value, sent := have.inputs[name]
		where := fmt.Sprintf("node %s (%s): input %s", short(id), short(want.class), short(name))
		switch {
		case !sent:
			differs("%s is missing", where)
		case !registered:
			differs("%s is one too much", where)
		case w.free[[2]string{id, name}]:
			if kindOf(value) != kindOf(wanted) {
				differs("%s may be chosen, but has to be a %s and not a %s", where, kindOf(wanted), kindOf(value))
			}
		case !equal(wanted, value):
			differs("%s is %s and not %s", where, shown(value), shown(wanted))
		}
	}
}

// byNumber orders node IDs as numbers where they are some, and before all others.
func byNumber(a, b string) int {
	n, errA := strconv.ParseUint(a, 10, 64)
	m, errB := strconv.ParseUint(b, 10, 64)
	switch {
	case errA == nil && errB == nil && n < m, errA == nil && errB != nil:
		return -1
	case errA == nil && errB == nil && n > m, errA != nil && errB == nil:
		return 1
	}
	return strings.Compare(a, b)
}

// kindOf returns the kind that a free value must share with the registered one. A link is a kind of its own: a free input
// never becomes one, or it could read what another node makes.
func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case json.Number:
		return "number"
	case string:
		return "text"
	case []any:
		if isLink(v) {
			return "link"
		}
		return "list"
	}
	return "object"
}

// isLink reports whether a list may be taken for the output of a node. Any list of two that begins with a text is.
func isLink(v []any) bool {
	if len(v) != 2 {
		return false
	}
	_, text := v[0].(string)
	return text
}

// equal compares two values. Numbers are equal when they are written in the same way or, as 7 and 7.0, mean the same and
// are small enough for that to be certain.
func equal(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		b, ok := b.(json.Number)
		return ok && equalNumbers(a.String(), b.String())
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equal)
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, equal)
	}
	return kindOf(a) == kindOf(b) && a == b
}

func equalNumbers(a, b string) bool {
	if a == b {
		return true
	}
	x, errA := strconv.ParseFloat(a, 64)
	y, errB := strconv.ParseFloat(b, 64)
	const exact = 1 << 53
	return errA == nil && errB == nil && x == y && x < exact && x > -exact
}

// longestShown bounds what a refusal repeats of what was sent, in runes.
const longestShown = 48

func short(s string) string {
	if r := []rune(clean(s)); len(r) > longestShown {
		return string(r[:longestShown]) + "…"
	}
	return clean(s)
}

func shown(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return "something else"
	}
	return short(string(text))
}
