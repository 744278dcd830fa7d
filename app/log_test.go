package app_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comfygo/app"
	"comfygo/cli"
)

// stamped is a log line's time, to be cut off.
var stamped = regexp.MustCompile(`(?m)^\[?\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\]? `)

func TestLog(t *testing.T) {
	t.Parallel()
	const (
		info    = "\x1b[32m[INFO]\x1b[0m started a=1 b=\"two words\"\n"
		careful = "\x1b[1m\x1b[33m[WARNING]\x1b[0m careful\n"
		broken  = "\x1b[1m\x1b[31m[ERROR]\x1b[0m broken\n"
		debug   = "\x1b[36m[DEBUG]\x1b[0m detail\n"
	)
	tests := []struct {
		name           string
		flags          string
		plain          bool
		stdout, stderr string // without times
	}{
		{name: "default", stderr: info + careful + broken},
		{name: "quiet", flags: "--verbose ERROR", stderr: broken},
		{name: "talkative", flags: "--verbose ERROR --verbose", stderr: debug + info + careful + broken},
		{name: "stdout", flags: "--log-stdout", stdout: info + careful, stderr: broken},
		{name: "no colours", plain: true, stderr: "[INFO] started a=1 b=\"two words\"\n[WARNING] careful\n[ERROR] broken\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg, err := cli.Parse(strings.Fields(tt.flags)...)
			if err != nil {
				t.Fatal(err)
			}
			var stdout, stderr, tee bytes.Buffer
			log, err := app.NewLog(cfg, app.LogOutputs{Stdout: &stdout, Stderr: &stderr, Tee: &tee, Color: !tt.plain})
			if err != nil {
				t.Fatal(err)
			}
			log.Debug("detail")
			log.With("a", 1).Info("started", "b", "two words")
			log.Warn("careful")
			log.Error("broken")
			bare := func(b *bytes.Buffer) string { return stamped.ReplaceAllString(b.String(), "") }
			if bare(&stdout) != tt.stdout || bare(&stderr) != tt.stderr {
				t.Errorf("stdout %q\nstderr %q", stdout.String(), stderr.String())
			}
			if lines := strings.Count(stdout.String()+stderr.String(), "\n"); len(stamped.FindAllString(stdout.String()+stderr.String(), -1)) != lines {
				t.Errorf("lines without a time: %q %q", stdout.String(), stderr.String())
			}
			if !tt.plain && tee.String() != tt.stdout+tt.stderr {
				t.Errorf("the buffer got %q", tee.String())
			}
			if err := log.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestLogJSON(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "all.log")
	cfg, err := cli.Parse("--log-format", "json", "--verbose", "DEBUG", file)
	if err != nil {
		t.Fatal(err)
	}
	var stderr, tee bytes.Buffer
	log, err := app.NewLog(cfg, app.LogOutputs{Stderr: &stderr, Tee: &tee, Color: true})
	if err != nil {
		t.Fatal(err)
	}
	stderr.Reset()
	log.Info("\nStopped \"server\"\n")
	log.With("a", 1).WithGroup("g").Warn("careful", "b", "two words")
	log.Debug("detail")
	var got []map[string]any
	for line := range strings.Lines(stderr.String()) {
		var o map[string]any
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if _, err := time.Parse(time.RFC3339Nano, o["time"].(string)); err != nil {
			t.Error(err)
		}
		delete(o, "time")
		got = append(got, o)
	}
	want := []map[string]any{
		{"level": "INFO", "msg": `Stopped "server"`},
		{"level": "WARNING", "msg": "careful", "a": 1.0, "g": map[string]any{"b": "two words"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := log.Close(); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(text), `"level":"DEBUG","msg":"detail"`) {
		t.Errorf("the file: %s, %v", text, err)
	}
	if !strings.Contains(tee.String(), "[INFO]") {
		t.Errorf("the log page's buffer got %q", tee.String())
	}
}

func TestColor(t *testing.T) {
	t.Parallel()
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if app.WantsColor(file) || app.WantsColor(&bytes.Buffer{}) {
		t.Error("colours go to a file or a buffer, which is no terminal")
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

// TestLogFileThatCannotBeOpened checks that the server starts with a warning.
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
