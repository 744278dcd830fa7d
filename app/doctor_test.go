package app_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"comfygo/app"
	"comfygo/cli"
	"comfygo/internal/ffmpeg"
)

func TestReport(t *testing.T) {
	t.Parallel()
	fine := app.NewFinding(app.Good, "cpu", "two cores", "unused")
	poor := app.NewFinding(app.Warning, "memory", "little", "buy some")
	bad := app.NewFinding(app.Broken, "library", "none\nat all", "fetch it")
	var out bytes.Buffer
	if err := app.Report(&out, []app.Finding{fine, poor}); err != nil {
		t.Errorf("a warning fails: %v", err)
	}
	want := "ok    cpu        two cores\nwarn  memory     little -> buy some\n"
	if out.String() != want {
		t.Errorf("it prints %q, want %q", out.String(), want)
	}
	out.Reset()
	var exit *cli.ExitError
	if err := app.Report(&out, []app.Finding{bad, fine}); !errors.As(err, &exit) || exit.Code != cli.CodeFailed {
		t.Errorf("error %v", err)
	}
	if !strings.HasPrefix(out.String(), "FAIL  library    none at all -> fetch it\n") {
		t.Errorf("it prints %q", out.String())
	}
}

func TestCheckFFmpeg(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if f := app.CheckFFmpeg(t.Context(), &ffmpeg.Tool{Path: dir}); f.Verdict() != app.Warning || !strings.Contains(f.Text(), "not installed") {
		t.Errorf("without the programs: %v", f)
	}
	if runtime.GOOS == "windows" {
		return
	}
	for _, c := range []struct {
		version, encoders string
		verdict           any
		text              string
	}{
		{"5.1.9-0", " V..... libx264 x\n A..... aac x\n A..... libmp3lame x\n A..... libopus x\n V..... libsvtav1 x\n V..... libvpx-vp9 x\n", app.Good, "5.1.9-0 at"},
		{"7.1", " V..... libx264 x\n", app.Warning, "7.1"},
		{"4.4.2", "", app.Warning, "5.1 or later"},
	} {
		for _, name := range []string{"ffmpeg", "ffprobe"} {
			script := "#!/bin/sh\nif [ \"$2\" = -encoders ]; then printf '" + c.encoders + "'; else echo " + name + " version " + c.version + " and more; fi\n"
			if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if f := app.CheckFFmpeg(t.Context(), &ffmpeg.Tool{Path: filepath.Join(dir, "ffmpeg")}); any(f.Verdict()) != c.verdict || !strings.Contains(f.Text(), c.text) {
			t.Errorf("version %s: %v", c.version, f)
		}
	}
}

func TestCheckFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if f := app.CheckFolder("output", dir); f.Verdict() != app.Good || f.Text() != dir {
		t.Errorf("a folder: %v", f)
	}
	if f := app.CheckFolder("output", filepath.Join(dir, "new", "deep")); f.Verdict() != app.Good || !strings.Contains(f.Text(), "will be made") {
		t.Errorf("a new folder: %v", f)
	}
	if f := app.CheckFolder("output", file); f.Verdict() != app.Broken {
		t.Errorf("a file: %v", f)
	}
	if f := app.CheckFolder("output", filepath.Join(file, "below")); f.Verdict() != app.Broken {
		t.Errorf("below a file: %v", f)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("%d entries are left in the folder (%v)", len(left), err)
	}
}
