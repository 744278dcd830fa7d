package server_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/server"
	"comfygo/web"
)

// TestOwnPages requests every file of our own pages, with and without another frontend.
func TestOwnPages(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*server.Config){
		"alone":               nil,
		"beside a frontend":   func(c *server.Config) { c.FrontEndRoot = filepath.Join(c.Folders.Base(), "web") },
		"with upstream's csp": func(c *server.Config) { c.DisableAPINodes = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, change)
			for _, name := range web.Names() {
				file, _ := web.Open(name)
				checkPage(t, r, "/app/"+name, file)
			}
			page, _ := web.Open("app.html")
			checkPage(t, r, "/app", page)
			manage, _ := web.Open("manage.html")
			checkPage(t, r, "/manage", manage)
		})
	}
}

func checkPage(t *testing.T, r *rig, path string, file web.File) {
	t.Helper()
	a := r.do("GET", path, "", "Accept-Encoding", "identity")
	if a.status != http.StatusOK || a.body != string(file.Body) {
		t.Errorf("%s: status %d, %d bytes, want %d", path, a.status, len(a.body), len(file.Body))
	}
	for header, want := range map[string]string{
		"Content-Type": file.Type, "Etag": file.ETag, "Cache-Control": "no-cache", "Content-Security-Policy": web.Policy,
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
	} {
		if got := a.header.Get(header); got != want {
			t.Errorf("%s: %s is %q, want %q", path, header, got, want)
		}
	}
	if a := r.do("GET", path, "", "Accept-Encoding", "identity", "If-None-Match", file.ETag); a.status != http.StatusNotModified || a.body != "" {
		t.Errorf("%s again: status %d, %d bytes", path, a.status, len(a.body))
	}
	if a := r.do("GET", path, "", "Accept-Encoding", "identity", "If-None-Match", `"other"`); a.status != http.StatusOK {
		t.Errorf("%s after a change: status %d", path, a.status)
	}
	if a := r.do("HEAD", path, "", "Accept-Encoding", "identity"); a.status != http.StatusOK || a.body != "" {
		t.Errorf("HEAD %s: status %d, %d bytes", path, a.status, len(a.body))
	}
	if file.Packed == nil {
		return
	}
	packed := r.do("GET", path, "", "Accept-Encoding", "gzip, br")
	if packed.header.Get("Content-Encoding") != "gzip" || packed.body != string(file.Packed) || packed.header.Get("Etag") != file.PackedETag {
		t.Errorf("%s packed: %q, tag %s, %d bytes", path, packed.header.Get("Content-Encoding"), packed.header.Get("Etag"), len(packed.body))
	}
}

func TestOwnPageAtRoot(t *testing.T) {
	t.Parallel()
	page, _ := web.Open("app.html")
	alone := start(t, nil)
	for _, path := range []string{"/", "/index.html"} {
		a := alone.do("GET", path, "", "Accept-Encoding", "identity")
		if a.status != http.StatusOK || a.body != string(page.Body) || a.header.Get("Content-Security-Policy") != web.Policy {
			t.Errorf("%s: status %d, %d bytes, policy %q", path, a.status, len(a.body), a.header.Get("Content-Security-Policy"))
		}
	}
	front := start(t, func(c *server.Config) { c.FrontEndRoot = filepath.Join(c.Folders.Base(), "web") })
	if a := front.do("GET", "/", ""); a.body != "<p>page</p>" || a.header.Get("Content-Security-Policy") != "" {
		t.Errorf("with a frontend: %q, policy %q", a.body, a.header.Get("Content-Security-Policy"))
	}
}

func TestOwnPageElsewhere(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	if err := os.MkdirAll(filepath.Join(r.base, "app"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(r.base, "app", "secret.js"), []byte("1"))
	for _, path := range []string{
		"/app/secret.js", "/app/none.js", "/app/js", "/app/js/", "/app//app.html", "/app/web.go", "/app/../secret.txt",
		"/app/%2e%2e/secret.txt", "/app/js/..%2fapp.html", "/App", "/app/app.html/", "/api/app",
	} {
		if a := r.do("GET", path, ""); a.status != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", path, a.status)
		}
	}
	if a := r.do("POST", "/app", ""); a.status != http.StatusMethodNotAllowed {
		t.Errorf("POST /app: status %d, want 405", a.status)
	}
	if a := r.do("GET", "/app/", ""); a.status != http.StatusPermanentRedirect || a.header.Get("Location") != "../app" {
		t.Errorf("/app/: status %d to %q", a.status, a.header.Get("Location"))
	}
}

func TestStart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		set  func(*server.Config)
		want string
	}{
		{"nothing", nil, `{"demo": null, "frontend": false}`},
		{
			"demo", func(c *server.Config) {
				c.DemoWorkflow = []byte(`{"1": {"class_type": "Show", "inputs": {"value": 18446744073709551615}}}`)
			},
			`{"demo": {"1": {"class_type": "Show", "inputs": {"value": 18446744073709551615}}}, "frontend": false}`,
		},
		{"frontend", func(c *server.Config) { c.FrontEndRoot = c.Folders.Base() + "/web" }, `{"demo": null, "frontend": true}`},
	} {
		a := start(t, c.set).do("GET", "/app/start.json", "")
		if a.status != http.StatusOK || a.body != c.want || !json.Valid([]byte(a.body)) || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
			t.Errorf("%s: status %d, %s", c.name, a.status, a.body)
		}
	}
}
