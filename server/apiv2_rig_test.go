package server_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"comfygo/assets"
	"comfygo/executor"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/server"
	"comfygo/server/reply"
)

// copies is an output node that copies a file of the input folder to the output folder, and shows a text.
type copies struct {
	File string `in:"file"`
	Name string `in:"name" optional:"true"`
	Text string `in:"text" optional:"true"`
	// After makes it wait for another node.
	After int64 `in:"after" optional:"true"`
}

func (*copies) Spec() nodes.Spec {
	return nodes.Spec{Name: "Copies", Category: "test", OutputNode: true}
}

func (n *copies) Run(ctx *nodes.Context) (nodes.Result, error) {
	data, err := os.ReadFile(filepath.Join(ctx.Folders.Input(), n.File))
	if err != nil {
		return nodes.Result{}, err
	}
	if n.Name == "" {
		n.Name = "copy.png"
	}
	if err := os.MkdirAll(ctx.Folders.Output(), 0o755); err != nil {
		return nodes.Result{}, err
	}
	if err := os.WriteFile(filepath.Join(ctx.Folders.Output(), n.Name), data, 0o644); err != nil {
		return nodes.Result{}, err
	}
	if n.Text != "" {
		return nodes.WithUI("text", []any{n.Text}), nil
	}
	return nodes.WithUI("images", []any{pyjson.NewObject("filename", n.Name, "subfolder", "", "type", "output")}), nil
}

// gated is an output node that advances by one step, with a preview, each time the test lets it.
type gated struct {
	File string `in:"file"`
}

// stepGates are the channels of the tests, by base folder: nodes are made anew for each call.
var stepGates sync.Map

func (*gated) Spec() nodes.Spec {
	return nodes.Spec{Name: "Gated", Category: "test", Outputs: nodes.Outputs("INT"), OutputNode: true}
}

func (n *gated) Run(ctx *nodes.Context) (nodes.Result, error) {
	const steps = 3
	gate, ok := stepGates.Load(ctx.Folders.Base())
	if !ok {
		return nodes.Result{}, errors.New("the gate stays closed")
	}
	for i := range steps {
		select {
		case <-gate.(chan struct{}):
		case <-ctx.Done():
			return nodes.Result{}, context.Cause(ctx)
		}
		ctx.ProgressPreview(float64(i+1), steps, &nodes.Preview{Format: "JPEG", Image: image.NewNRGBA(image.Rect(0, 0, 4, 4))})
	}
	return nodes.Out(int64(steps)), nil
}

// rigV2 is a server with the API v2 on a catalogue that is opened late, or on that of --enable-assets.
type rigV2 struct {
	*rig
	gate  chan struct{}
	opens *int
}

func startV2(t *testing.T, enabled bool, change func(*server.Config)) *rigV2 {
	t.Helper()
	gate, opens := make(chan struct{}), 0
	var once sync.Mutex
	var lib *assets.Library
	r := start(t, func(c *server.Config) {
		open := func() (*assets.Library, error) {
			once.Lock()
			defer once.Unlock()
			if lib != nil {
				return lib, nil
			}
			opens++
			var err error
			lib, err = assets.Open(assets.Config{Folders: c.Folders, ContentType: reply.GuessType})
			return lib, err
		}
		t.Cleanup(func() {
			if lib == nil {
				return
			}
			if err := lib.Close(); err != nil {
				t.Errorf("closing the catalogue: %v", err)
			}
		})
		stepGates.Store(c.Folders.Base(), gate)
		registry := nodes.NewRegistry()
		for _, n := range []nodes.Node{&number{}, &show{}, &copies{}, &gated{}} {
			if err := registry.Add(n); err != nil {
				t.Fatal(err)
			}
		}
		cfg := executor.Config{Registry: registry, Services: nodes.Services{Folders: c.Folders}}
		c.OpenAssets = open
		if enabled {
			l, err := open()
			if err != nil {
				t.Fatal(err)
			}
			c.Assets, c.OpenAssets, cfg.Enrich = l, nil, l.Enrich
		}
		c.Executor = executor.New(cfg)
		if change != nil {
			change(c)
		}
	})
	return &rigV2{rig: r, gate: gate, opens: &opens}
}

// steps lets a gated node go on.
func (r *rigV2) steps(n int) {
	r.t.Helper()
	for range n {
		select {
		case r.gate <- struct{}{}:
		case <-time.After(15 * time.Second):
			r.t.Fatal("no node waits for its next step")
		}
	}
}

