package executor

import (
	"errors"
	"strings"

	"comfygo/folders"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// trace returns the traceback that clients see: the stack of a panic, else the steps of the error's chain.
func trace(f *folders.Folders, err error) []any {
	out := []any{}
	var p *nodes.PanicError
	if errors.As(err, &p) {
		for _, line := range strings.Split(strings.TrimSpace(string(p.Stack)), "\n") {
			out = append(out, line+"\n")
		}
		return out
	}
	var foreign interface{ TracebackLines() []string }
	if errors.As(err, &foreign) && len(foreign.TracebackLines()) > 0 {
		for _, line := range foreign.TracebackLines() {
			out = append(out, forClients(f, line))
		}
		return out
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		out = append(out, "  "+forClients(f, e.Error())+"\n")
	}
	return out
}

// shownInputs are a call's inputs as execution_error shows them: text and numbers as they are, everything else described.
func shownInputs(in *pyjson.Object) *pyjson.Object {
	out := pyjson.NewObject()
	for key, v := range in.All() {
		list, _ := v.([]any)
		shown := make([]any, len(list))
		for i, e := range list {
			shown[i] = shownValue(e)
		}
		out.Set(key, shown)
	}
	return out
}

// addHidden adds the hidden inputs of a v1 class. Upstream shows them too when such a node fails.
func (r *run) addHidden(n *node, seen *pyjson.Object) {
	if n.class.V3 || seen.Len() == 0 { // without inputs it did not come to the call
		return
	}
	host := newHost(r, n, nil)
	for _, in := range n.class.Inputs() {
		switch in.Hidden {
		case "UNIQUE_ID":
			seen.Set(in.Name, []any{n.id})
		case "PROMPT", "EXTRA_PNGINFO":
			seen.Set(in.Name, []any{host.Hidden(in.Hidden)})
		}
	}
}

func shownValue(v any) any {
	if o, ok := v.(*pyjson.Object); ok && o == nil {
		return nil
	}
	switch v := v.(type) {
	case nil, bool, string, float64, int64, int:
		return v
	}
	if pyjson.IsInt(v) {
		return v
	}
	const edge = 3 // torch's own number of elements
	return nodes.Show(v, edge)
}
