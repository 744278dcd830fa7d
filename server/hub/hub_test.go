package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"comfygo/internal/pyjson"
	"comfygo/server/hub"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start serves a hub; the address takes ?clientId=.
func start(t *testing.T, cfg hub.Config) (*hub.Hub, string) {
	t.Helper()
	return serve(t, cfg)
}

func serve(t testing.TB, cfg hub.Config) (*hub.Hub, string) {
	t.Helper()
	h := hub.New(cfg)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		since, err := strconv.ParseInt(q.Get("since"), 10, 64)
		hello := hub.Hello{ID: q.Get("clientId"), Numbered: q.Get("events") == "numbered", Since: since, Resume: err == nil}
		_ = h.Serve(r.Context(), w, hello, func(w http.ResponseWriter) (*websocket.Conn, error) {
			if hello.ID != "" && !h.Connected(hub.To(hello.ID)) {
				t.Errorf("client %s is not known before its handshake is answered", hello.ID)
			}
			return websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionNoContextTakeover})
		})
	}))
	t.Cleanup(func() {
		h.Close()
		srv.Close()
	})
	return h, "ws" + strings.TrimPrefix(srv.URL, "http")
}

func dial(t *testing.T, addr, id string) *websocket.Conn {
	t.Helper()
	conn, resp, err := websocket.Dial(t.Context(), addr+"/?clientId="+id, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body != nil {
		_ = resp.Body.Close()
	}
	conn.SetReadLimit(1 << 26)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

func read(t *testing.T, conn *websocket.Conn) (websocket.MessageType, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	kind, data, err := conn.Read(ctx)
	if err != nil {
		t.Fatalf("reading: %v", err)
	}
	return kind, string(data)
}

func want(t *testing.T, conn *websocket.Conn, text string) {
	t.Helper()
	if _, got := read(t, conn); got != text {
		t.Fatalf("got  %s\nwant %s", got, text)
	}
}

func silent(t *testing.T, conn *websocket.Conn) {
	t.Helper()
	got := make(chan string, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		defer close(got)
		if _, data, err := conn.Read(ctx); err == nil {
			got <- string(data)
		}
	}()
	select {
	case text := <-got:
		t.Errorf("got %q, want nothing", text)
	case <-time.After(50 * time.Millisecond):
	}
	cancel()
	<-got
}

const status0 = `{"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 0}}, "sid": "a"}}`

func TestGreetingAndTargets(t *testing.T) {
	t.Parallel()
	h, addr := start(t, hub.Config{})
	a := dial(t, addr, "a")
	want(t, a, status0)
	h.Remaining(2)
	want(t, a, `{"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 2}}}}`)
	b := dial(t, addr, "b")
	want(t, b, strings.Replace(strings.Replace(status0, "0", "2", 1), `"a"`, `"b"`, 1))
	h.Send("x", pyjson.NewObject("n", int64(1)), hub.To("b"))
	h.Send("y", nil, hub.Everyone)
	h.Send("z", nil, hub.To("nobody"))
	h.SendBinary(hub.BinaryText, []byte("abc"), hub.To("a"))
	want(t, b, `{"type": "x", "data": {"n": 1}}`)
	want(t, b, `{"type": "y", "data": null}`)
	want(t, a, `{"type": "y", "data": null}`)
	if kind, got := read(t, a); kind != websocket.MessageBinary || got != "\x00\x00\x00\x03abc" {
		t.Errorf("binary event %v %q", kind, got)
	}
	if !h.Connected(hub.To("a")) || h.Connected(hub.To("c")) || h.Clients() != 2 {
		t.Error("wrong idea of who is connected")
	}
}

func TestServerGivesAnID(t *testing.T) {
	t.Parallel()
	_, addr := start(t, hub.Config{})
	_, text := read(t, dial(t, addr, ""))
	var m struct{ Data struct{ SID string } }
	if err := json.Unmarshal([]byte(text), &m); err != nil || len(m.Data.SID) != 32 || strings.Trim(m.Data.SID, "0123456789abcdef") != "" {
		t.Errorf("sid %q, error %v", m.Data.SID, err)
	}
}

func TestReconnect(t *testing.T) {
	t.Parallel()
	h, addr := start(t, hub.Config{})
	old := dial(t, addr, "a")
	want(t, old, status0)
	h.Current(hub.To("a"), "7")
	renewed := dial(t, addr, "a")
	want(t, renewed, status0)
	want(t, renewed, `{"type": "executing", "data": {"node": "7"}}`)
	h.Send("x", nil, hub.To("a"))
	want(t, renewed, `{"type": "x", "data": null}`)
	silent(t, old)
	// The end of the old connection takes nothing from the new one.
	_ = old.CloseNow()
	time.Sleep(50 * time.Millisecond)
	h.Send("y", nil, hub.To("a"))
	want(t, renewed, `{"type": "y", "data": null}`)
	h.Idle()
	third := dial(t, addr, "a")
	want(t, third, status0)
	silent(t, third)
}

func TestFeatureFlags(t *testing.T) {
	t.Parallel()
	features := pyjson.NewObject("f", true)
	answer := `{"type": "feature_flags", "data": {"f": true}}`
	flags := `{"type": "feature_flags", "data": {"previews": true, "text": "true"}}`
	for name, c := range map[string]struct {
		say      []string
		answers  int
		supports bool
	}{
		"first":              {[]string{flags}, 1, true},
		"twice":              {[]string{flags, flags}, 1, true},
		"after another":      {[]string{`{"type": "other"}`, flags}, 0, false},
		"after what is none": {[]string{"not json", "[1]", flags}, 1, true},
		"without data":       {[]string{`{"type": "feature_flags"}`}, 1, false},
		"data no object":     {[]string{`{"type": "feature_flags", "data": [1]}`}, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, addr := start(t, hub.Config{Features: features})
			a := dial(t, addr, "a")
			want(t, a, status0)
			for _, text := range c.say {
				if err := a.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
					t.Fatal(err)
				}
			}
			for range c.answers {
				want(t, a, answer)
			}
			silent(t, dialAfter(t, h, addr))
			if got := h.Supports(hub.To("a"), "previews"); got != c.supports {
				t.Errorf("supports previews: %v, want %v", got, c.supports)
			}
			if h.Supports(hub.To("a"), "text") || h.Supports(hub.To("a"), "none") || h.Supports(hub.To("nobody"), "previews") {
				t.Error("only a true counts")
			}
		})
	}
}

