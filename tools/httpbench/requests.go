package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// conn is one connection that is kept open. It costs little: the machine is shared with the server.
type conn struct {
	net  net.Conn
	read *bufio.Reader
}

// dial opens a connection that ends with ctx.
func dial(ctx context.Context, t *target) (*conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", strings.TrimPrefix(t.URL, "http://"))
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(deadline); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return &conn{net: c, read: bufio.NewReaderSize(c, 64<<10)}, nil
}

// exchange sends a request and returns status and body.
func (c *conn) exchange(request []byte) (int, []byte, error) {
	if _, err := c.net.Write(request); err != nil {
		return 0, nil, err
	}
	resp, err := http.ReadResponse(c.read, nil)
	if err != nil {
		return 0, nil, err
	}
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, body, errors.Join(err, resp.Body.Close())
}

func (c *conn) close() { _ = c.net.Close() }

// request returns the bytes of a request. header are whole lines.
func request(t *target, method, path string, body []byte, header ...string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: httpbench\r\nAccept: */*\r\n", method, path, strings.TrimPrefix(t.URL, "http://"))
	for _, line := range header {
		b.WriteString(line + "\r\n")
	}
	if body != nil {
		fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}

// hammer sends the same request n times over the given number of connections; every answer must have the status.
func hammer(ctx context.Context, t *target, connections, n, status int, request []byte) error {
	var all sync.WaitGroup
	errs := make([]error, connections)
	for i := range connections {
		c, err := dial(ctx, t)
		if err != nil {
			return err
		}
		all.Go(func() {
			defer c.close()
			for range (n + i) / connections {
				got, body, err := c.exchange(request)
				if err == nil && got != status {
					err = fmt.Errorf("status %d, not %d: %.200s", got, status, body)
				}
				if err != nil {
					errs[i] = err
					return
				}
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// alone names the row of a single connection: each request finds a process that sleeps, and waking it costs Go's own server more than
// answering does.
const alone = "  the same, one connection"

// measureRequests measures the requests that only read.
func measureRequests(ctx context.Context, o options, r *report) (err error) {
	t, err := launch(ctx, o.padded, o.models, "--enable-compress-response-body")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	tag, size, err := tagOf(ctx, t)
	if err != nil {
		return err
	}
	for _, c := range []struct {
		name, path     string
		part, status   int
		header         string
		connections    int
		limit, comfyui float64
	}{
		{"GET /prompt", "/prompt", 1, 200, "", o.connections, 0.035, 0.138},
		{alone, "/prompt", 1, 200, "", 1, 0, 0},
		{"GET /queue", "/queue", 1, 200, "", o.connections, 0.028, 0.112},
		{alone, "/queue", 1, 200, "", 1, 0, 0},
		{"GET /system_stats", "/system_stats", 1, 200, "", o.connections, 0.08, 1.62},
		{alone, "/system_stats", 1, 200, "", 1, 0, 0},
		{fmt.Sprintf("GET /object_info, %d KB", size/1000), "/object_info", 10, 200, "", o.connections, 1, 108},
		{"  the same, gzip", "/object_info", 4, 200, "Accept-Encoding: gzip", o.connections, 0, 0},
		{"  the same, known to the client", "/object_info", 1, 304, "If-None-Match: " + tag, o.connections, 0, 0},
	} {
		var header []string
		if c.header != "" {
			header = []string{c.header}
		}
		wire := request(t, http.MethodGet, c.path, nil, header...)
		took, err := t.each(o.requests/c.part, func(n int) error { return hammer(ctx, t, c.connections, n, c.status, wire) })
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		r.add(row{name: c.name, unit: "CPU ms", value: took.lowest, median: took.median, limit: c.limit, comfyui: c.comfyui})
	}
	return nil
}

// tagOf returns the tag and the length of /object_info.
func tagOf(ctx context.Context, t *target) (tag string, size int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.URL+"/object_info", nil)
	if err != nil {
		return "", 0, err
	}
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", 0, err
	}
	body, err := io.ReadAll(resp.Body)
	return resp.Header.Get("Etag"), len(body), errors.Join(err, resp.Body.Close())
}

// measureFiles measures /object_info of a server with many model files, also while other programs add some.
func measureFiles(ctx context.Context, o options, r *report) (err error) {
	t, err := launch(ctx, o.padded, o.many)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	wire := request(t, http.MethodGet, "/object_info", nil)
	took, err := t.each(o.requests/10, func(n int) error { return hammer(ctx, t, o.connections, n, http.StatusOK, wire) })
	if err != nil {
		return err
	}
	r.add(row{name: fmt.Sprintf("GET /object_info, %d model files", o.many), unit: "CPU ms", value: took.lowest, median: took.median})
	c, err := dial(ctx, t)
	if err != nil {
		return err
	}
	defer c.close()
	added := 0
	took, err = t.each(o.requests/100, func(n int) error {
		for range n {
			added++
			name := fmt.Sprintf("added-%d.safetensors", added)
			if err := os.WriteFile(filepath.Join(t.base, "models", "checkpoints", "folder3", name), nil, 0o600); err != nil {
				return err
			}
			_, body, err := c.exchange(wire)
			if err != nil {
				return err
			}
			if !bytes.Contains(body, []byte(name)) {
				return fmt.Errorf("the answer after it was written lacks %s", name)
			}
		}
		return nil
	})
	r.add(row{name: "  the same after a file was added", unit: "CPU ms", value: took.lowest, median: took.median})
	return err
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// soon is the time limit for everything that is not measured.
const soon = 30 * time.Second
