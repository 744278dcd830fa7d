package tests_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"comfygo/internal/apiclient"
)

// TestWithoutLibrary starts servers whose ONNX Runtime library is missing, is not a library, or is not needed.
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

// TestSettingsFromElsewhere starts the program by environment variables and a config file, in a missing base directory.
func TestSettingsFromElsewhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	base := filepath.Join(dir, "new")
	config := filepath.Join(dir, "comfygo.yaml")
	if err := os.WriteFile(config, []byte("base-directory: "+base+"\nlog-format: json\nport: 1\nqueue: memory\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program)
	cmd.Env = []string{"COMFYGO_CONFIG=" + config, "COMFYGO_PORT=0", "COMFYGO_PROT=1", "COMFYGO_NO_MODELS=true"} // HOME is not set
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said []string
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		var line struct{ Time, Level, Msg string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		said = append(said, line.Level+" "+line.Msg)
		if strings.HasPrefix(line.Msg, "To see the GUI go to") {
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 143 {
		t.Errorf("after SIGTERM: %v", err)
	}
	all := strings.Join(said, "\n")
	for _, want := range []string{
		"INFO Reading flags from the config file: " + config,
		"INFO Reading flags from the environment: COMFYGO_PORT, COMFYGO_NO_MODELS",
		"WARNING Environment variables without effect, no flag has this name: COMFYGO_PROT",
		"WARNING The base directory " + base + " did not exist. It has been created, empty",
		"INFO Draining: new prompts are refused, the running one has 25 s to finish",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("the log lacks %q:\n%s", want, all)
		}
	}
	for _, kind := range []string{"checkpoints", "loras", "vae", "diffusion_models", "text_encoders", "clip", "unet", "upscale_models"} {
		if info, err := os.Stat(filepath.Join(base, "models", kind)); err != nil || !info.IsDir() {
			t.Errorf("models/%s: %v", kind, err)
		}
	}
}