// dialAfter connects a second client, which gives the first one time to read its messages.
func dialAfter(t *testing.T, h *hub.Hub, addr string) *websocket.Conn {
	t.Helper()
	b := dial(t, addr, "b")
	read(t, b)
	if !h.Connected(hub.To("b")) {
		t.Error("b is not connected")
	}
	return b
}

func TestSlowClientDelaysNoOther(t *testing.T) {
	t.Parallel()
	h, addr := start(t, hub.Config{MaxMessages: 50, MaxBytes: 1 << 20})
	slow := dial(t, addr, "slow")
	read(t, slow)
	quick := dial(t, addr, "quick")
	read(t, quick)
	big := strings.Repeat("x", 1<<16)
	begin := time.Now()
	for i := range 400 { // 26 MB: more than the buffers of a socket hold
		h.Send("event", pyjson.NewObject("i", int64(i), "pad", big), hub.To("slow"))
	}
	// One message may take 30 s to write: a caller that waited for this client would wait that long.
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("sending to a client that does not read took %v", took)
	}
	h.Send("hello", nil, hub.To("quick"))
	want(t, quick, `{"type": "hello", "data": null}`)
	gone(t, h, "slow")
}

// gone waits until a client is cut off.
func gone(t *testing.T, h *hub.Hub, id string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); h.Connected(hub.To(id)); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("client %s is still there", id)
		}
	}
}

func TestPreviewsFallOut(t *testing.T) {
	t.Parallel()
	h, addr := start(t, hub.Config{MaxMessages: 100, MaxBytes: 1 << 20})
	slow := dial(t, addr, "slow")
	read(t, slow)
	preview := make([]byte, 1<<18)
	for range 400 { // 100 MB of previews that the client does not read
		h.SendBinary(hub.BinaryPreview, preview, hub.To("slow"))
	}
	h.Send("done", nil, hub.To("slow"))
	previews := 0
	for {
		kind, text := read(t, slow)
		if kind == websocket.MessageText {
			if text != `{"type": "done", "data": null}` {
				t.Errorf("got %s", text)
			}
			break
		}
		previews++
	}
	if previews == 0 || previews == 400 {
		t.Errorf("%d previews arrived, want some and not all", previews)
	}
	if !h.Connected(hub.To("slow")) {
		t.Error("a client was cut off for previews that could fall out")
	}
}

func TestManyClients(t *testing.T) {
	t.Parallel()
	const n = 100
	h, addr := start(t, hub.Config{})
	var ready, got sync.WaitGroup
	for i := range n {
		conn := dial(t, addr, fmt.Sprint("c", i))
		ready.Add(1)
		got.Go(func() {
			_, _, err := conn.Read(t.Context())
			ready.Done()
			if err == nil {
				_, _, err = conn.Read(t.Context())
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	ready.Wait()
	h.Send("all", nil, hub.Everyone)
	got.Wait()
}

func TestCloseAndBadClients(t *testing.T) {
	t.Parallel()
	h, addr := start(t, hub.Config{PingEvery: 10 * time.Millisecond, WriteTimeout: 50 * time.Millisecond})
	giant := dial(t, addr, "giant")
	read(t, giant)
	_ = giant.Write(t.Context(), websocket.MessageText, make([]byte, 2<<20))
	gone(t, h, "giant")
	// No one reads this one, so no ping of it is answered.
	deaf := dial(t, addr, "deaf")
	read(t, deaf)
	gone(t, h, "deaf")
	h.Close()
	if late, resp, err := websocket.Dial(t.Context(), addr, nil); err == nil {
		if _, _, err := late.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
			t.Errorf("after Close: %v", err)
		}
		_ = late.CloseNow()
	} else if resp != nil && resp.Body != nil {
		_ = resp.Body.Close()
	}
}

// TestFailedHandshake lets a handshake fail for an id that is in use: the open connection keeps getting messages.
func TestFailedHandshake(t *testing.T) {
	t.Parallel()
	h, addr := start(t, hub.Config{})
	conn := dial(t, addr, "one")
	refused := errors.New("refused")
	err := h.Serve(t.Context(), httptest.NewRecorder(), hub.Hello{ID: "one"}, func(http.ResponseWriter) (*websocket.Conn, error) { return nil, refused })
	if !errors.Is(err, refused) {
		t.Fatalf("got %v", err)
	}
	if !h.Connected(hub.To("one")) || h.Clients() != 1 {
		t.Fatalf("connected %v, %d clients", h.Connected(hub.To("one")), h.Clients())
	}
	h.Send("executing", pyjson.NewObject("node", "7"), hub.To("one"))
	for {
		_, data, err := conn.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), `"executing"`) {
			return
		}
	}
}
