package server

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/labstack/echo/v4"

	"comfygo/auth"
	"comfygo/middleware"
)

// socket is who is behind one connection; each connection has its own.
type socket struct{ auth.Principal }

// protocols are the subprotocols that the server may answer with. A browser that shows its key as a subprotocol gives up
// unless one of those it offers is answered; that is the plain one if it offers that too, and else the one with the key.
func (s *Server) protocols(c echo.Context) []string {
	if s.who(c).Source != auth.SourceProtocol {
		return nil
	}
	const plain = "comfygo"
	out := []string{}
	for line := range strings.SplitSeq(strings.Join(c.Request().Header["Sec-Websocket-Protocol"], ","), ",") {
		switch p := strings.TrimSpace(line); {
		case p == plain:
			out = slices.Insert(out, 0, p)
		case strings.HasPrefix(p, middleware.TokenProtocol) && isToken(p):
			out = append(out, p)
		}
	}
	return out
}

// isToken reports whether a text is what RFC 6455 allows as the name of a subprotocol.
func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?={}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// stillWelcome closes a connection whose right has ended while it was made: whoever closed the others did not see it.
func (s *Server) stillWelcome(conn *websocket.Conn, who *socket) error {
	if !s.guarded() || who.Anonymous() {
		return nil
	}
	_, err := s.gate.Refresh(who.Principal)
	if err == nil {
		return nil
	}
	reason := "the credential has ended"
	if errors.Is(err, auth.ErrUnauthenticated) {
		reason = err.Error()
	}
	_ = conn.Close(auth.CloseCode, reason) // it may be gone already
	return err
}

// expire closes a connection when its right ends by itself. The returned function stops the clock.
func (s *Server) expire(who *socket) (stop func()) {
	if who.Expires.IsZero() {
		return func() {}
	}
	timer := time.AfterFunc(time.Until(who.Expires), func() {
		s.hub.End(func(w any) bool { return w == any(who) }, auth.CloseCode, auth.ErrExpired.Error())
	})
	return func() { timer.Stop() }
}

// ended cuts off whoever has ended: sockets, streams, and the jobs that wait.
func (s *Server) ended(r auth.Revocation) {
	n := s.hub.End(func(w any) bool {
		who, ok := w.(*socket)
		return ok && r.Covers(who.Principal)
	}, auth.CloseCode, r.Reason)
	n += s.live.end(r)
	s.log.Info("credentials have ended", "key", r.KeyID, "session", r.SessionID, "owner", r.Owner, "reason", r.Reason, "connections", n)
	if !r.CancelJobs {
		return
	}
	if err := s.dropJobs(r); err != nil {
		s.log.Error("cancelling the jobs of who has ended", "key", r.KeyID, "owner", r.Owner, "error", err)
	}
}

func (s *Server) dropJobs(r auth.Revocation) error {
	if r.KeyID != "" {
		_, err := s.queue.DropGrant(r.KeyID)
		return err
	}
	if r.Owner == "" {
		return nil
	}
	view := s.queue.Of(r.Owner)
	view.Interrupt()
	return view.Clear()
}

// live are the requests that may last: streams of events, and those that wait for a job.
type live struct {
	mu  sync.Mutex
	all map[*liveRequest]struct{}
}

type liveRequest struct {
	who    auth.Principal
	cancel context.CancelCauseFunc
}

var errEnded = errors.New("the credential has ended")

// whileWelcome lets requests that last end with the right of who makes them.
func (s *Server) whileWelcome(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		p := s.who(c)
		if p.Anonymous() || !lasts(c) {
			return next(c)
		}
		r := c.Request()
		ctx, cancel := context.WithCancelCause(r.Context())
		defer cancel(nil)
		if !p.Expires.IsZero() {
			timer := time.AfterFunc(time.Until(p.Expires), func() { cancel(errEnded) })
			defer timer.Stop()
		}
		entry := &liveRequest{p, cancel}
		s.live.add(entry)
		defer s.live.remove(entry)
		if _, err := s.gate.Refresh(p); err != nil {
			cancel(errEnded)
		}
		c.SetRequest(r.WithContext(ctx))
		return next(c)
	}
}

// lasts reports whether a request may go on for as long as its client likes. Sockets are the hub's matter.
func lasts(c echo.Context) bool {
	path := bare(c)
	return c.Request().Method == http.MethodGet && (strings.HasSuffix(path, "/events") && path != "/v1/queue/events") ||
		queues(c) && strings.Contains(c.Request().URL.RawQuery, "wait")
}

func (l *live) add(r *liveRequest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = map[*liveRequest]struct{}{}
	}
	l.all[r] = struct{}{}
}

func (l *live) remove(r *liveRequest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.all, r)
}

// end cuts off the requests of whoever has ended.
func (l *live) end(r auth.Revocation) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for e := range l.all {
		if r.Covers(e.who) {
			e.cancel(errEnded)
			n++
		}
	}
	return n
}
