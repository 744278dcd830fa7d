package server

import (
	"github.com/labstack/echo/v4"

	"comfygo/middleware"
	"comfygo/server/access"
)

// asksWho is the authentication middleware; nil when authentication is disabled.
func (s *Server) asksWho() echo.MiddlewareFunc {
	if !s.access.Guarded() {
		return nil
	}
	return middleware.Authenticate(middleware.Authentication{
		Gate: s.gate, Public: s.pages.Public, Prompts: access.Queues, Socket: access.OpensSockets, Page: s.login.AskPage, Workflow: access.WorkflowNamed,
		RunsPack: s.packs.Takes, ProxyHeader: s.cfg.AuthProxyHeader, Proxies: s.cfg.AuthProxies,
	})
}

// tellOwners tells the hub how many jobs each owner has; from then on that is news of the queue.
func (s *Server) tellOwners() {
	running, pending := s.queue.Snapshot()
	counts := map[string]int{}
	for _, j := range append(running, pending...) {
		counts[j.Owner]++
	}
	s.hub.Owners(counts)
}
