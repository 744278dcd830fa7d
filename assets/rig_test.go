package assets_test

import (
	"bytes"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"comfygo/assets"
	"comfygo/folders"
	"comfygo/internal/pyjson"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a library over a temporary folder.
type rig struct {
	*assets.Library
	t    *testing.T
	base string

	mu     sync.Mutex
	events []string
	heard  chan struct{} // gets a token at every event
}

func open(t *testing.T, cfg assets.Config, files map[string]string) *rig {
	t.Helper()
	r := &rig{t: t, base: t.TempDir(), heard: make(chan struct{}, 1)}
	for name, text := range files {
		r.write(name, text)
	}
	f, err := folders.New(folders.Config{Base: r.base})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Prepare(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.RemoveTemp() })
	cfg.Folders = f
	cfg.ContentType = func(name string) string {
		return map[string]string{".png": "image/png", ".txt": "text/plain", ".safetensors": "application/safetensors"}[filepath.Ext(name)]
	}
	if r.Library, err = assets.Open(cfg); err != nil {
		t.Fatal(err)
	}
	r.Notify(func(event string, _ *pyjson.Object) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.events = append(r.events, strings.TrimPrefix(event, "assets.seed."))
		select {
		case r.heard <- struct{}{}:
		default:
		}
	})
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("closing the library: %v", err)
		}
	})
	return r
}

func (r *rig) path(name string) string { return filepath.Join(r.base, filepath.FromSlash(name)) }

func (r *rig) write(name, text string) {
	r.t.Helper()
	if err := os.MkdirAll(filepath.Dir(r.path(name)), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(r.path(name), []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) scan() {
	r.t.Helper()
	if !r.ScanAll() {
		r.t.Fatal("the scan did not start")
	}
	r.wait()
}

func (r *rig) wait() {
	r.t.Helper()
	if err := r.Wait(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	if st := r.Status(); len(st.Errors) > 0 {
		r.t.Fatalf("the scan failed: %v", st.Errors)
	}
}

// told returns the events so far.
func (r *rig) told() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// await waits for an event.
func (r *rig) await(event string) {
	r.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		if slices.Contains(r.told(), event) {
			return
		}
		select {
		case <-r.heard:
		case <-deadline:
			r.t.Fatalf("there was no event %q, only %v", event, r.told())
		}
	}
}

func (r *rig) list(f assets.Filter) []assets.Item {
	r.t.Helper()
	page, err := r.List(r.t.Context(), assets.Page{Filter: f, Sort: "name", Asc: true, Limit: 500})
	if err != nil {
		r.t.Fatal(err)
	}
	if page.Total != int64(len(page.Items)) {
		r.t.Errorf("%d of %d references are listed", len(page.Items), page.Total)
	}
	return page.Items
}

func names(items []assets.Item) string {
	var out []string
	for _, it := range items {
		out = append(out, it.Name)
	}
	return strings.Join(out, " ")
}

// one returns the only reference with the name.
func (r *rig) one(name string) assets.Item {
	r.t.Helper()
	list := slices.DeleteFunc(r.list(assets.Filter{}), func(it assets.Item) bool { return it.Name != name })
	if len(list) != 1 {
		r.t.Fatalf("%d references are called %q", len(list), name)
	}
	return list[0]
}

// stage writes a file as an upload leaves it, and returns its path and hash.
func (r *rig) stage(text string) (path, hash string) {
	r.t.Helper()
	r.write("temp/staged", text)
	h := assets.NewHasher()
	_, _ = h.Write([]byte(text))
	return r.path("temp/staged"), h.Hash()
}

func img(t *testing.T, w, h int) string {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, w, h))); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// safetensors is a file with nothing but a header.
func safetensors(header string) string {
	n := len(header)
	return string([]byte{byte(n), byte(n >> 8), 0, 0, 0, 0, 0, 0}) + header
}
