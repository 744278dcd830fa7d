// Package worker runs queued jobs and passes their events on to clients, figures and the job list.
package worker

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"comfygo/auth"
	"comfygo/executor"
	"comfygo/metrics"
	"comfygo/nodes"
	"comfygo/queue"
	"comfygo/server/access"
	"comfygo/server/assets"
	"comfygo/server/health"
	"comfygo/server/hub"
	"comfygo/server/jobs"
	"comfygo/server/measure"
	"comfygo/server/v2"
)

// Runner runs prompts; see package executor.
type Runner interface {
	Run(ctx context.Context, job executor.Job, sink executor.Sink) executor.Result
	ClearCache()
}

// Service runs one job at a time.
type Service struct {
	Access   *access.Service
	Assets   *assets.Store
	Gate     auth.Gate
	Hub      *hub.Hub
	Queue    queue.Queue
	V2       *v2.API
	Executor Runner
	Registry *nodes.Registry
	// Runs tracks the progress of the job, State that it is alive.
	Runs    *jobs.Runs
	State   *health.State
	Metrics *metrics.Metrics
	// Traces makes spans; nil disables them.
	Traces measure.Traces
	// FreeModels unloads models when a client requests it; nil without one.
	FreeModels func()
	// ReloadPacks loads node packs again; may be nil.
	ReloadPacks func()
	Log         *slog.Logger

	afterwards sync.WaitGroup // outputs that are being entered
	previews   sync.Map       // the last preview of each job of a fleet
	remote     Remote         // runs jobs of a fleet in this process

	pace  pace
	owner atomic.Pointer[string] // of the running job; nil while none runs
}
