// Package executor checks prompts and runs them as ComfyUI does: order by readiness, lazy inputs, expansion, lists, blockers, caches and
// the messages that clients see.
//
// It knows nothing of HTTP, sockets, queues or files: it gets a Job and a Sink, and emits events in order. One Executor
// runs one job at a time and owns its caches; Validate may be called at any time beside it.
package executor
