package nodes

import "comfygo/internal/pyjson"

// List is the value of an output with Output.List; any other slice serves as well.
type List []any

// Result is the result of Run.
type Result struct {
	// Values, one per output. With Expand they may be Links into the new graph.
	Values []any
	// UI is sent to the client and kept in the history: an object with lists as values.
	UI *pyjson.Object
	// Expand, when not nil, is a graph that is run in place of this node.
	Expand *pyjson.Object
	// Block, when not nil, blocks every output.
	Block *Blocker
}

// Out returns a result with these values.
func Out(values ...any) Result { return Result{Values: values} }

// WithUI returns a result with values for the client: alternating keys and lists, e.g. "images", []any{…}.
func WithUI(pairs ...any) Result { return Result{UI: pyjson.NewObject(pairs...)} }

// AddUI returns r with one more UI entry.
func (r Result) AddUI(key string, list any) Result {
	if r.UI == nil {
		r.UI = pyjson.NewObject()
	}
	r.UI.Set(key, list)
	return r
}

// Blocker as an output's value keeps later nodes from running. With a message the client is notified; without one it is silent.
type Blocker struct {
	Message *string
}

// Block returns a blocker with a message; an empty message blocks silently.
func Block(message string) *Blocker {
	if message == "" {
		return &Blocker{}
	}
	return &Blocker{Message: &message}
}

// Link refers to an output of another node. In prompts it is the list [id, slot].
type Link struct {
	ID   string
	Slot int
}
