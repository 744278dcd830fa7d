package server_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"comfygo/assets"
	"comfygo/executor"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/server"
	"comfygo/server/reply"
)

// assetCase is a line of testdata/assets.json: an exchange; its form, if any, is written as NAME=TEXT and
// NAME=FILE:CONTENTS, and values of its answer are kept for later cases.
type assetCase struct {
	exchange
	Form string
	Save map[string]string // names and patterns with one group
}

// startAssets runs a server with a catalogue.
func startAssets(t *testing.T, change func(*server.Config)) *rig {
	t.Helper()
	r := start(t, func(c *server.Config) {
		lib, err := assets.Open(assets.Config{Folders: c.Folders, Hash: true, ContentType: reply.GuessType})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := lib.Close(); err != nil {
				t.Errorf("closing the catalogue: %v", err)
			}
		})
		c.Assets = lib
		registry := nodes.NewRegistry()
		for _, n := range []nodes.Node{&number{}, &save{}} {
			if err := registry.Add(n); err != nil {
				t.Fatal(err)
			}
		}
		c.Executor = executor.New(executor.Config{Registry: registry, Services: nodes.Services{Folders: c.Folders}, Enrich: lib.Enrich})
		if change != nil {
			change(c)
		}
	})
	r.idle()
	return r
}

// idle waits for the end of the scan.
func (r *rig) idle() {
	r.t.Helper()
	r.until("the scan", func() bool {
		return strings.Contains(r.do("GET", "/api/assets/seed/status", "").body, `"state": "IDLE", "progress": {`)
	})
}

// save writes a file into the output folder.
type save struct {
	Value int64 `in:"value" default:"1"`
}

func (*save) Spec() nodes.Spec { return nodes.Spec{Name: "Save", Category: "test", OutputNode: true} }

func (n *save) Run(ctx *nodes.Context) (nodes.Result, error) {
	dir := ctx.Folders.Output()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nodes.Result{}, err
	}
	if err := os.WriteFile(filepath.Join(dir, "made.txt"), []byte("made"), 0o644); err != nil {
		return nodes.Result{}, err
	}
	return nodes.WithUI("files", []any{pyjson.NewObject("filename", "made.txt", "subfolder", "", "type", "output")}), nil
}

// TestAssets runs every list of the data file on a new server.
func TestAssets(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/assets.json")
	if err != nil {
		t.Fatal(err)
	}
	var lists map[string][]assetCase
	if err := json.Unmarshal(data, &lists); err != nil {
		t.Fatal(err)
	}
	for name, list := range lists {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startAssets(t, nil)
			vars := map[string]string{}
			for _, c := range list {
				tryAsset(t, r, c, vars)
			}
			r.tidy()
		})
	}
}

func tryAsset(t *testing.T, r *rig, c assetCase, vars map[string]string) {
	t.Helper()
	fill := func(s string) string {
		for k, v := range vars {
			s = strings.ReplaceAll(s, "{"+k+"}", v)
		}
		return s
	}
	c.Request, c.Body, c.Match = fill(c.Request), fill(c.Body), fill(c.Match)
	if c.Form != "" {
		var contentType string
		c.Body, contentType = form(t, fill(c.Form))
		c.Headers = maps.Clone(c.Headers)
		if c.Headers == nil {
			c.Headers = map[string]string{}
		}
		c.Headers["Content-Type"] = contentType
	}
	body := try(t, r, c.exchange)
	for k, pattern := range c.Save {
		m := regexp.MustCompile(pattern).FindStringSubmatch(body)
		if m == nil {
			t.Fatalf("%s: no %s in %s", c.Request, k, body)
		}
		vars[k] = m[1]
	}
}

