package server_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comfygo/assets"
	"comfygo/executor"
	"comfygo/folders"
	"comfygo/nodes"
	"comfygo/server"
	"comfygo/server/reply"
)

// fuzzed is a server without a socket, over folders with a link to a secret.
func fuzzed(f *testing.F) (*server.Server, string) {
	f.Helper()
	root := f.TempDir()
	base, outside := filepath.Join(root, "base"), filepath.Join(root, "outside")
	for _, d := range []string{filepath.Join(base, "input"), outside} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			f.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(outside, "secret.txt"), []byte("the secret"), 0o600); err != nil {
		f.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(base, "input", "link")); err != nil {
		f.Fatal(err)
	}
	dirs, err := folders.New(folders.Config{Base: base})
	if err != nil {
		f.Fatal(err)
	}
	if err := dirs.Prepare(); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = dirs.RemoveTemp() })
	library, err := assets.Open(assets.Config{Folders: dirs, ContentType: reply.GuessType})
	if err != nil {
		f.Fatal(err)
	}
	registry := nodes.NewRegistry()
	if err := registry.Add(&show{}); err != nil {
		f.Fatal(err)
	}
	s, err := server.New(server.Config{
		Folders: dirs, Assets: library, MaxUploadSize: 0.5, AppVersion: "fuzz",
		Executor: executor.New(executor.Config{Registry: registry, Services: nodes.Services{Folders: dirs}}),
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := s.Close(); err != nil {
			f.Errorf("closing the server: %v", err)
		}
		if err := library.Close(); err != nil {
			f.Errorf("closing the library: %v", err)
		}
	})
	return s, outside
}

// FuzzRequest sends whole requests to the handler of all routes: no answer is a 5xx, none has the secret, and no file
// comes to be outside.
func FuzzRequest(f *testing.F) {
	s, outside := fuzzed(f)
	for _, route := range s.Routes() {
		method, path, _ := strings.Cut(route, " ")
		f.Add(method, strings.NewReplacer(":", "", "*", "x").Replace(path), "", "application/json", []byte(`{"a": [1, null]}`))
	}
	f.Add("GET", "/view", "filename=secret.txt&type=input&subfolder=link", "", []byte(nil))
	f.Add("POST", "/upload/image", "", "multipart/form-data; boundary=x", []byte("--x\r\nContent-Disposition: form-data; name=\"image\"; filename=\"../a.png\"\r\n\r\nabc\r\n--x--\r\n"))
	f.Add("POST", "/api/assets", "", "multipart/form-data; boundary=x", []byte("--x\r\nContent-Disposition: form-data; name=\"tags\"\r\n\r\n[\"input\"]\r\n--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"b\"\r\n\r\nabc\r\n--x--\r\n"))
	f.Add("GET", "/api/assets", "metadata_filter={\"a\":1}&sort=name&limit=5&after=x&include_tags=a,b", "", []byte(nil))
	f.Add("POST", "/userdata/a%2fb", "overwrite=false", "text/plain", []byte("x"))
	f.Add("POST", "/prompt", "", "application/json", []byte(`{"prompt": {"1": {"class_type": "Show", "inputs": {"value": 1}}}, "number": -1.5, "front": true}`))
	f.Fuzz(func(t *testing.T, method, path, query, kind string, body []byte) {
		if !strings.HasPrefix(path, "/") || strings.Contains(path, "/events") || strings.HasSuffix(path, "/ws") || strings.Contains(query, "wait") || path == "/ready" {
			return // endless requests have tests of their own, and no worker is ready
		}
		if _, err := http.NewRequest(method, "http://localhost/", nil); err != nil { //nolint:noctx // it is not sent
			return
		}
		r := httptest.NewRequest(http.MethodGet, "http://localhost/", bytes.NewReader(body))
		r.Method, r.URL = method, &url.URL{Scheme: "http", Host: "localhost", Path: path, RawQuery: query}
		if decoded, err := url.PathUnescape(path); err == nil {
			r.URL.Path, r.URL.RawPath = decoded, path
		}
		r.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		begun := time.Now()
		s.Handler().ServeHTTP(w, r)
		if w.Code >= http.StatusInternalServerError || strings.Contains(w.Body.String(), "the secret") {
			t.Errorf("%s %q ? %q as %q with %q: %d %s", method, path, query, kind, body, w.Code, w.Body)
		}
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("%s %q took %v", method, path, took)
		}
		if left, err := os.ReadDir(outside); err != nil || len(left) != 1 {
			t.Fatalf("%s %q wrote outside: %v", method, path, left)
		}
	})
}
