package hostile_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// raw opens a connection and writes bytes; the answer is read until the deadline or the end.
func (r *rig) raw(t *testing.T, text string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, text) // the server may close before everything is written
	return conn
}

// TestWire sends what no HTTP client would: the answer is a 4xx or a closed connection.
func TestWire(t *testing.T) {
	t.Parallel()
	r := start(t)
	const host = "Host: localhost\r\n"
	for what, text := range map[string]string{
		"no method":                  "\r\n\r\n\r\n",
		"not HTTP":                   "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"an old version":             "GET /queue\r\n",
		"an unknown version":         "GET /queue HTTP/9.9\r\n" + host + "\r\n",
		"no host":                    "GET /queue HTTP/1.1\r\n\r\n",
		"two hosts":                  "GET /queue HTTP/1.1\r\n" + host + "Host: evil.example\r\n\r\n",
		"an odd host":                "GET /queue HTTP/1.1\r\nHost: a b\x00\r\n\r\n",
		"another site":               "GET /queue HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\r\n",
		"a NUL in a header":          "GET /queue HTTP/1.1\r\n" + host + "X: a\x00b\r\n\r\n",
		"a folded header":            "GET /queue HTTP/1.1\r\n" + host + "X: a\r\n b: c\r\n\x01\r\n\r\n",
		"a space before the colon":   "GET /queue HTTP/1.1\r\n" + host + "Content-Length : 5\r\n\r\n",
		"giant headers":              "GET /queue HTTP/1.1\r\n" + host + strings.Repeat("X-Y: "+strings.Repeat("z", 1000)+"\r\n", 200) + "\r\n",
		"a giant path":               "GET /" + strings.Repeat("a", 200_000) + " HTTP/1.1\r\n" + host + "\r\n",
		"two lengths":                "POST /prompt HTTP/1.1\r\n" + host + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}",
		"a negative length":          "POST /prompt HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n{}",
		"an endless length":          "POST /prompt HTTP/1.1\r\n" + host + "Content-Length: 99999999999999999999\r\n\r\n{}",
		"a length above the limit":   "POST /prompt HTTP/1.1\r\n" + host + "Content-Length: 9999999999\r\n\r\n{}",
		"length and chunks":          "POST /prompt HTTP/1.1\r\n" + host + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nZ\r\nQ",
		"bad chunks":                 "POST /prompt HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
		"a giant chunk":              "POST /prompt HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}",
		"an unknown coding":          "POST /prompt HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked, identity\r\n\r\n{}",
		"a proxy's request":          "GET http://169.254.169.254/latest/meta-data HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n",
		"a tunnel":                   "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
		"a method of its own":        "SMUGGLE /queue HTTP/1.1\r\n" + host + "\r\n",
		"a traversal":                "GET /../../outside/secret.txt HTTP/1.1\r\n" + host + "\r\n",
		"a traversal by backslashes": `GET /..\..\outside\secret.txt HTTP/1.1` + "\r\n" + host + "\r\n",
		"a star":                     "GET * HTTP/1.1\r\n" + host + "\r\n",
		"a fragment":                 "GET /view?filename=x#../../y HTTP/1.1\r\n" + host + "\r\n",
	} {
		t.Run(what, func(t *testing.T) {
			conn := r.raw(t, text)
			if !strings.HasSuffix(text, "\r\n\r\n") { // nothing more will come; TestHalfOpen leaves that open
				_ = conn.(*net.TCPConn).CloseWrite()
			}
			_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				if e, ok := err.(net.Error); ok && e.Timeout() { //nolint:errorlint // as it comes from the connection
					t.Errorf("there is no answer and no end")
				}
				r.alive(what)
				return
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
			if resp.StatusCode < 400 || resp.StatusCode >= 500 && !unknownByProtocol(resp.StatusCode) || strings.Contains(string(body), secret) {
				t.Errorf("status %d, %s", resp.StatusCode, shorten(string(body)))
			}
			r.alive(what)
		})
	}
}

// unknownByProtocol are the answers of net/http itself to versions and codings that HTTP/1.1 wants a 5xx for.
func unknownByProtocol(status int) bool {
	return status == http.StatusNotImplemented || status == http.StatusHTTPVersionNotSupported
}

// TestHalfOpen leaves hundreds of requests unfinished: others are answered all the same, and what the server holds for
// the unfinished ones goes away with them.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.alive("the start")
	before := runtime.NumGoroutine()
	const each = 60
	var conns []net.Conn
	for _, text := range []string{
		"GET /que", "GET /queue HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", "POST /prompt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n{\"prompt\"",
		"POST /upload/image HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=" + boundary + "\r\nContent-Length: 900000\r\n\r\n" + part("image", "half.png", "abc"),
		"GET /ws?clientId=half HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n", "",
	} {
		for range each {
			conns = append(conns, r.raw(t, text))
		}
		r.alive("connections that stop at " + shorten(text))
	}
	for _, c := range conns {
		_ = c.Close()
	}
	const spare = 20
	for deadline := time.Now().Add(15 * time.Second); runtime.NumGoroutine() > before+spare; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("there were %d goroutines before, and %d are left", before, runtime.NumGoroutine())
		}
	}
	r.alive("closing them")
}

