package hub_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"comfygo/internal/pyjson"
	"comfygo/server/hub"
)

// rawPeer is a client that does nothing but what the test makes it do: it answers no ping and closes nothing.
type rawPeer struct {
	net.Conn
	read *bufio.Reader
	resp *http.Response
}

func rawDial(t *testing.T, addr string, header ...string) *rawPeer {
	t.Helper()
	host := strings.TrimPrefix(addr, "ws://")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	lines := append([]string{
		"GET /?clientId=raw HTTP/1.1", "Host: " + host, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
	}, header...)
	if _, err := io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	p := &rawPeer{Conn: conn, read: bufio.NewReader(conn)}
	if p.resp, err = http.ReadResponse(p.read, nil); err != nil || p.resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("the handshake: %v, %v", p.resp, err)
	}
	_ = p.resp.Body.Close()
	return p
}

// frame reads one frame as it came over the wire.
func (p *rawPeer) frame(t *testing.T) (first byte, payload []byte) {
	t.Helper()
	if err := p.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 2)
	if _, err := io.ReadFull(p.read, head); err != nil {
		t.Fatal(err)
	}
	size := uint64(head[1])
	switch size {
	case 126:
		var n uint16
		if err := binary.Read(p.read, binary.BigEndian, &n); err != nil {
			t.Fatal(err)
		}
		size = uint64(n)
	case 127:
		if err := binary.Read(p.read, binary.BigEndian, &size); err != nil {
			t.Fatal(err)
		}
	}
	payload = make([]byte, size)
	if _, err := io.ReadFull(p.read, payload); err != nil {
		t.Fatal(err)
	}
	return head[0], payload
}

func allGone(t *testing.T, h *hub.Hub, what string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); h.Counts().Open > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s is still served", what)
		}
	}
}

func TestDeadPeerIsFound(t *testing.T) {
	t.Parallel()
	h, addr := start(t, hub.Config{PingEvery: 30 * time.Millisecond, WriteTimeout: 200 * time.Millisecond})
	p := rawDial(t, addr)
	p.frame(t) // the greeting
	if first, _ := p.frame(t); first&0x0f != 9 {
		t.Errorf("the second frame is of the type %d, want a ping", first&0x0f)
	}
	allGone(t, h, "a peer that answers no ping")
}

func TestPeerThatDoesNotReadIsCutOff(t *testing.T) {
	t.Parallel()
	h, addr := start(t, hub.Config{PingEvery: time.Hour, WriteTimeout: 200 * time.Millisecond, MaxBytes: 1 << 30})
	rawDial(t, addr)
	text := pyjson.NewObject("text", strings.Repeat("x", 1<<20))
	for range 64 { // more than the system keeps for a connection
		h.Send("large", text, hub.Everyone)
	}
	allGone(t, h, "a peer that does not read")
}

func TestDeflate(t *testing.T) {
	t.Parallel()
	h, addr := start(t, hub.Config{})
	p := rawDial(t, addr, "Sec-WebSocket-Extensions: permessage-deflate")
	if got := p.resp.Header.Get("Sec-WebSocket-Extensions"); !strings.Contains(got, "permessage-deflate") {
		t.Fatalf("the server agrees to %q", got)
	}
	p.frame(t)
	const size = 20000
	h.Send("large", pyjson.NewObject("text", strings.Repeat("x", size)), hub.Everyone)
	if first, payload := p.frame(t); first&0x40 == 0 || len(payload) > size/10 {
		t.Errorf("%d bytes came in %d, the bit for packed frames is %v", size, len(payload), first&0x40 != 0)
	}
}

// TestReconnects has a client reconnect repeatedly while its old connections end. The newest one always gets the events of the
// client: upstream loses them when the old connection ends after the new one began.
func TestReconnects(t *testing.T) {
	t.Parallel()
	h, addr := start(t, hub.Config{})
	var ending sync.WaitGroup
	var before *websocket.Conn
	for i := range 150 {
		conn := dial(t, addr, "same")
		read(t, conn) // the greeting
		if before != nil {
			old := before
			ending.Go(func() { _ = old.CloseNow() })
		}
		before = conn
		name := fmt.Sprint("event-", i)
		h.Send(name, pyjson.NewObject(), hub.To("same"))
		if _, text := read(t, conn); !strings.Contains(text, name) {
			t.Fatalf("connection %d got %s", i, text)
		}
	}
	ending.Wait()
	_ = before.CloseNow()
	allGone(t, h, "an old connection")
	if h.Connected(hub.To("same")) {
		t.Error("the client is still known")
	}
}
