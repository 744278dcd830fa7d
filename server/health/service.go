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

// Service checks and reports the health of the server.
type Service struct {
	Reply   *reply.Service
	Access  *access.Service
	Gate    auth.Gate
	Queue   queue.Queue
	Policy  queue.Policy
	Hub     *hub.Hub
	Folders *folders.Folders
	// State is the worker's report of itself and the result of the last probe.
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
	// DiskReserve is the number of free bytes that a disk must have; 0 means 16 MiB.
	DiskReserve uint64
	// StuckAfter is the time that a running job may be silent; 0 means no limit.
	StuckAfter time.Duration
	// RuntimeState returns the state of the model runtime; with nil it is omitted.
	RuntimeState func() *pyjson.Object
	// PackProcesses lists the Python processes of node packs; without any it is left out.
	PackProcesses func() []any
}