// TestSlow sends a header a byte at a time: the server ends it after a while, and answers others meanwhile.
func TestSlow(t *testing.T) {
	t.Parallel()
	r := start(t)
	conn := r.raw(t, "GET /queue HTTP/1.1\r\nHost: localhost\r\n")
	const patience = 25 * time.Second // the server's own is 15 seconds
	for begun := time.Now(); time.Since(begun) < patience; {
		r.alive("a slow byte")
		_ = conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		_, _ = io.WriteString(conn, "x")
		if _, err := conn.Read(make([]byte, 512)); err == nil || !isTimeout(err) {
			return // an answer or the end
		}
	}
	t.Error("a request has no time limit")
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error) //nolint:errorlint // as it comes from the connection
	return ok && e.Timeout()
}

// frame is a WebSocket frame as a client sends it; size may lie.
func frame(first byte, masked bool, size uint64, payload string) string {
	b := []byte{first, 0x7f}
	if masked {
		b[1] |= 0x80
	}
	b = binary.BigEndian.AppendUint64(b, size)
	if masked {
		b = append(b, 0, 0, 0, 0)
	}
	return string(b) + payload
}

// TestSocketFrames sends frames that break the protocol or the server's limits: the socket is closed, nothing else.
func TestSocketFrames(t *testing.T) {
	t.Parallel()
	r := start(t)
	const text, binaryFrame, ping = 0x81, 0x82, 0x89
	for what, bytes := range map[string]string{
		"a giant frame":         frame(text, true, 1<<62, "x"),
		"a large frame":         frame(text, true, 64<<20, strings.Repeat("x", 4<<20)),
		"a frame that is open":  frame(text, false, 5, "hello"),
		"a reserved opcode":     frame(0x83, true, 1, "x"),
		"reserved bits":         frame(0xf1, true, 1, "x"),
		"a giant ping":          frame(ping, true, 100_000, strings.Repeat("p", 100_000)),
		"a part of nothing":     frame(0x80, true, 1, "x"),
		"text that is no UTF-8": frame(text, true, 4, "\xff\xfe\xfd\xfc"),
		"nested JSON":           frame(text, true, 400_000, strings.Repeat("[", 400_000)),
		"a list":                frame(text, true, 2, "[]"),
		"odd features":          frame(text, true, 42, `{"type": "feature_flags", "data": [1e400]}`),
		"bytes":                 frame(binaryFrame, true, 3, "\x00\x00\x01"),
		"parts without end":     strings.Repeat(frame(0x01, true, 60_000, strings.Repeat("x", 60_000)), 1) + strings.Repeat(frame(0x00, true, 60_000, strings.Repeat("x", 60_000)), 600),
	} {
		t.Run(what, func(t *testing.T) {
			conn := r.raw(t, "GET /ws?clientId=odd HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"+bytes)
			_ = conn.SetReadDeadline(time.Now().Add(2 * time.Second))
			answer, _ := io.ReadAll(conn)
			if !strings.HasPrefix(string(answer), "HTTP/1.1 101") && len(answer) > 0 {
				t.Errorf("the handshake is answered %s", shorten(string(answer)))
			}
			r.alive(what)
		})
	}
}

// TestSocketFlood lets clients send as fast as they can and never read.
func TestSocketFlood(t *testing.T) {
	t.Parallel()
	r := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	const clients, messages = 40, 2000
	done := make(chan error, clients)
	for n := range clients {
		conn, resp, err := websocket.Dial(ctx, strings.Replace(r.url, "http", "ws", 1)+fmt.Sprintf("/ws?clientId=flood-%d", n%10), nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body != nil {
			_ = resp.Body.Close()
		}
		go func() {
			defer func() { _ = conn.CloseNow() }()
			for range messages {
				if conn.Write(ctx, websocket.MessageText, []byte(`{"type": "feature_flags", "data": {"supports_preview_metadata": true}}`)) != nil {
					break // the server has had enough of it
				}
			}
			done <- ctx.Err()
		}()
	}
	for range clients {
		r.alive("a flood")
		if err := <-done; err != nil {
			t.Fatalf("the flood does not end: %v", err)
		}
	}
	for range 300 { // handshakes without a waiting client
		_ = r.raw(t, "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").Close()
	}
	r.alive("abandoned handshakes")
}
