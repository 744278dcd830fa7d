package audio_test

import (
	"path/filepath"
	"testing"

	"comfygo/folders"
	"comfygo/internal/ffmpeg"
	_ "comfygo/nodes/audio"
	"comfygo/tests/nodecalls"
)

// inputs are folders whose input folder is testdata/input.
func inputs(t *testing.T) *folders.Folders {
	t.Helper()
	f, err := folders.New(folders.Config{Base: t.TempDir(), Input: filepath.Join("testdata", "input")})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// needFFmpeg skips a test where the programs are missing; tools/untested says so.
func needFFmpeg(t *testing.T) {
	t.Helper()
	if err := (*ffmpeg.Tool)(nil).Available(); err != nil {
		t.Skip(err)
	}
}

// TestCalls compares with upstream's results; testdata/cases.py says which differences are allowed and why.
func TestCalls(t *testing.T) {
	t.Parallel()
	nodecalls.Run(t, "calls.json.gz", nodecalls.Options{Folders: inputs(t)})
}

// TestSavedNames compares the messages to the client, the names of files that ffmpeg encodes, and files that are
// loaded.
func TestSavedNames(t *testing.T) {
	t.Parallel()
	needFFmpeg(t)
	for _, name := range []string{"calls_saved.json.gz", "calls_random.json.gz"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodecalls.Run(t, name, nodecalls.Options{})
		})
	}
}

// TestPreviewed compares the messages to the client, and the names of files.
func TestPreviewed(t *testing.T) {
	t.Parallel()
	nodecalls.Run(t, "calls_preview.json.gz", nodecalls.Options{})
}

// TestFFmpegCalls compares what ffmpeg decodes with upstream's results.
func TestFFmpegCalls(t *testing.T) {
	t.Parallel()
	needFFmpeg(t)
	nodecalls.Run(t, "calls_ffmpeg.json.gz", nodecalls.Options{Folders: inputs(t)})
}
