// Package measure feeds the figures of /metrics and the spans of requests.
package measure

import (
	"comfygo/internal/pyhost"
	"comfygo/metrics"
	"comfygo/queue"
	"comfygo/server/health"
	"comfygo/server/hub"
)

// Service measures requests and serves /metrics. NamePatterns must be called once all routes are there.
type Service struct {
	Queue  queue.Queue
	Hub    *hub.Hub
	Health *health.Service
	// Models are the figures of the engine; nil leaves them out.
	Models func() metrics.Models
	// Python are the figures of the processes of node packs; nil leaves them out.
	Python func() []pyhost.Stats
	// Traces makes spans; nil disables them.
	Traces     Traces
	AppVersion string

	// Metrics are made by NewMetrics.
	Metrics  *metrics.Metrics
	patterns map[string]string // the routes' patterns as figures name them, by the router's
}
