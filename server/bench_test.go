package server_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/executor"
	"comfygo/folders"
	"comfygo/nodes"
	_ "comfygo/nodes/all"
	"comfygo/server"
)

// large is a handler with all node classes and 1,000 model files in 20 folders.
func large(b *testing.B) http.Handler {
	b.Helper()
	base := b.TempDir()
	for i := range 1000 {
		file := filepath.Join(base, "models", "checkpoints", fmt.Sprint("folder", i%20), fmt.Sprintf("model-%04d.safetensors", i))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	f, err := folders.New(folders.Config{Base: base})
	if err != nil {
		b.Fatal(err)
	}
	if err := f.Prepare(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = f.RemoveTemp() })
	s, err := server.New(server.Config{
		Folders: f, AppVersion: "test", Compress: true,
		Executor: executor.New(executor.Config{Registry: nodes.Default(), Services: nodes.Services{Folders: f}}),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s.Handler()
}

// sink takes an answer and keeps its size.
type sink struct {
	header http.Header
	status int
	size   int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(p []byte) (int, error) { s.size += len(p); return len(p), nil }

// BenchmarkRequests measures what the server itself does for a request; reading and writing of the network come on top.
func BenchmarkRequests(b *testing.B) {
	handler := large(b)
	for _, c := range []struct{ name, method, path, body, accept string }{
		{"prompt", "GET", "/prompt", "", ""},
		{"queue", "GET", "/queue", "", ""},
		{"system_stats", "GET", "/system_stats", "", ""},
		{"object_info", "GET", "/object_info", "", ""},
		{"object_info packed", "GET", "/object_info", "", "gzip"},
		{"object_info of one", "GET", "/object_info/KSampler", "", ""},
		{"models", "GET", "/models/checkpoints", "", ""},
		{"history", "GET", "/history", "", ""},
		{"refused prompt", "POST", "/prompt", `{"prompt": {"1": {"class_type": "No", "inputs": {}}}}`, ""},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			size := 0
			for b.Loop() {
				req, err := http.NewRequestWithContext(b.Context(), c.method, "http://127.0.0.1"+c.path, io.NopCloser(strings.NewReader(c.body)))
				if err != nil {
					b.Fatal(err)
				}
				req.Header.Set("Accept-Encoding", c.accept)
				w := &sink{header: http.Header{}}
				handler.ServeHTTP(w, req)
				if w.status != 200 && w.status != 400 {
					b.Fatalf("status %d", w.status)
				}
				size = w.size
			}
			b.ReportMetric(float64(size), "B/answer")
		})
	}
}
