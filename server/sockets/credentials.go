package sockets

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
	"comfygo/server/access"
)

// Socket is the principal of one connection; each connection has its own.
type Socket struct{ auth.Principal }

// protocols are the subprotocols that the server may answer with. A browser that shows its key as a subprotocol gives up
// unless one of those it offers is answered; that is the plain one if it offers that too, and else the one with the key.
func (s *Service) protocols(c echo.Context) []string {
	if s.Access.Who(c).Source != auth.SourceProtocol {
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

// isToken reports whether a text is a valid name of a subprotocol by RFC 6455.
func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?={}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// stillWelcome closes a connection whose right ended while it was being made: the call that closed the others did not see
// it.
func (s *Service) stillWelcome(conn *websocket.Conn, who *Socket) error {
	if !s.Access.Guarded() || who.Anonymous() {
		return nil
	}
	_, err := s.Gate.Refresh(who.Principal)
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
func (s *Service) expire(who *Socket) (stop func()) {
	if who.Expires.IsZero() {
		return func() {}
	}
	timer := time.AfterFunc(time.Until(who.Expires), func() {
		s.Hub.End(func(w any) bool { return w == any(who) }, auth.CloseCode, auth.ErrExpired.Error())
	})
	return func() { timer.Stop() }
}

// Ended ends everything of principals whose right has ended: sockets, streams, and waiting jobs.
func (s *Service) Ended(r auth.Revocation) {
	n := s.Hub.End(func(w any) bool {
		who, ok := w.(*Socket)
		return ok && r.Covers(who.Principal)
	}, auth.CloseCode, r.Reason)
	n += s.live.end(r)
	s.Log.Info("credentials have ended", "key", r.KeyID, "session", r.SessionID, "owner", r.Owner, "reason", r.Reason, "connections", n)
	if !r.CancelJobs {
		return
	}
	if err := s.dropJobs(r); err != nil {
		s.Log.Error("cancelling the jobs of who has ended", "key", r.KeyID, "owner", r.Owner, "error", err)
	}
}

func (s *Service) dropJobs(r auth.Revocation) error {
	if r.KeyID != "" {
		_, err := s.Queue.DropGrant(r.KeyID)
		return err
	}
	if r.Owner == "" {
		return nil
	}
	view := s.Queue.Of(r.Owner)
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

// WhileWelcome ends long-lived requests with the caller's right.
func (s *Service) WhileWelcome(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		p := s.Access.Who(c)
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
		if _, err := s.Gate.Refresh(p); err != nil {
			cancel(errEnded)
		}
		c.SetRequest(r.WithContext(ctx))
		return next(c)
	}
}

// lasts reports whether a request may go on for as long as its client likes. Sockets are the hub's matter.
func lasts(c echo.Context) bool {
	path := access.Bare(c)
	return c.Request().Method == http.MethodGet && (strings.HasSuffix(path, "/events") && path != "/v1/queue/events") ||
		access.Queues(c) && strings.Contains(c.Request().URL.RawQuery, "wait")
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

// end ends the requests of principals whose right has ended.
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
