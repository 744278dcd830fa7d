package tests_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/internal/apiclient"
)

// TestWithoutLibrary starts servers whose ONNX Runtime library is missing, is no library, or is not needed.
func TestWithoutLibrary(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	text := filepath.Join(t.TempDir(), "libonnxruntime.so")
	if err := os.WriteFile(text, []byte("no library"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, path, want string
		flags            []string
	}{
		{"missing", filepath.Join(empty, "absent.so"), "absent.so", nil},
		{"empty folder", empty, "comfygo setup --dir " + empty, nil},
		{"no library", text, "cannot be loaded", nil},
		{"not needed", empty, "", []string{"--no-models"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := start(t, append(tt.flags, "--onnxruntime", tt.path)...)
			var health struct{ Status, Error string }
			if err := server.Get(t.Context(), "/health", &health); err != nil {
				t.Fatal(err)
			}
			var status *apiclient.StatusError
			err := server.Get(t.Context(), "/ready", nil)
			if tt.want == "" {
				if health.Status != "healthy" || err != nil || strings.Contains(server.process.Log(), "No model can run") {
					t.Errorf("%+v, /ready %v, log:\n%s", health, err, server.process.Log())
				}
				return
			}
			if health.Status != "degraded" || !strings.Contains(health.Error, tt.want) {
				t.Errorf("/health: %+v, want %q", health, tt.want)
			}
			if !errors.As(err, &status) || status.Code != 503 {
				t.Errorf("/ready: %v", err)
			}
			if log := server.process.Log(); !strings.Contains(log, "No model can run: ") || !strings.Contains(log, tt.want) {
				t.Errorf("the log does not say %q:\n%s", tt.want, log)
			}
		})
	}
}

// TestNoModels runs a prompt that needs a model on a server that runs none.
func TestNoModels(t *testing.T) {
	t.Parallel()
	server := start(t, "--no-models", "--demo-model")
	workflow, err := os.ReadFile("../demo/workflow.json")
	if err != nil {
		t.Fatal(err)
	}
	result := server.run(t, json.RawMessage(workflow))
	if failure := result.Failure(); failure == nil || !strings.Contains(failure.Message, "--no-models") {
		t.Errorf("the result: %+v", result)
	}
}
