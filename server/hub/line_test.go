package hub_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"comfygo/internal/pyjson"
	"comfygo/server/hub"
)

// slowListener makes every write of its connections take a while, and counts them.
type slowListener struct {
	net.Listener
	writes atomic.Int64
}

func (l *slowListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &slowConn{c, l}, err
}

type slowConn struct {
	net.Conn
	of *slowListener
}

func (c *slowConn) Write(p []byte) (int, error) {
	c.of.writes.Add(1)
	time.Sleep(20 * time.Millisecond)
	return c.Conn.Write(p)
}

// TestMessagesGoTogether sends messages faster than the connection takes them: they arrive whole and in order, and what waited goes
// out in few writes. A message that is longer than what may wait comes between them.
func TestMessagesGoTogether(t *testing.T) {
	t.Parallel()
	h := hub.New(hub.Config{})
	slow := &slowListener{}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = h.Serve(r.Context(), w, hub.Hello{ID: "a"}, func(w http.ResponseWriter) (*websocket.Conn, error) {
			return websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionNoContextTakeover})
		})
	}))
	slow.Listener, srv.Listener = srv.Listener, slow
	srv.Start()
	t.Cleanup(func() { h.Close(); srv.Close() })
	conn := dial(t, "ws"+strings.TrimPrefix(srv.URL, "http"), "a")
	want(t, conn, status0)

	const messages = 200
	long := strings.Repeat("0123456789", 10_000)
	before := slow.writes.Load()
	for n := range messages {
		data := pyjson.NewObject("n", int64(n))
		if n%70 == 35 {
			data.Set("long", long)
		}
		h.Send("test", data, hub.To("a"))
	}
	for n := range messages {
		_, text := read(t, conn)
		if !strings.Contains(text, fmt.Sprintf(`"n": %d`, n)) {
			t.Fatalf("message %d is %.80s", n, text)
		}
		if n%70 == 35 && !strings.Contains(text, strconv.Quote(long)) {
			t.Fatalf("message %d is not whole: %d bytes", n, len(text))
		}
	}
	if n := slow.writes.Load() - before; n > messages/4 {
		t.Errorf("%d messages took %d writes", messages, n)
	}
	h.Send("last", pyjson.NewObject(), hub.To("a"))
	if _, text := read(t, conn); !strings.Contains(text, "last") {
		t.Errorf("after them came %s", text)
	}
}
