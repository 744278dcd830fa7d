package hostile_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestEveryRoute sends untrusted input to every route of the server: the answer is never a 5xx, never
// contains a byte from outside the server's folders, nothing outside is written, and the server keeps
// working.
func TestEveryRoute(t *testing.T) {
	t.Parallel()
	start(t).everyRoute(t, func(string) bool { return true })
}

// TestEveryRouteOfTheStore does the same to what there is with a key store, as an administrator.
func TestEveryRouteOfTheStore(t *testing.T) {
	t.Parallel()
	start(t, "--auth").everyRoute(t, func(route string) bool {
		return !strings.Contains(route, " /api/experiment") && strings.Contains(route, " /api/") || strings.Contains(route, "/v2/") || strings.Contains(route, "/log")
	})
}

// everyRoute tries the routes that count.
func (r *rig) everyRoute(t *testing.T, counts func(route string) bool) {
	t.Helper()
	before := r.snapshot()
	if len(r.routes) < 100 {
		t.Fatalf("the server tells of %d routes", len(r.routes))
	}
	todo := make(chan string)
	var sent atomic.Int64
	var work sync.WaitGroup
	const workers = 4
	for range workers {
		work.Go(func() {
			for route := range todo {
				cases := casesOf(route)
				if len(cases) < len(parameters) {
					t.Errorf("%s is tried in %d ways only", route, len(cases))
				}
				if method, path, _ := strings.Cut(route, " /api/"); slices.Contains(r.routes, method+" /"+path) {
					cases = thinned(cases) // the same handler has got them all below its first name
				}
				for _, c := range cases {
					r.try(t, c)
				}
				sent.Add(int64(len(cases)))
			}
		})
	}
	for _, route := range r.routes {
		if !strings.HasPrefix(route, "HEAD ") && counts(route) {
			todo <- route
		}
	}
	close(todo)
	work.Wait()
	t.Logf("%d routes, %d requests", len(r.routes), sent.Load())
	r.alive("everything")
	r.untouched(before)
}

// thinned keeps one case of each ten.
func thinned(cases []request) (out []request) {
	const each = 10
	for i := 0; i < len(cases); i += each {
		out = append(out, cases[i])
	}
	return out
}

// answer is the server's answer.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// try sends a request and checks what holds for every answer.
func (r *rig) try(t *testing.T, c request) answer {
	t.Helper()
	a, err := r.send(t.Context(), c)
	what := c.method + " " + shorten(c.path) + ", " + shorten(c.what)
	switch {
	case errors.Is(err, errRefusedToSend), brokenOff(err) && len(c.body) > maxUpload<<20:
		return a // the server closes the connection of who sends on after a refusal
	case err != nil:
		t.Errorf("%s: %v", what, err)
	case a.status >= http.StatusInternalServerError:
		t.Errorf("%s: status %d: %s", what, a.status, shorten(string(a.body)))
	case bytes.Contains(a.body, []byte(secret)):
		t.Errorf("%s: the answer has a secret: %s", what, shorten(string(a.body)))
	}
	return a
}

func brokenOff(err error) bool {
	return errors.Is(err, io.ErrUnexpectedEOF) || err != nil && (strings.Contains(err.Error(), "broken pipe") || strings.Contains(err.Error(), "connection reset"))
}

func shorten(s string) string {
	const most = 160
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// errRefusedToSend is a request that Go's client does not want to send.
var errRefusedToSend = errors.New("the client refuses to send it")

// send sends a request as it stands. Of an answer without end it reads the beginning.
func (r *rig) send(ctx context.Context, c request) (a answer, err error) {
	const patience = time.Minute
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, c.method, r.url, strings.NewReader(c.body))
	if err != nil {
		return a, err
	}
	path, query, _ := strings.Cut(c.path, "?")
	req.URL = &url.URL{Scheme: "http", Host: req.URL.Host, Opaque: path, RawQuery: query}
	if strings.HasPrefix(path, "//") {
		req.URL.Opaque = "//" + req.URL.Host + path // else the path is taken for a host
	}
	if c.contentType != "" {
		req.Header.Set("Content-Type", c.contentType)
	}
	if r.key != "" {
		if slices.Contains(c.headers, "Authorization") {
			return a, errRefusedToSend // failed attempts lock the address out, as they should
		}
		req.Header.Set("Authorization", "Bearer "+r.key)
	}
	for i := 0; i+1 < len(c.headers); i += 2 {
		req.Header.Set(c.headers[i], c.headers[i+1])
	}
	resp, err := r.client.Do(req)
	if err != nil {
		if strings.Contains(err.Error(), "invalid header") || strings.Contains(err.Error(), "transport encoding") {
			err = errRefusedToSend
		}
		return a, err
	}
	defer resp.Body.Close()
	a.status, a.header = resp.StatusCode, resp.Header
	endless := strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream")
	if endless {
		time.AfterFunc(100*time.Millisecond, cancel)
	}
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if endless || errors.Is(err, os.ErrDeadlineExceeded) && len(a.body) > 0 {
		err = nil
	}
	return a, err
}
