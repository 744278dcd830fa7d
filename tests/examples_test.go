package tests_test

import (
	"bytes"
	"context"
	"errors"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"comfygo/tests/golden"
)

// exampleKey is the key of the server that the examples run against.
const exampleKey = "examples-key-0123456789"

// exampleWorkflow scales an image of the input folder, which needs no model.
const exampleWorkflow = `{
	"1": {"class_type": "LoadImage", "inputs": {"image": "photo.png"}},
	"2": {"class_type": "ImageScaleBy", "inputs": {"image": ["1", 0], "upscale_method": "nearest-exact", "scale_by": 3}},
	"3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "example"}}
}`

// TestExamples runs the examples of docs/examples as they stand there.
func TestExamples(t *testing.T) {
	t.Parallel()
	repo, err := golden.Root()
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(repo, "docs", "examples", name) }
	for _, e := range []struct {
		name    string
		command func(t *testing.T) []string
		toFile  bool // the last argument is a file, not a folder
	}{
		{"curl", func(t *testing.T) []string { return []string{tool(t, "sh"), in("curl.sh")} }, true},
		{"go", func(t *testing.T) []string { return []string{tool(t, "go"), "run", in("client")} }, false},
		{"javascript", func(t *testing.T) []string {
			node, err := exec.LookPath("node")
			if err != nil {
				missing(t, "node")
			}
			return []string{node, in("client.mjs")}
		}, false},
		{"python", func(t *testing.T) []string {
			python, _ := sdkPython(t)
			return []string{python, in("client.py")}
		}, false},
	} {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			command := e.command(t)
			s := start(t, "--api-key", exampleKey)
			s.Key = exampleKey
			dir := t.TempDir()
			workflow, out := filepath.Join(dir, "workflow.json"), filepath.Join(dir, "out")
			if e.toFile {
				out = filepath.Join(dir, "out.png")
			}
			photo, err := os.ReadFile(testImage(t))
			if err := errors.Join(err, os.WriteFile(workflow, []byte(exampleWorkflow), 0o644), os.WriteFile(filepath.Join(s.base, "input", "photo.png"), photo, 0o644)); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, command[0], append(command[1:], s.Base, workflow, out)...)
			cmd.Dir, cmd.Env = repo, append(os.Environ(), "COMFYGO_API_KEY="+exampleKey)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Run(); err != nil {
				t.Fatalf("%v: %v\n%s%s", command, err, &stdout, &stderr)
			}
			made := string(bytes.TrimSpace(stdout.Bytes()))
			data, err := os.ReadFile(made)
			if err != nil {
				t.Fatalf("the example prints %q, which is no file: %v", made, err)
			}
			img, err := png.Decode(bytes.NewReader(data))
			if err != nil || img.Bounds().Dx() != 36 || img.Bounds().Dy() != 24 {
				t.Errorf("the image is %v (%v), want 36×24", img, err)
			}
		})
	}
}

// tool finds a program that the tests need anyway.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is needed: %v", name, err)
	}
	return path
}
