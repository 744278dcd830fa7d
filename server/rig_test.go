package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"comfygo/executor"
	"comfygo/folders"
	"comfygo/nodes"
	"comfygo/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// number, show and wait are the nodes of the tests: a constant, an output, and one that works until it is interrupted.
type number struct {
	Value int64 `in:"value" default:"1" min:"0" max:"100"`
}

func (*number) Spec() nodes.Spec {
	return nodes.Spec{Name: "Number", Category: "test", Outputs: nodes.Outputs("INT")}
}
func (n *number) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(n.Value), nil }

type show struct {
	Value any `in:"value" opts:"{}"`
}

func (*show) Spec() nodes.Spec {
	return nodes.Spec{Name: "Show", Category: "test", OutputNode: true}
}

func (n *show) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.WithUI("text", []any{n.Value}), nil
}

type wait struct {
	Seed int64 `in:"seed" default:"0"`
}

func (*wait) Spec() nodes.Spec {
	return nodes.Spec{Name: "Wait", Category: "test", Outputs: nodes.Outputs("INT")}
}

// animation stands for an animated image; no test decodes it.
const animation = "RIFF moving"

func (n *wait) Run(ctx *nodes.Context) (nodes.Result, error) {
	img := image.NewNRGBA(image.Rect(0, 0, 8, 6))
	ctx.ProgressPreview(1, 3, &nodes.Preview{Format: "PNG", Image: img, Animation: []byte(animation)})
	<-ctx.Done()
	return nodes.Result{}, context.Cause(ctx)
}

// rig is a running server in a folder of its own.
type rig struct {
	t    *testing.T
	base string
	url  string
	stop func()
	// server is the server under test.
	server *server.Server
}

// start runs a server with a few files to serve. change may be nil.
func start(t *testing.T, change func(*server.Config)) *rig {
	t.Helper()
	base := t.TempDir()
	for name, text := range map[string]string{
		"input/note.txt": "hello text\n", "input/page.html": "<script>1</script>", "input/sub/deep.txt": "deep",
		"input/draw.svg": "<svg/>", "secret.txt": "secret", "models/checkpoints/a.safetensors": "x", "models/embeddings/e.pt": "x",
		"user/default/user.css": "b{}", "web/index.html": "<p>page</p>", "web/assets/app.js": "1", "web/assets/pre.js": "plain",
		"custom_nodes/pack/__init__.py": "WEB_DIRECTORY = './js'\n", "custom_nodes/pack/js/ext.js": "2",
	} {
		write(t, filepath.Join(base, name), []byte(text))
	}
	write(t, filepath.Join(base, "input/pic.png"), testPNG(t, 8, 6))
	if err := os.Symlink(filepath.Join(base, "secret.txt"), filepath.Join(base, "input/link.txt")); err != nil {
		t.Fatal(err)
	}
	f, err := folders.New(folders.Config{Base: base})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Prepare(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.RemoveTemp(); err != nil {
			t.Error(err)
		}
	})
	registry := nodes.NewRegistry()
	for _, n := range []nodes.Node{&number{}, &show{}, &wait{}, &stubborn{}} {
		if err := registry.Add(n); err != nil {
			t.Fatal(err)
		}
	}
	cfg := server.Config{
		Folders: f, AppVersion: "test", Argv: []string{"test"},
		Executor: executor.New(executor.Config{Registry: registry, Services: nodes.Services{Folders: f}}),
	}
	if change != nil {
		change(&cfg)
	}
	return serve(t, base, cfg)
}

func serve(t *testing.T, base string, cfg server.Config) *rig {
	t.Helper()
	s, err := server.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, l) }()
	r := &rig{t: t, base: base, url: "http://" + l.Addr().String(), server: s}
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("running the server: %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("the server did not stop")
		}
		if err := s.Close(); err != nil {
			t.Errorf("closing the server: %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
	}
	t.Cleanup(r.stop)
	return r
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// testPNG returns a PNG whose alpha increases to the right.
func testPNG(t *testing.T, w, h int) []byte {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetNRGBA(x, y, color.NRGBA{200, uint8(y), 7, uint8(x * 20)})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type httpReply struct {
	status int
	header http.Header
	body   string
}

// do sends a request; headers are alternating names and values.
func (r *rig) do(method, path, body string, headers ...string) httpReply {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	before, query, _ := strings.Cut(path, "?")
	req.URL.Opaque = before // as it stands: nothing cleaned, nothing encoded
	req.URL.RawQuery = query
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
	}
	resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, path, err)
	}
	return httpReply{resp.StatusCode, resp.Header, string(data)}
}

// get reads a JSON answer into v.
func (r *rig) get(path string, v any) {
	r.t.Helper()
	a := r.do("GET", path, "")
	if err := json.Unmarshal([]byte(a.body), v); err != nil || a.status != 200 {
		r.t.Fatalf("GET %s: %d %s", path, a.status, a.body)
	}
}

// queue sends a prompt and returns its id.
func (r *rig) queue(body string) string {
	r.t.Helper()
	a := r.do("POST", "/prompt", body)
	var v struct {
		ID string `json:"prompt_id"`
	}
	if err := json.Unmarshal([]byte(a.body), &v); err != nil || a.status != 200 {
		r.t.Fatalf("POST /prompt: %d %s", a.status, a.body)
	}
	return v.ID
}

// until polls until f is true.
func (r *rig) until(what string, f func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("waiting for %s took too long", what)
		}
	}
}

func (r *rig) finished(id string) bool {
	return r.do("GET", "/history/"+id, "").body != "{}"
}

// dial opens a socket and reads the greeting.
func (r *rig) dial(id string) *websocket.Conn {
	r.t.Helper()
	conn, resp, err := websocket.Dial(r.t.Context(), strings.Replace(r.url, "http", "ws", 1)+"/ws?clientId="+id, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if resp.Body != nil {
		_ = resp.Body.Close()
	}
	r.t.Cleanup(func() { _ = conn.CloseNow() })
	if m := r.next(conn); m != "status" {
		r.t.Fatalf("the first message is %s", m)
	}
	return conn
}

// next returns the type of the next message; binary ones are "binary N".
func (r *rig) next(conn *websocket.Conn) string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 15*time.Second)
	defer cancel()
	kind, data, err := conn.Read(ctx)
	if err != nil {
		r.t.Fatalf("reading the socket: %v", err)
	}
	if kind == websocket.MessageBinary {
		kind := "binary " + string('0'+rune(data[3]))
		if bytes.HasSuffix(data, []byte(animation)) && bytes.Contains(data, []byte("image/webp")) {
			kind += " animated"
		}
		return kind
	}
	var m struct {
		Type string
		Data struct{ Node any }
	}
	if err := json.Unmarshal(data, &m); err != nil {
		r.t.Fatal(err)
	}
	if m.Type == "executing" && m.Data.Node == nil {
		return "executing null"
	}
	return m.Type
}
