package ort

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDumpWritesTheModel(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	spec := &SessionSpec{Name: "../unet 64x64", Model: []byte("model")}
	dump(dir, slog.New(slog.DiscardHandler), spec)
	dump("", nil, spec) // not wanted
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v, %v", files, err)
	}
	if base := filepath.Base(files[0]); !strings.HasPrefix(base, "___unet_64x64-") || !strings.HasSuffix(base, ".onnx") {
		t.Errorf("the file is named %s", base)
	}
	if b, _ := os.ReadFile(files[0]); string(b) != "model" {
		t.Errorf("it holds %q", b)
	}
	var log strings.Builder
	dump(filepath.Join(dir, "absent"), slog.New(slog.NewTextHandler(&log, nil)), spec)
	if !strings.Contains(log.String(), "dumping a graph") {
		t.Errorf("a folder that is missing was not told of: %q", log.String())
	}
}
