package sockets

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/coder/websocket"
	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
	"comfygo/server/hub"
	"comfygo/server/reply"
)

// GetWS is the socket that events go through.
func (s *Service) GetWS(c echo.Context) error {
	r := c.Request()
	if upgrade := r.Header.Get("Upgrade"); !strings.EqualFold(strings.TrimSpace(upgrade), "websocket") {
		shown := upgrade
		if _, given := r.Header["Upgrade"]; !given {
			shown = "None"
		}
		return &reply.Raised{
			Status: http.StatusBadRequest,
			Text:   fmt.Sprintf("No WebSocket UPGRADE hdr: %s\n Can \"Upgrade\" only to \"WebSocket\".", shown),
		}
	}
	hello, err := greeting(c)
	if err != nil {
		return s.Reply.JSON(c, http.StatusBadRequest, pyjson.NewObject("error", err.Error()))
	}
	who := &Socket{s.Access.Who(c)}
	leave := s.admit(c, who, hello.ID)
	if leave == nil {
		c.Response().Header().Set(echo.HeaderRetryAfter, retryAfter)
		return reply.Refuse(http.StatusServiceUnavailable, "too_many_connections", "Too many WebSocket connections are open",
			"all of them wait for jobs; close one of this user or address, or try again later")
	}
	defer leave()
	hello.Owner, hello.Who, hello.Overseer = who.ID, who, who.Admin
	defer s.expire(who)()
	err = s.Hub.Serve(r.Context(), c.Response(), hello, func(w http.ResponseWriter) (*websocket.Conn, error) {
		// The origin is the guard's matter: by now it has let the request pass.
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
			Subprotocols:       s.protocols(c),
			InsecureSkipVerify: true,
			CompressionMode:    websocket.CompressionNoContextTakeover,
		})
		if err != nil {
			return nil, err
		}
		return conn, s.stillWelcome(conn, who)
	})
	if err != nil {
		s.Log.Debug("accepting a socket", "error", err) // Accept has answered
	}
	return nil
}

// greeting reads the client's identity and parameters: events=numbered for a number in every event, since=N for the
// events after the one with that number.
func greeting(c echo.Context) (hub.Hello, error) {
	id, _ := reply.Query(c, "clientId")
	hello := hub.Hello{ID: id}
	if how, given := reply.Query(c, "events"); given {
		if how != "numbered" {
			return hello, fmt.Errorf("events must be numbered, not %q", how)
		}
		hello.Numbered = true
	}
	text, given := reply.Query(c, "since")
	if !given {
		return hello, nil
	}
	since, err := strconv.ParseInt(text, 10, 64)
	if err != nil || since < 0 {
		return hello, fmt.Errorf("since must be the number of an event, not %q", text)
	}
	hello.Since, hello.Resume, hello.Numbered = since, true, true
	return hello, nil
}

// retryAfter is the number of seconds after which a refused client should try again.
const retryAfter = "10"
