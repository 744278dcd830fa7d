package server_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"comfygo/auth"
	"comfygo/server"
	"comfygo/server/sockets"
)

// closeCode waits until a socket is closed and returns the code; 0 when it stays open for a while.
func closeCode(t *testing.T, conn *websocket.Conn, patience time.Duration) websocket.StatusCode {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		if _, _, err := conn.Read(ctx); err != nil {
			if ctx.Err() != nil {
				return 0
			}
			return websocket.CloseStatus(err)
		}
	}
}

// TestAnonymousSockets: unauthenticated callers cannot take all sockets and shut out the others.
func TestAnonymousSockets(t *testing.T) {
	t.Parallel()
	keys, err := auth.NewKeys([]string{"a-key-that-is-long-enough"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, func(c *server.Config) {
		c.Auth = auth.NewKeyring(keys, auth.KeyringOptions{})
		c.SocketLimits = sockets.Limits{Total: 6, PerAddress: 5, Unknown: 3}
	})
	dial := func(id string, key bool) (*websocket.Conn, int) {
		t.Helper()
		o := &websocket.DialOptions{HTTPHeader: http.Header{}}
		if key {
			o.HTTPHeader.Set("X-API-Key", "a-key-that-is-long-enough")
		}
		conn, resp, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(r.url, "http")+"/ws?clientId="+id, o)
		if err != nil {
			return nil, resp.StatusCode
		}
		t.Cleanup(func() { _ = conn.CloseNow() })
		return conn, resp.StatusCode
	}
	var anonymous []*websocket.Conn
	for range 20 {
		conn, status := dial("", false)
		if status != http.StatusSwitchingProtocols {
			t.Fatalf("a socket without a key: %d", status)
		}
		anonymous = append(anonymous, conn)
	}
	for _, conn := range anonymous[:17] { // the old ones make room
		if code := closeCode(t, conn, 5*time.Second); code != 1013 {
			t.Errorf("an old socket was closed with %d", code)
		}
	}
	var known []*websocket.Conn
	for range 2 {
		conn, status := dial("", true)
		if status != http.StatusSwitchingProtocols {
			t.Fatalf("a socket with the key: %d", status)
		}
		known = append(known, conn)
	}
	if conn, _ := dial("", true); conn == nil { // the address is full: its oldest socket is closed, which is an unauthenticated one
		t.Fatal("one more socket with the key is refused")
	}
	if code := closeCode(t, anonymous[17], 5*time.Second); code != 1013 {
		t.Errorf("the oldest socket was closed with %d", code)
	}
	for _, conn := range known {
		if code := closeCode(t, conn, 100*time.Millisecond); code != 0 {
			t.Errorf("a socket with the key was closed with %d", code)
		}
	}
}

// TestSocketsOfOneOwner: a user has a separate limit, and sockets that wait for a job are not closed.
func TestSocketsOfOneOwner(t *testing.T) {
	t.Parallel()
	a := startAuth(t, nil, func(c *server.Config) { c.SocketLimits = sockets.Limits{PerOwner: 2} })
	dial := func(who, id string) (*websocket.Conn, int) {
		t.Helper()
		conn, resp, err := a.open(t, "?clientId="+id, &websocket.DialOptions{HTTPHeader: http.Header{"X-Api-Key": {a.keys[who].Secret}}})
		if err != nil {
			return nil, resp.StatusCode
		}
		return conn, resp.StatusCode
	}
	first, _ := dial("ann", "waits")
	second, _ := dial("ann", "idle")
	a.put("ann", `{"prompt": `+graphSlow(1)+`, "client_id": "waits"}`)
	if _, status := dial("ann", "third"); status != http.StatusSwitchingProtocols {
		t.Fatalf("a third socket: %d", status)
	}
	if code := closeCode(t, second, 5*time.Second); code != 1013 {
		t.Errorf("the idle socket was closed with %d", code)
	}
	a.put("ann", `{"prompt": `+graphSlow(2)+`, "client_id": "third"}`)
	if _, status := dial("ann", "fourth"); status != http.StatusServiceUnavailable {
		t.Errorf("when all wait for jobs: %d", status)
	}
	if _, status := dial("bob", "other"); status != http.StatusSwitchingProtocols {
		t.Errorf("another user: %d", status)
	}
	if code := closeCode(t, first, 100*time.Millisecond); code != 0 {
		t.Errorf("the socket that waits for a job was closed with %d", code)
	}
	a.as("root", "POST", "/api/v1/queue/pause", "")
	a.as("ann", "POST", "/queue", `{"clear": true}`)
	a.as("root", "POST", "/interrupt", "")
}

func graphSlow(n int) string { return strings.Replace(slow, "%d", string(rune('0'+n)), 1) }
