package tests_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comfygo/demo"
)

// command runs the program to its end: the one without the race detector, which starts faster. Servers have the detector.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	plain, err := plainProgram()
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), plain, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.WaitDelay = time.Minute
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		t.Fatal(err)
	}
	return code, out.String(), errs.String()
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestExitCodes starts the program with command lines that end by themselves.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	inDir := func(name, text string) string {
		path := filepath.Join(dir, name)
		writeFile(t, path, []byte(text))
		return path
	}
	empty := inDir("empty.json", `{"nodes": [], "links": [], "version": 0.4}`)
	saved := inDir("saved.json", `{"version": 0.4, "links": [[1, 1, 0, 2, 0, "IMAGE"]], "nodes": [
		{"id": 1, "type": "EmptyImage", "widgets_values": [64, 32, 1, 255], "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [1]}]},
		{"id": 2, "type": "SaveImage", "widgets_values": ["saved"], "inputs": [{"name": "images", "type": "IMAGE", "link": 1}]}]}`)
	broken := inDir("broken.json", `{"1": `)
	unknown := inDir("unknown.json", `{"1": {"class_type": "NoSuchNode", "inputs": {}}}`)
	good := filepath.Join(dir, "good.json")
	writeFile(t, good, demo.Workflow)
	tests := []struct {
		name   string
		args   []string
		code   int
		stdout string
		stderr string
	}{
		{name: "help", args: []string{"--help"}, stdout: "--extra-model-paths-config PATH"},
		{name: "feature flags", args: []string{"--list-feature-flags"}, stdout: "show_signin_button"},
		{name: "unknown flag", args: []string{"--nonsense"}, code: 2, stderr: "comfygo: error: unrecognized arguments: --nonsense"},
		{name: "missing folder", args: []string{"--user-directory", dir + "/none"}, code: 2, stderr: "none' does not exist."},
		{name: "quick test", args: []string{"--quick-test-for-ci", "--base-directory", t.TempDir()}},
		{name: "missing extra paths", args: []string{"--extra-model-paths-config", dir + "/none.yaml", "--base-directory", t.TempDir()}, code: 1, stderr: "none.yaml"},
		{name: "missing key file", args: []string{"--api-key-file", dir + "/none"}, code: 1, stderr: "none"},
		{name: "run missing file", args: []string{"run", dir + "/none.json"}, code: 1, stderr: "none.json"},
		{name: "run broken file", args: []string{"run", broken}, code: 1, stderr: "broken.json"},
		{name: "run empty saved file", args: []string{"run", empty, "--base-directory", t.TempDir()}, code: 1, stderr: "Prompt has no outputs"},
		{name: "run saved file", args: []string{"run", saved, "--base-directory", t.TempDir(), "--input", "1.width=96"}, stdout: "saved_00001_.png"},
		{name: "run unknown node", args: []string{"run", unknown, "--base-directory", t.TempDir()}, code: 1, stderr: "NoSuchNode"},
		{name: "run wrong input", args: []string{"run", good, "--base-directory", t.TempDir(), "--demo-model", "--input", "3.steps=0"}, code: 1, stderr: "node 3 (KSampler): "},
		{name: "run no such node", args: []string{"run", good, "--input", "77.steps=0"}, code: 1, stderr: "there is no node 77"},
		{name: "run bad input", args: []string{"run", good, "--input", "seed"}, code: 1, stderr: "NODE.FIELD=VALUE"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := command(t, tt.args...)
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if !strings.Contains(stdout, tt.stdout) || tt.stdout == "" && stdout != "" {
				t.Errorf("stdout %q", stdout)
			}
			if !strings.Contains(stderr, tt.stderr) {
				t.Errorf("stderr %q", stderr)
			}
		})
	}
}