// call sends a request and reads a JSON answer; want is the status that it must have.
func (r *rigV2) call(want int, method, path, body string, headers ...string) map[string]any {
	r.t.Helper()
	a := r.do(method, path, body, headers...)
	if a.status != want {
		r.t.Fatalf("%s %s: %d %s, want %d", method, path, a.status, a.body, want)
	}
	if a.body == "" {
		return nil
	}
	var v map[string]any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		r.t.Fatalf("%s %s: %v in %s", method, path, err, a.body)
	}
	return v
}

// fails checks that a request is refused with a status and a code, and returns the error.
func (r *rigV2) fails(status int, code, method, path, body string, headers ...string) map[string]any {
	r.t.Helper()
	v := r.call(status, method, path, body, headers...)
	e, _ := v["error"].(map[string]any)
	if e["code"] != code || e["message"] == "" {
		r.t.Fatalf("%s %s: %v, want the code %s", method, path, v, code)
	}
	return e
}

// formV2 writes a form, the fields before the file as the SDKs do; a field without a value is left out.
func formV2(t *testing.T, fields [][2]string, file []byte) (body string, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, f := range fields {
		if err := w.WriteField(f[0], f[1]); err != nil {
			t.Fatal(err)
		}
	}
	if file != nil {
		p, err := w.CreateFormFile("file", "blob")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Write(file); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), w.FormDataContentType()
}

// upload sends a file.
func (r *rigV2) upload(want int, path string, file []byte, more ...[2]string) map[string]any {
	r.t.Helper()
	body, contentType := formV2(r.t, append([][2]string{{"content_type", "image/png"}, {"file_path", path}}, more...), file)
	return r.call(want, "POST", "/api/v2/assets", body, "Content-Type", contentType)
}

// submit sends a workflow and returns the job.
func (r *rigV2) submit(workflow string, headers ...string) map[string]any {
	r.t.Helper()
	return r.call(201, "POST", "/api/v2/jobs", `{"workflow": `+workflow+`}`, headers...)
}

func (r *rigV2) job(id any) map[string]any {
	r.t.Helper()
	return r.call(200, "GET", "/api/v2/jobs/"+id.(string), "")
}

// ends waits for a job's end.
func (r *rigV2) ends(id any, status string) map[string]any {
	r.t.Helper()
	var job map[string]any
	r.until("the end of the job", func() bool {
		job = r.job(id)
		return job["completed_at"] != nil || job["status"] == "canceled"
	})
	if job["status"] != status {
		r.t.Fatalf("the job is %v, want %s", job, status)
	}
	return job
}

// event is one of a stream.
type event struct {
	name, id string
	data     map[string]any
}

// events opens a stream of a job's events. It ends with the test.
func (r *rigV2) events(id any, headers ...string) *streamed {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/api/v2/jobs/"+id.(string)+"/events", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	s := &streamed{t: r.t, resp: resp, cancel: cancel, lines: bufio.NewScanner(resp.Body)}
	s.lines.Buffer(nil, 4<<20)
	r.t.Cleanup(s.close)
	return s
}

type streamed struct {
	t      *testing.T
	resp   *http.Response
	cancel context.CancelFunc
	lines  *bufio.Scanner
}

func (s *streamed) close() {
	s.cancel()
	_ = s.resp.Body.Close()
}

// next returns the next event; ok is false at the stream's end.
func (s *streamed) next() (e event, ok bool) {
	s.t.Helper()
	stop := time.AfterFunc(20*time.Second, s.cancel)
	defer stop.Stop()
	for s.lines.Scan() {
		line := s.lines.Text()
		switch {
		case strings.HasPrefix(line, "event: "):
			e.name = line[7:]
		case strings.HasPrefix(line, "id: "):
			e.id = line[4:]
		case strings.HasPrefix(line, "data: "):
			if err := json.Unmarshal([]byte(line[6:]), &e.data); err != nil {
				s.t.Fatal(err)
			}
		case line == "" && e.name != "":
			return e, true
		}
	}
	return e, false
}

// until reads events until one passes f.
func (s *streamed) until(what string, f func(event) bool) event {
	s.t.Helper()
	for {
		e, ok := s.next()
		if !ok {
			s.t.Fatalf("the stream ended before %s: %v", what, s.lines.Err())
		}
		if f(e) {
			return e
		}
	}
}

func isStatus(status string) func(event) bool {
	return func(e event) bool { return e.name == "status" && e.data["status"] == status }
}
