package tests_test

import (
	"context"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"comfygo/internal/apiclient"
)

func TestStart(t *testing.T) {
	t.Parallel()
	server := start(t)
	var stats struct {
		System struct {
			OS      string   `json:"os"`
			Version string   `json:"comfyui_version"`
			RAM     int64    `json:"ram_total"`
			Free    int64    `json:"ram_free"`
			Argv    []string `json:"argv"`
		} `json:"system"`
		Devices []struct {
			Name, Type string
			Total      int64 `json:"vram_total"`
		} `json:"devices"`
	}
	if err := server.Get(t.Context(), "/system_stats", &stats); err != nil {
		t.Fatal(err)
	}
	if stats.System.Version != "0.33.0" || stats.System.RAM <= 0 || stats.System.Free <= 0 || stats.System.Free > stats.System.RAM {
		t.Errorf("system %+v", stats.System)
	}
	if len(stats.Devices) == 0 || stats.Devices[0].Name == "" || stats.Devices[0].Total <= 0 {
		t.Errorf("devices %+v", stats.Devices)
	}
	for _, dir := range []string{"input", "temp", "user"} {
		if _, err := os.Stat(filepath.Join(server.base, dir)); err != nil {
			t.Errorf("at the start %s is missing: %v", dir, err)
		}
	}
	if err := server.process.Stop(30 * time.Second); err != nil {
		t.Errorf("after Ctrl-C: %v", err)
	}
	if _, err := os.Stat(filepath.Join(server.base, "temp")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Ctrl-C the temp folder is there (%v)", err)
	}
	log := server.process.Log()
	for _, line := range []string{"Setting base directory to: " + server.base, "Starting server", "To see the GUI go to: http://127.0.0.1:", "Stopped server"} {
		if !strings.Contains(log, line) {
			t.Errorf("the log lacks %q:\n%s", line, log)
		}
	}
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	server := start(t)
	at, err := url.Parse(server.Base)
	if err != nil {
		t.Fatal(err)
	}
	code, _, stderr := command(t, "--port", at.Port(), "--base-directory", t.TempDir())
	if code != 1 || !strings.Contains(stderr, "already in use on address 127.0.0.1") {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
}

func TestTerminate(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p, err := apiclient.Start(ctx, nil, program, "--port", "0", "--base-directory", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(p.PID(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Done():
	case <-ctx.Done():
		p.Kill()
		t.Fatal("SIGTERM does not end the server")
	}
	var exit *exec.ExitError
	if err := p.Stop(time.Second); !errors.As(err, &exit) || exit.ExitCode() != 143 {
		t.Errorf("after SIGTERM: %v", err)
	}
}

func TestSeveralAddresses(t *testing.T) {
	t.Parallel()
	server := start(t, "--listen", "127.0.0.1,127.0.0.2")
	at, err := url.Parse(server.Base)
	if err != nil {
		t.Fatal(err)
	}
	other := apiclient.Client{Base: "http://127.0.0.2:" + at.Port()}
	if err := other.Get(t.Context(), "/system_stats", nil); err != nil {
		t.Error(err)
	}
}

func TestAPIKey(t *testing.T) {
	t.Parallel()
	server := start(t, "--api-key", "a-key-for-this-test")
	var status *apiclient.StatusError
	if err := server.Get(t.Context(), "/system_stats", nil); !errors.As(err, &status) || status.Code != 401 {
		t.Errorf("without a key: %v", err)
	}
	if err := server.Get(t.Context(), "/health", nil); err != nil {
		t.Errorf("/health without a key: %v", err)
	}
	server.Key = "a-key-for-this-test"
	var stats struct{ System struct{ Argv []string } }
	if err := server.Get(t.Context(), "/system_stats", &stats); err != nil {
		t.Errorf("with the key: %v", err)
	}
	if text := strings.Join(stats.System.Argv, " "); strings.Contains(text, server.Key) || !strings.Contains(text, "--api-key") {
		t.Errorf("argv shows %q", text)
	}
}
