package app

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"comfygo/internal/ortlib"
	"comfygo/server/health"
)

// Version is comfygo's own. A release build sets it, the commit and the date by -ldflags -X.
var (
	Version = "0.1.0"
	commit  string
	date    string
)

// buildInfo describes the program for the command version.
type buildInfo struct {
	Version string `json:"version"`
	Commit  string `json:"commit"` // empty: not built in a repository
	Date    string `json:"date"`   // of the commit, RFC 3339
	// Modified means that the sources differed from the commit.
	Modified    bool   `json:"modified"`
	Go          string `json:"go"`
	Platform    string `json:"platform"`
	ComfyUI     string `json:"comfyui"`
	ONNXRuntime string `json:"onnxruntime"` // the pinned version
}

// readBuild returns the data of the linker and Go's build information.
func readBuild() buildInfo {
	b := buildInfo{
		Version: Version, Commit: commit, Date: date, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		ComfyUI: health.UpstreamVersion, ONNXRuntime: ortlib.Version,
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || b.Commit != "" {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Date = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// String is one line, and one for what the program works with.
func (b buildInfo) String() string {
	line := "comfygo " + b.Version
	switch {
	case b.Commit == "":
		line += " (commit unknown)"
	case b.Modified:
		line += fmt.Sprintf(" (commit %.12s, modified, %s)", b.Commit, b.Date)
	default:
		line += fmt.Sprintf(" (commit %.12s, %s)", b.Commit, b.Date)
	}
	return line + fmt.Sprintf("\n%s %s, for clients of ComfyUI %s, ONNX Runtime %s", b.Go, b.Platform, b.ComfyUI, b.ONNXRuntime)
}

// PrintVersion writes the version, commit and date of this build.
func (c Command) PrintVersion(w io.Writer, asJSON bool) error {
	b := readBuild()
	if !asJSON {
		_, err := fmt.Fprintln(w, b)
		return err
	}
	text, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return fmt.Errorf("printing the version: %w", err)
	}
	_, err = fmt.Fprintln(w, string(text))
	return err
}
