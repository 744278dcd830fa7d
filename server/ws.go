package server

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/coder/websocket"
	"github.com/labstack/echo/v4"
)

// getWS is the socket that events go through.
func (s *Server) getWS(c echo.Context) error {
	r := c.Request()
	if upgrade := r.Header.Get("Upgrade"); !strings.EqualFold(strings.TrimSpace(upgrade), "websocket") {
		shown := upgrade
		if _, given := r.Header["Upgrade"]; !given {
			shown = "None"
		}
		return &raised{
			status: http.StatusBadRequest,
			text:   fmt.Sprintf("No WebSocket UPGRADE hdr: %s\n Can \"Upgrade\" only to \"WebSocket\".", shown),
		}
	}
	if s.hub.Clients() >= maxClients {
		return &raised{status: http.StatusServiceUnavailable}
	}
	// The origin is the guard's matter: by now it has let the request pass.
	conn, err := websocket.Accept(c.Response(), r, &websocket.AcceptOptions{
		InsecureSkipVerify: true,
		CompressionMode:    websocket.CompressionNoContextTakeover,
	})
	if err != nil {
		s.log.Debug("accepting a socket", "error", err)
		return nil // Accept has answered
	}
	id, _ := query(c, "clientId")
	s.hub.Serve(r.Context(), conn, id)
	return nil
}

// maxClients bounds the sockets, each of which holds three goroutines and a buffer.
const maxClients = 10000
