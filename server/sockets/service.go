// Package sockets accepts WebSocket clients, and ends connections, streams and jobs when their credential ends.
package sockets

import (
	"log/slog"

	"comfygo/auth"
	"comfygo/queue"
	"comfygo/server/access"
	"comfygo/server/hub"
	"comfygo/server/reply"
)

// Service handles GET /ws.
type Service struct {
	Reply  *reply.Service
	Access *access.Service
	Gate   auth.Gate
	Hub    *hub.Hub
	Queue  queue.Queue
	Log    *slog.Logger

	// Limits bound the open sockets.
	Limits Limits

	live      live
	admission admission
}