// form makes a multipart body; PIC is replaced by an image.
func form(t *testing.T, text string) (body, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for part := range strings.FieldsSeq(text) {
		name, value, _ := strings.Cut(part, "=")
		var err error
		if name == "file" || name == "image" {
			file, contents, _ := strings.Cut(value, ":")
			if contents == "PIC" {
				contents = string(testPNG(t, 3, 2))
			}
			p, e := w.CreateFormFile(name, file)
			if e != nil {
				t.Fatal(e)
			}
			_, err = p.Write([]byte(contents))
		} else {
			err = w.WriteField(name, value)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), w.FormDataContentType()
}

// tidy checks that no upload was left behind and nothing was written beside the folders.
func (r *rig) tidy() {
	r.t.Helper()
	left, err := filepath.Glob(filepath.Join(r.base, "temp", ".upload-*"))
	if err != nil || len(left) > 0 {
		r.t.Errorf("left behind: %v, %v", left, err)
	}
	for _, dir := range []string{r.base, filepath.Dir(r.base)} {
		evil, err := filepath.Glob(filepath.Join(dir, "*evil*"))
		if err != nil || len(evil) > 0 {
			r.t.Errorf("written outside: %v, %v", evil, err)
		}
	}
}

// TestAssetsOff finds all routes switched off, and no database made.
func TestAssetsOff(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	const id = "/api/assets/00000000-0000-4000-8000-000000000001"
	for _, request := range []string{
		"HEAD /api/assets/hash/x", "GET /api/assets", "POST /api/assets", "POST /api/assets/from-hash", "GET /api/assets/tags/refine",
		"POST /api/assets/seed", "GET /api/assets/seed/status", "POST /api/assets/seed/cancel", "POST /api/assets/prune", "GET " + id,
		"PUT " + id, "DELETE " + id, "GET " + id + "/content", "POST " + id + "/tags", "DELETE " + id + "/tags", "GET /api/tags",
	} {
		method, path, _ := strings.Cut(request, " ")
		a := r.do(method, path, "")
		if a.status != http.StatusServiceUnavailable || method != "HEAD" && !strings.Contains(a.body, "SERVICE_DISABLED") {
			t.Errorf("%s: %d %s", request, a.status, a.body)
		}
	}
	if files, err := filepath.Glob(filepath.Join(r.base, "user", "*.db*")); err != nil || len(files) > 0 {
		t.Errorf("made: %v, %v", files, err)
	}
}

// TestAssetBodies sends more than there may be.
func TestAssetBodies(t *testing.T) {
	t.Parallel()
	r := startAssets(t, func(c *server.Config) { c.MaxUploadSize = 8 })
	const tags = "/api/assets/00000000-0000-4000-8000-000000000001/tags"
	upload, contentType := form(t, "file=a.bin:"+strings.Repeat("x", 9<<20)+" tags=input")
	long, longType := form(t, "file=a.bin:x tags=input,"+strings.Repeat("x", 2<<20))
	many, manyType := form(t, "file=a.bin:x tags=input"+strings.Repeat(" z=1", 100))
	for what, c := range map[string]struct {
		path, body, contentType string
		status                  int
	}{
		"upload":     {"/api/assets", upload, contentType, 413},
		"long field": {"/api/assets", long, longType, 400},
		"many parts": {"/api/assets", many, manyType, 400},
		"json":       {tags, `{"tags": ["` + strings.Repeat("x", 5<<20) + `"]}`, "", 413},
		"deep":       {tags, strings.Repeat(`{"tags":[`, 100_000), "", 400},
		"many tags":  {tags, `{"tags": [` + strings.Repeat(`"x",`, 1000) + `"y"]}`, "", 404},
	} {
		if a := r.do("POST", c.path, c.body, "Content-Type", c.contentType); a.status != c.status {
			t.Errorf("%s: %d %.200s", what, a.status, a.body)
		}
	}
	if a := r.do("GET", "/api/assets", ""); a.status != 200 {
		t.Errorf("afterwards: %d", a.status)
	}
	r.tidy()
}

// TestAssetRun runs a prompt whose output becomes an asset.
func TestAssetRun(t *testing.T) {
	t.Parallel()
	r := startAssets(t, nil)
	id := r.queue(`{"prompt": {"1": {"class_type": "Save", "inputs": {"value": 1}}}}`)
	r.until("the run", func() bool { return r.finished(id) })
	history := r.do("GET", "/history/"+id, "").body
	m := regexp.MustCompile(`"filename": "made.txt", "subfolder": "", "type": "output", "id": "([-0-9a-f]{36})"`).FindStringSubmatch(history)
	if m == nil {
		t.Fatalf("history without an asset: %s", history)
	}
	r.idle()
	asset := r.do("GET", "/api/assets/"+m[1], "").body
	for _, want := range []string{`"job_id": "` + id + `"`, `"prompt_id": "` + id + `"`, `"tags": ["output", "uploaded"]`, `"hash": "blake3:`, `"mime_type": "text/plain"`} {
		if !strings.Contains(asset, want) {
			t.Errorf("no %s in %s", want, asset)
		}
	}
}

// TestAssetEvents receives the events of a scan.
func TestAssetEvents(t *testing.T) {
	t.Parallel()
	r := startAssets(t, nil)
	conn := r.dial("a")
	if a := r.do("POST", "/api/assets/seed", `{"roots": ["input"]}`); a.status != http.StatusAccepted {
		t.Fatalf("starting a scan: %d %s", a.status, a.body)
	}
	for _, want := range []string{"started", "fast_complete", "started", "enrich_complete", "completed"} {
		if got := r.next(conn); got != "assets.seed."+want {
			t.Errorf("heard of %s, want %s", got, want)
		}
	}
}
