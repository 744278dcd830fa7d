// Package auth serves users, roles, keys, sessions, registered workflows and the log-in page. Package comfygo/auth decides
// what is permitted.
package auth

import (
	"log/slog"
	"net/netip"

	"github.com/labstack/echo/v4"

	"comfygo/auth"
	"comfygo/queue"
	"comfygo/server/access"
	"comfygo/server/hub"
	"comfygo/server/jobs"
	"comfygo/server/prompts"
	"comfygo/server/reply"
)

// Service handles the routes of users, roles, permissions, keys, sessions, the audit log and registered workflows.
type Service struct {
	Reply   *reply.Service
	Access  *access.Service
	Gate    auth.Gate
	Hub     *hub.Hub
	Queue   queue.Queue
	Jobs    *jobs.Service
	Prompts *prompts.Service
}

// Login handles the log-in page, sessions of browsers and OpenID Connect.
type Login struct {
	Reply  *reply.Service
	Access *access.Service
	Gate   auth.Gate
	// OIDC is nil if OpenID Connect is disabled.
	OIDC OIDC
	// Proxies are the networks whose X-Forwarded-Proto is trusted.
	Proxies []netip.Prefix
	// Unrouted answers a request that no route takes.
	Unrouted func(c echo.Context, methods []string) error
	Log      *slog.Logger
}
