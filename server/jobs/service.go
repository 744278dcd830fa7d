// Package jobs serves the queue, the history and the job list, and reports the progress of running jobs.
package jobs

import (
	"log/slog"

	"comfygo/queue"
	"comfygo/server/access"
	"comfygo/server/reply"
)

// Service handles the routes of queue, history and jobs.
type Service struct {
	Reply  *reply.Service
	Access *access.Service
	Queue  queue.Queue
	// Runs is the progress of running jobs, Bell rings when the queue changes.
	Runs *Runs
	Bell *Bell
	Log  *slog.Logger
}
