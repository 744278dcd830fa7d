package executor

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"comfygo/folders"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// ErrInterrupted is the cause with which a job's context is cancelled when a user interrupts it. Any other cause that ends the context is
// reported in the same way.
var ErrInterrupted = errors.New("interrupting the job: a user asked for it")

// Prompt is a workflow in API form: node ids to {class_type, inputs, _meta}, key order kept and big integers exact. pyjson.UnmarshalObject reads one.
type Prompt = *pyjson.Object

// CacheKind selects the results that are kept from job to job.
type CacheKind int

// The kinds of cache.
const (
	// CacheRAM keeps everything until memory gets short (the default).
	CacheRAM CacheKind = iota
	// CacheClassic drops the results that the next prompt does not use.
	CacheClassic
	// CacheLRU keeps a number of results.
	CacheLRU
	// CacheNone keeps nothing.
	CacheNone
)

// CacheConfig configures the cache of outputs.
type CacheConfig struct {
	Kind CacheKind
	// Size is the number of results that CacheLRU keeps.
	Size int
	// Headroom is the free memory in bytes under which CacheRAM drops results of any age, InactiveHeadroom that under which it
	// drops results of earlier prompts. Both 0: upstream's defaults (10 % of the memory within 2…10 GiB, and all of it up to 128 GiB).
	Headroom, InactiveHeadroom int64
	// Available and Total return the machine's memory in bytes; nil asks the system. Tests replace them.
	Available, Total func() int64
}

// Config configures an Executor.
type Config struct {
	// Registry holds the node classes; nil means nodes.Default().
	Registry *nodes.Registry
	// Services are handed to the nodes.
	Services nodes.Services
	Cache    CacheConfig
	// Keep, if set, puts the files that a node shows where others find them, before any event names them. It returns the object to show, which may be
	// another one. If it fails, the node has failed.
	Keep func(ctx context.Context, ui *pyjson.Object) (*pyjson.Object, error)
	// Enrich, if set, may add to the values that a node shows before clients, history and caches get them; it returns a new object.
	Enrich func(ctx context.Context, ui *pyjson.Object) *pyjson.Object
	// Watch, if set, is called when a node's calls begin; the node runs with the context that it returns, and the function that it returns
	// is called at their end. It may be called from several goroutines.
	Watch func(ctx context.Context, w Work) (context.Context, func(error))
	// Limits bound prompts and the shown part of jobs.
	Limits Limits
	// Log may be nil.
	Log *slog.Logger
	// Now is the clock of the messages; nil means time.Now.
	Now func() time.Time
}

// Work is the work of one node of a job.
type Work struct {
	PromptID, NodeID string
	// Class is the node's class name, which is in the registry.
	Class string
}

// Verdict is the result of validation: everything that POST /prompt answers.
type Verdict struct {
	// OK: at least one output node can run.
	OK bool
	// Error is the error object (type, message, details, extra_info) when not OK.
	Error *pyjson.Object
	// Outputs are the ids of the output nodes to run, in the prompt's order.
	Outputs []string
	// NodeErrors are the errors by node id; an accepted prompt can have some.
	NodeErrors *pyjson.Object
}

// Job is one accepted prompt.
type Job struct {
	ID string
	// Prompt as Validate left it (values converted in place). Run does not change it.
	Prompt Prompt
	// ExtraData is extra_data with the secrets put back; client_id and extra_pnginfo are read from it.
	ExtraData *pyjson.Object
	// Outputs are Verdict.Outputs.
	Outputs []string
	// Folders, if set, are the folders that the nodes see: those of the job's owner. Nothing is shared between owners but
	// models: a result of one is not another's.
	Folders *folders.Folders
	// Next, if set, returns the job that currently follows this one; ok is false when the queue is empty. While only
	// UsesNothing nodes are left of this job (images are being saved), work of that one begins. It sends no events, and nothing is kept
	// or shown, before Run is called for it with the same Prompt. Run calls it from its own goroutine.
	Next func() (next Job, ok bool)
}

// Client returns the client_id of the job; ok is false if the job has none.
func (j Job) Client() (id string, ok bool) {
	v, ok := j.ExtraData.Get("client_id")
	if !ok || v == nil {
		return "", false
	}
	return pyjson.Str(v), true
}

// Types of the events that are not JSON messages.
const (
	// EventPreview is an image for clients that do not know metadata: Event.Preview (WebSocket binary type 1).
	EventPreview = "preview"
	// EventPreviewMetadata is the same image for clients with the feature supports_preview_metadata: Event.Preview and the
	// metadata in Event.Data, without image_type (binary type 4). Every preview is emitted in both forms; a client gets one of them. It
	// comes before the progress message, EventPreview after it.
	EventPreviewMetadata = "preview_metadata"
	// EventText is a text for a node: Event.Data has node and text (binary type 3).
	EventText = "text"
)

// Event is one message to clients.
type Event struct {
	// Type is the message's type, or one of the Event constants.
	Type string
	// Data is the message's data. It must not be changed.
	Data *pyjson.Object
	// Client is the id to send it to, unless Broadcast is set.
	Client    string
	Broadcast bool
	// Preview is the image of a preview event.
	Preview *Preview
	// Node is the node whose progress has changed, in a progress_state event; its data hold all nodes.
	Node NodeState
}

// NodeState is the progress of a node.
type NodeState struct {
	ID           string
	Value, Limit float64
	Finished     bool
	// Nodes is the number of nodes that have begun so far.
	Nodes int
}

// Sink takes events in order. Send must not block for long; it is called from one goroutine at a time.
type Sink interface {
	Send(Event)
}

// SinkFunc makes a function a Sink.
type SinkFunc func(Event)

// Send calls the function.
func (f SinkFunc) Send(e Event) { f(e) }

// Message is an entry of the history's status messages.
type Message struct {
	Event string
	Data  *pyjson.Object
}

// Result is the part of a job that the history keeps.
type Result struct {
	// Outputs are the UI outputs by node id, Meta the ids that belong to them.
	Outputs, Meta *pyjson.Object
	// Messages are execution_start, execution_cached, execution_success, execution_error, execution_interrupted as they came.
	Messages []Message
	// Ran is the number of nodes that were called and finished, Cached the number of those with cached results.
	Ran, Cached int
	// Success is false after an error or an interrupt.
	Success bool
	// Interrupted is true when the job's context ended.
	Interrupted bool
}

// StatusMessages returns the messages as the history shows them: pairs of name and data.
func (r Result) StatusMessages() []any {
	out := make([]any, len(r.Messages))
	for i, m := range r.Messages {
		out[i] = []any{m.Event, m.Data}
	}
	return out
}
