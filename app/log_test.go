package app_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/app"
	"comfygo/cli"
)

func TestLog(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name           string
		flags          string
		stdout, stderr string
	}{
		{name: "default", stderr: "\x1b[32m[INFO]\x1b[0m started a=1 b=\"two words\"\n\x1b[1m\x1b[33m[WARNING]\x1b[0m careful\n\x1b[1m\x1b[31m[ERROR]\x1b[0m broken\n"},
		{name: "quiet", flags: "--verbose ERROR", stderr: "\x1b[1m\x1b[31m[ERROR]\x1b[0m broken\n"},
		{name: "talkative", flags: "--verbose ERROR --verbose", stderr: "\x1b[36m[DEBUG]\x1b[0m detail\n" +
			"\x1b[32m[INFO]\x1b[0m started a=1 b=\"two words\"\n\x1b[1m\x1b[33m[WARNING]\x1b[0m careful\n\x1b[1m\x1b[31m[ERROR]\x1b[0m broken\n"},
		{
			name: "stdout", flags: "--log-stdout", stdout: "\x1b[32m[INFO]\x1b[0m started a=1 b=\"two words\"\n\x1b[1m\x1b[33m[WARNING]\x1b[0m careful\n",
			stderr: "\x1b[1m\x1b[31m[ERROR]\x1b[0m broken\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg, err := cli.Parse(strings.Fields(tt.flags)...)
			if err != nil {
				t.Fatal(err)
			}
			var stdout, stderr, tee bytes.Buffer
			log, err := app.NewLog(cfg, app.LogOutputs{Stdout: &stdout, Stderr: &stderr, Tee: &tee})
			if err != nil {
				t.Fatal(err)
			}
			log.Debug("detail")
			log.With("a", 1).Info("started", "b", "two words")
			log.Warn("careful")
			log.Error("broken")
			if stdout.String() != tt.stdout || stderr.String() != tt.stderr {
				t.Errorf("stdout %q\nstderr %q", stdout.String(), stderr.String())
			}
			if len(tee.String()) != stdout.Len()+stderr.Len() {
				t.Errorf("the buffer got %q", tee.String())
			}
			if err := log.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestLogFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "all.log")
	cfg, err := cli.Parse("--verbose", "DEBUG", path)
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	log, err := app.NewLog(cfg, app.LogOutputs{Stdout: &stderr, Stderr: &stderr})
	if err != nil {
		t.Fatal(err)
	}
	log.WithGroup("g").Debug("fine", slog.Group("in", "k", ""))
	log.Info("seen")
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) != 3 || !strings.HasSuffix(lines[0], "] [INFO] Debug log: "+path) || !strings.HasSuffix(lines[1], `] [DEBUG] fine g.in.k=""`) || !strings.HasSuffix(lines[2], "] [INFO] seen") {
		t.Errorf("file holds %q", lines)
	}
	if strings.Contains(stderr.String(), "fine") || !strings.Contains(stderr.String(), "seen") {
		t.Errorf("console shows %q", stderr.String())
	}
}

// TestLogFileThatCannotBeOpened goes on with a warning.
func TestLogFileThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	cfg, err := cli.Parse("--verbose", "DEBUG", filepath.Join(t.TempDir(), "none", "x.log"))
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	log, err := app.NewLog(cfg, app.LogOutputs{Stdout: &stderr, Stderr: &stderr})
	if err != nil {
		t.Fatal(err)
	}
	log.Info("goes on")
	if err := log.Close(); err != nil {
		t.Error(err)
	}
	if text := stderr.String(); !strings.Contains(text, "[WARNING]") || !strings.Contains(text, "Could not open the DEBUG log") || !strings.Contains(text, "goes on") {
		t.Errorf("the log says %q", text)
	}
}
