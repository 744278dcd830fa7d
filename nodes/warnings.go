package nodes

import (
	"slices"
	"sync"

	"comfygo/internal/pyjson"
)

// UIWarnings is the key of a node's output for the client under which its warnings are, a list of texts.
const UIWarnings = "warnings"

// Limits of the stored warnings of one call.
const (
	maxWarnings    = 16
	maxWarningText = 500 // bytes
)

// warnings collects the warnings of a call.
type warnings struct {
	mu    sync.Mutex
	texts []string
}

// add keeps a warning and reports whether it is new.
func (w *warnings) add(text string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.texts) >= maxWarnings || slices.Contains(w.texts, text) {
		return false
	}
	w.texts = append(w.texts, text)
	return true
}

// Warn warns the client that something in the job was ignored, such as a missing embedding: at once as the text at the
// node, and in the node's output under UIWarnings, which the history keeps. Code that has only a context.Context uses
// warning.Add.
func (c *Context) Warn(text string) {
	if c.Folders != nil {
		text = c.Folders.Shown(text)
	}
	if len(text) > maxWarningText {
		text = text[:maxWarningText] + "…"
	}
	if c.run.warnings.add(text) {
		c.Log.Warn(text, "node", c.ID)
		c.SendText(text)
	}
}

// WithWarnings returns the result of this call with its warnings.
func (c *Context) WithWarnings(r Result) Result {
	c.run.warnings.mu.Lock()
	defer c.run.warnings.mu.Unlock()
	if len(c.run.warnings.texts) == 0 {
		return r
	}
	ui := pyjson.NewObject()
	if r.UI != nil {
		ui.Merge(r.UI)
	}
	list := make([]any, len(c.run.warnings.texts))
	for i, t := range c.run.warnings.texts {
		list[i] = t
	}
	ui.Set(UIWarnings, list)
	r.UI = ui
	return r
}
