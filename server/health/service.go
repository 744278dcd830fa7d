// Package health serves /health, /ready and /system_stats.
package health

import (
	"time"

	"comfygo/auth"
	"comfygo/folders"
	"comfygo/internal/pyjson"
	"comfygo/queue"
	"comfygo/server/access"
	"comfygo/server/hub"
	"comfygo/server/reply"
)

// Service measures whether the server works and says so.
type Service struct {
	Reply   *reply.Service
	Access  *access.Service
	Gate    auth.Gate
	Queue   queue.Queue
	Policy  queue.Policy
	Hub     *hub.Hub
	Folders *folders.Folders
	// State is what the worker reports of itself and what the last probe has found.
	State   *State
	Started time.Time

	// Argv, the versions and DeployEnvironment are reported in /system_stats; the whole of Argv to administrators only.
	Argv                                          []string
	AppVersion, RuntimeVersion, DeployEnvironment string
	PackageVersions                               map[string]string
	// Stats measures the machine; nil leaves the figures 0.
	Stats func() Stats
	// CheckDevice returns why the device that computes is lost, nil while it answers.
	CheckDevice func() error
	// CheckEngine returns why models cannot run, nil while they can.
	CheckEngine func() error
	// DiskReserve is how many free bytes a disk must have; 0 means 16 MiB.
	DiskReserve uint64
	// StuckAfter is how long a running job may be silent; 0 means no limit.
	StuckAfter time.Duration
	// RuntimeState tells what the model runtime does; nil leaves it out.
	RuntimeState func() *pyjson.Object
	// PackProcesses lists the Python processes of node packs; without any it is left out.
	PackProcesses func() []any
}
