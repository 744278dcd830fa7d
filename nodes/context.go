package nodes

import (
	"context"
	"log/slog"
	"time"

	"comfygo/engine/warning"
	"comfygo/internal/pyjson"
)

// Context is a node's access to the run. It is a context.Context: it ends when the job is interrupted or the program stops, and every
// long-running node checks it.
type Context struct {
	context.Context

	// ID is the node's id in the graph; expanded nodes have ids such as "3.0.0.1".
	ID string
	// PromptID is the job's id.
	PromptID string
	// Call counts the calls of one node for lists, from 0.
	Call int
	// Log is never nil.
	Log *slog.Logger
	// Services that nodes use.
	Services

	run *runState
}

// runState is set by the executor; nodes access it through methods.
type runState struct {
	host    Host
	inputs  *pyjson.Object
	missing map[string]bool
	linked  map[string]string
	graphs  int

	warnings warnings
	reserved []func() // what ends the reservations of memory
	held     int64    // the bytes of these
}

// Host provides the executor's services to a running node.
type Host interface {
	// Progress reports value of max; preview may be nil.
	Progress(value, max float64, preview *Preview)
	// Show sets the progress shown at the node, without the message of a progress bar.
	Show(value, max float64, preview *Preview)
	// SendText shows a text at the node.
	SendText(text string)
	// Await runs wait while other nodes go on; see Context.Await.
	Await(wait func())
	// Hidden returns the value of a hidden input (PROMPT, EXTRA_PNGINFO, DYNPROMPT, …), or nil.
	Hidden(kind string) any
	// Linked returns the values of a node's output in the run; ok is false before they are computed. It is for calls in the node's turn.
	Linked(link Link) (values []any, ok bool)
	// State returns the state that the node keeps from run to run, made by make the first time.
	State(make func() any) any
}

// Call gathers what NewContext needs beyond the context itself.
type Call struct {
	ID, PromptID string
	Index        int
	Log          *slog.Logger
	Services     Services
	Host         Host
	// Inputs are the call's raw values, Missing the inputs without a value, Linked the types of links by input.
	Inputs  *pyjson.Object
	Missing map[string]bool
	Linked  map[string]string
}

// NewContext makes the context of one call. The executor uses it, and tests of nodes do.
func NewContext(ctx context.Context, c Call) *Context {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	n := &Context{
		ID: c.ID, PromptID: c.PromptID, Call: c.Index, Log: c.Log, Services: c.Services,
		run: &runState{host: c.Host, inputs: c.Inputs, missing: c.Missing, linked: c.Linked},
	}
	n.Context = warning.With(ctx, n.Warn)
	return n
}

// TestContext makes a context for a test that runs a node by itself.
func TestContext(ctx context.Context, s Services) *Context {
	return NewContext(ctx, Call{ID: "1", PromptID: "test", Services: s})
}

// Progress reports to the client that value of max is done.
func (c *Context) Progress(value, max float64) { c.ProgressPreview(value, max, nil) }

// ProgressPreview is Progress with an image.
func (c *Context) ProgressPreview(value, max float64, p *Preview) {
	if c.run.host != nil {
		c.run.host.Progress(value, max, p)
	}
}

// ShowProgress sets the progress that is shown at the node, every time and without the message of a progress bar, as upstream's API for nodes
// does (execution.set_progress).
func (c *Context) ShowProgress(value, max float64, p *Preview) {
	if c.run.host != nil {
		c.run.host.Show(value, max, p)
	}
}

// SendText shows a text at the node while it works.
func (c *Context) SendText(text string) {
	if c.run.host != nil {
		c.run.host.SendText(text)
	}
}

// Await runs wait while the executor runs other nodes. Only nodes with Spec.Async call it. wait must end when the context does.
func (c *Context) Await(wait func()) {
	if c.run.host == nil {
		wait()
		return
	}
	c.run.host.Await(wait)
}

// Sleep waits for d or until the context ends; then it returns its cause. In async nodes other nodes run meanwhile (see Await).
func (c *Context) Sleep(d time.Duration) (err error) {
	c.Await(func() {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-c.Done():
			err = context.Cause(c)
		case <-t.C:
		}
	})
	return err
}

// Prompt returns the prompt as the client sent it (after conversion of its values); nil outside a run.
func (c *Context) Prompt() *pyjson.Object {
	o, _ := c.Hidden("PROMPT").(*pyjson.Object)
	return o
}

// ExtraPNGInfo returns the metadata that the client wants stored in images (an object with "workflow"), or nil. Where models compute
// in 8-bit integers, "comfygo" tells so.
func (c *Context) ExtraPNGInfo() *pyjson.Object {
	o, _ := c.Hidden("EXTRA_PNGINFO").(*pyjson.Object)
	if !c.Int8 {
		return o
	}
	if o == nil {
		o = pyjson.NewObject()
	}
	return o.Clone().Set("comfygo", pyjson.NewObject("cpu_int8", true))
}

// DynPrompt returns the graph as it is now, expanded nodes included; nil outside a run.
func (c *Context) DynPrompt() DynPrompt {
	d, _ := c.Hidden("DYNPROMPT").(DynPrompt)
	return d
}

// Hidden returns the value of any hidden input by its kind (PROMPT, UNIQUE_ID, …).
func (c *Context) Hidden(kind string) any {
	if kind == "UNIQUE_ID" {
		return c.ID
	}
	if c.run.host == nil {
		return nil
	}
	return c.run.host.Hidden(kind)
}

// State returns a value that lives as long as the node stays in the client's graph, made by make at the first call.
func (c *Context) State(make func() any) any {
	if c.run.host == nil {
		return make()
	}
	return c.run.host.State(make)
}

// Values returns another node's values of an output in the run; ok is false if they are missing. Nodes of classes that run in another process
// need them, in their turn, to have a model of this program made again there.
func (c *Context) Values(link Link) (values []any, ok bool) {
	if c.run.host == nil {
		return nil, false
	}
	return c.run.host.Linked(link)
}

// LinkedTypes returns the types that links deliver, by input. Only in ValidateInputs.
func (c *Context) LinkedTypes() map[string]string { return c.run.linked }

// Input returns the raw value of an input in this call and whether the prompt has it at all.
func (c *Context) Input(name string) (any, bool) { return c.run.inputs.Get(name) }

// Inputs returns all raw values of this call, in the prompt's order.
func (c *Context) Inputs() *pyjson.Object { return c.run.inputs }

// SetInputs replaces the raw values of this call. The executor calls it before the node sees them.
func (c *Context) SetInputs(values *pyjson.Object) { c.run.inputs = values }

// Missing reports whether a linked input has no value yet (CheckLazy, Fingerprint, ValidateInputs).
func (c *Context) Missing(name string) bool { return c.run.missing[name] }

// Linked returns the type that an input's link delivers; ok is false for constants. Only in ValidateInputs.
func (c *Context) Linked(name string) (typ string, ok bool) {
	typ, ok = c.run.linked[name]
	return typ, ok
}

// DynPrompt is the graph of a run with the nodes added by expansion.
type DynPrompt interface {
	// Node returns a node's object (class_type, inputs) or nil.
	Node(id string) *pyjson.Object
	// ParentID, DisplayID and RealID resolve ids of expanded nodes; ParentID is "" for a node of the prompt.
	ParentID(id string) string
	DisplayID(id string) string
	RealID(id string) string
	// IDs lists all nodes.
	IDs() []string
	// Original returns the prompt.
	Original() *pyjson.Object
}
