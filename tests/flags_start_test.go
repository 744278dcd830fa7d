package tests_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	_ "image/jpeg" // previews are
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// runUntilItListens runs the program on a free port that this test chooses, calls then when it answers, and ends it as
// Ctrl-C does. It returns what was printed before and after that.
func runUntilItListens(t *testing.T, env, flags []string, then func()) (log, atEnd string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out lockedBuffer
	cmd := exec.CommandContext(ctx, program, append([]string{"--port", fmt.Sprint(port), "--base-directory", t.TempDir()}, flags...)...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for ; ; time.Sleep(10 * time.Millisecond) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/queue", port), nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("the server does not answer:\n%s", out.String())
		}
	}
	then()
	log = out.String()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the server ended badly: %v\n%s", err, out.String())
	}
	return log, strings.TrimPrefix(out.String(), log)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestFlagsOfPreviews counts the images that a sampler sends, and measures them.
func TestFlagsOfPreviews(t *testing.T) {
	t.Parallel()
	const side = 6 // the latent itself has 8
	for _, c := range []struct {
		flags []string
		some  bool
	}{
		{[]string{"--preview-method", "latent2rgb", "--preview-size", fmt.Sprint(side)}, true},
		{[]string{"--preview-method", "none"}, false},
		{nil, false},
	} {
		t.Run(strings.Join(c.flags, " "), func(t *testing.T) {
			t.Parallel()
			server := start(t, append([]string{"--demo-model"}, c.flags...)...)
			sizes := previewSizes(t, server)
			if (len(sizes) > 0) != c.some {
				t.Errorf("%d previews", len(sizes))
			}
			for _, s := range sizes {
				if s.X > side || s.Y > side || max(s.X, s.Y) < side/2 {
					t.Errorf("a preview is %v", s)
				}
			}
		})
	}
}

// previewSizes runs the demo and returns the sizes of the previews that came.
func previewSizes(t *testing.T, server *instance) (sizes []image.Point) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	const name = "previews"
	conn, resp, err := websocket.Dial(ctx, strings.Replace(server.Base, "http", "ws", 1)+"/ws?clientId="+name, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	if resp.Body != nil {
		_ = resp.Body.Close()
	}
	conn.SetReadLimit(16 << 20)
	if _, err := server.Queue(ctx, demoWorkflow(t, map[string]any{"3.steps": 120}), name); err != nil {
		t.Fatal(err)
	}
	for {
		kind, data, err := conn.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		const header = 8 // the kind of the message and of the image
		if kind == websocket.MessageBinary && len(data) > header {
			c, _, err := image.DecodeConfig(bytes.NewReader(data[header:]))
			if err != nil {
				t.Fatalf("a preview is no image: %v", err)
			}
			sizes = append(sizes, image.Pt(c.Width, c.Height))
		}
		if kind == websocket.MessageText && bytes.Contains(data, []byte(`"executing"`)) && bytes.Contains(data, []byte(`"node": null`)) {
			return sizes
		}
	}
}
