package pyhost

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// secretVariable passes the secret of loopback connections to the process. Other users of the machine may connect there, but do not
// know it.
const secretVariable = "COMFYGO_HOST_SECRET"

// SecretHeader carries the secret with requests for routes of packs over loopback.
const SecretHeader = "X-Comfygo-Secret"

// loopback is the prefix of addresses that are not Unix sockets.
const loopback = "tcp:"

// endpoint is the address that the process connects to.
type endpoint struct {
	listener net.Listener
	// address is the address that the process gets, http if it may serve routes.
	address, http string
	secret        string // "" for Unix sockets, which only the user's processes reach
}

// listen opens a new endpoint: a Unix socket, or a port of the loopback interface where Python has no Unix sockets.
func (h *Host) listen(ctx context.Context) (*endpoint, error) {
	if h.cfg.Loopback || runtime.GOOS == "windows" {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("opening a port for the Python process: %w", err)
		}
		key := make([]byte, 32)
		_, _ = rand.Read(key) // it never fails
		return &endpoint{listener: listener, address: loopback + listener.Addr().String(), http: loopback + "127.0.0.1:0", secret: hex.EncodeToString(key)}, nil
	}
	address := filepath.Join(h.dir, "run", "host.sock")
	_ = os.Remove(address) // of the life before
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", address)
	if err != nil {
		return nil, fmt.Errorf("opening a socket for the Python process: %w", err)
	}
	if err := h.cfg.User.own(address); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return &endpoint{listener: listener, address: address, http: filepath.Join(h.dir, "run", "http.sock")}, nil
}

// accept waits for the process. Over loopback, connections without the secret are closed; those that say nothing keep no other one waiting.
func (e *endpoint) accept() (net.Conn, error) {
	if e.secret == "" {
		return e.listener.Accept()
	}
	const unknown = 64 // connections at a time that have not said the secret yet
	slots := make(chan struct{}, unknown)
	known, failed, done := make(chan net.Conn), make(chan error, 1), make(chan struct{})
	defer close(done)
	go func() {
		for { // until the listener is closed
			conn, err := e.listener.Accept()
			if err != nil {
				failed <- err
				return
			}
			slots <- struct{}{}
			go func() {
				defer func() { <-slots }()
				if e.knows(conn) {
					select {
					case known <- conn:
						return
					case <-done:
					}
				}
				_ = conn.Close() // another process
			}()
		}
	}()
	select {
	case conn := <-known:
		return conn, nil
	case err := <-failed:
		return nil, err
	}
}

func (e *endpoint) knows(conn net.Conn) bool {
	given := make([]byte, len(e.secret))
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return false
	}
	if _, err := io.ReadFull(conn, given); err != nil {
		return false
	}
	return subtle.ConstantTimeCompare(given, []byte(e.secret)) == 1 && conn.SetReadDeadline(time.Time{}) == nil
}

// DialHTTP connects to where the process serves the routes of packs.
func (s *Session) DialHTTP(ctx context.Context) (net.Conn, error) {
	network, address := "unix", s.ready.String("http")
	if rest, ok := strings.CutPrefix(address, loopback); ok {
		network, address = "tcp", rest
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("reaching the routes of node packs: %w", err)
	}
	if err := s.host.cfg.User.from(conn); err != nil {
		return nil, errors.Join(fmt.Errorf("reaching the routes of node packs: %w", err), conn.Close())
	}
	return conn, nil
}

// Secret returns the value of SecretHeader in requests for routes of packs; "" if the socket itself is private.
func (s *Session) Secret() string { return s.secret }
