package server_test

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/executor"
	"comfygo/nodes"
	"comfygo/server"
)

type chooser struct {
	Name string `in:"name" files:"checkpoints"`
}

func (*chooser) Spec() nodes.Spec                         { return nodes.Spec{Name: "Chooser", Category: "test"} }
func (*chooser) Run(*nodes.Context) (nodes.Result, error) { return nodes.Result{}, nil }

// withChooser gives the server a node whose choices are files.
func withChooser(t *testing.T) func(*server.Config) {
	return func(cfg *server.Config) {
		registry := nodes.NewRegistry()
		if err := registry.Add(&chooser{}); err != nil {
			t.Fatal(err)
		}
		cfg.Executor = executor.New(executor.Config{Registry: registry, Services: nodes.Services{Folders: cfg.Folders}})
		cfg.Compress = true
	}
}

func TestObjectInfoIsMadeAgainWhenFilesChange(t *testing.T) {
	t.Parallel()
	r := start(t, withChooser(t))
	first := r.do("GET", "/object_info", "", "Accept-Encoding", "identity")
	if !strings.Contains(first.body, `"a.safetensors"`) || first.header.Get("Etag") == "" {
		t.Fatalf("%d %s %v", first.status, first.body, first.header)
	}
	for _, header := range []string{first.header.Get("Etag"), `"x", W/` + first.header.Get("Etag"), "*"} {
		if a := r.do("GET", "/api/object_info", "", "If-None-Match", header, "Accept-Encoding", "identity"); a.status != 304 || a.body != "" {
			t.Errorf("If-None-Match %s: %d %q", header, a.status, a.body)
		}
	}
	if err := os.WriteFile(filepath.Join(r.base, "models/checkpoints/b.safetensors"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	second := r.do("GET", "/object_info", "", "If-None-Match", first.header.Get("Etag"), "Accept-Encoding", "identity")
	if second.status != 200 || !strings.Contains(second.body, `"b.safetensors"`) {
		t.Errorf("after a file has come: %d %s", second.status, second.body)
	}
	packed := r.do("GET", "/object_info", "", "Accept-Encoding", "gzip")
	z, err := gzip.NewReader(strings.NewReader(packed.body))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil || string(plain) != second.body {
		t.Errorf("unpacked %s (%v), want %s", plain, err, second.body)
	}
	if tag := packed.header.Get("Etag"); tag == second.header.Get("Etag") || tag == "" {
		t.Errorf("the packed answer has the tag %s", tag)
	}
}
