// Package prompts accepts prompts: permission, conversion of saved workflows, validation, and queueing.
package prompts

import (
	"context"
	"log/slog"

	"comfygo/auth"
	"comfygo/executor"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/queue"
	"comfygo/queue/webhook"
	"comfygo/server/access"
	"comfygo/server/jobs"
	"comfygo/server/measure"
	"comfygo/server/models"
	"comfygo/server/reply"
)

// Validator checks prompts; see package executor.
type Validator interface {
	Validate(ctx context.Context, id string, prompt executor.Prompt, targets any) (executor.Verdict, error)
}

// Service handles POST /prompt; every other way into the queue leads through Enqueue.
type Service struct {
	Reply    *reply.Service
	Access   *access.Service
	Jobs     *jobs.Service
	Nodes    *models.ObjectInfo
	Gate     auth.Gate
	Queue    queue.Queue
	Guard    *webhook.Guard
	Executor Validator
	Registry *nodes.Registry
	// Packs lets the prompt handlers of node packs change a request; may be nil.
	Packs func(ctx context.Context, request *pyjson.Object) *pyjson.Object
	// Traces makes spans; nil disables them.
	Traces measure.Traces
	Log    *slog.Logger

	keys onceKeys
}
