// Package logs keeps the last lines of the log for /internal/logs and sends new ones to the clients that subscribe.
package logs

import (
	"context"

	"comfygo/server/access"
	"comfygo/server/hub"
	"comfygo/server/reply"
)

// Service handles /internal/logs.
type Service struct {
	Reply  *reply.Service
	Access *access.Service
	Hub    *hub.Hub
	// Buffer may be nil: then there is nothing to show.
	Buffer *Buffer

	subscribers *subscribers
}

// New returns a service that shows a buffer.
func New(r *reply.Service, a *access.Service, h *hub.Hub, b *Buffer) *Service {
	return &Service{Reply: r, Access: a, Hub: h, Buffer: b, subscribers: newSubscribers(h)}
}

// Pump sends new entries to the subscribers until ctx ends.
func (s *Service) Pump(ctx context.Context) { s.subscribers.pump(ctx, s.Buffer) }
