package server

import (
	"github.com/labstack/echo/v4"

	"comfygo/middleware"
	"comfygo/server/access"
)

// asksWho returns the authentication middleware, or nil if authentication is disabled.
func (s *Server) asksWho() echo.MiddlewareFunc {
	if !s.access.Guarded() {
		return nil
	}
	return middleware.Authenticate(middleware.Authentication{
		Gate: s.gate, Public: s.pages.Public, Prompts: access.Queues, Socket: access.OpensSockets, Page: s.login.AskPage, Workflow: access.WorkflowNamed,
		RunsPack: s.packs.Takes, ProxyHeader: s.cfg.AuthProxyHeader, Proxies: s.cfg.AuthProxies,
	})
}

// tellOwners passes the number of jobs of each owner to the hub; from then on the queue reports
// changes.
func (s *Server) tellOwners() {
	running, pending := s.queue.Snapshot()
	counts := map[string]int{}
	for _, j := range append(running, pending...) {
		counts[j.Owner]++
	}
	s.hub.Owners(counts)
}
