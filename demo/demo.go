// Package demo holds the built-in model and the example workflow, so that a first image needs no
// download. MODEL_CARD.md describes the model and how it was made.
//
// It knows two files and where to put them; it must not know how they are listed or run.
package demo

import (
	"bytes"
	_ "embed" // the two files below
	"fmt"
	"os"
	"path/filepath"
)

// Checkpoint is the name under which the model is listed among the checkpoints.
const Checkpoint = "demo-shapes.safetensors"

// Version is the start of the model's SHA-256; it names the folder of the unpacked file, so that
// programs with different models do not share one.
const Version = "83610e1e4623"

//go:embed demo-shapes.safetensors
var weights []byte

// Workflow is the example in API format: a white house under a blue sky.
//
//go:embed workflow.json
var Workflow []byte

// Unpack makes sure that the checkpoint lies below the cache folder, because the model runtime reads
// weights from files, and returns its path. It writes only when the file is missing or differs.
func Unpack(cache string) (string, error) {
	path := filepath.Join(cache, "demo-"+Version, Checkpoint)
	if same(path) {
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("making the folder of the demo model: %w", err)
	}
	part, err := os.CreateTemp(filepath.Dir(path), ".part-*")
	if err != nil {
		return "", fmt.Errorf("unpacking the demo model: %w", err)
	}
	defer func() { _ = os.Remove(part.Name()) }() // gone already when the rename worked
	_, err = part.Write(weights)
	if closed := part.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Chmod(part.Name(), 0o644)
	}
	if err == nil {
		err = os.Rename(part.Name(), path)
	}
	if err != nil {
		return "", fmt.Errorf("unpacking the demo model: %w", err)
	}
	return path, nil
}

// same compares the size and both ends of the file, which detects a truncated file or another model
// without reading 15 MB at every start.
func same(path string) bool {
	const ends = 64 << 10
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil || info.Size() != int64(len(weights)) {
		return false
	}
	part := make([]byte, ends)
	for _, at := range []int{0, len(weights) - ends} {
		if _, err := f.ReadAt(part, int64(at)); err != nil || !bytes.Equal(part, weights[at:at+ends]) {
			return false
		}
	}
	return true
}
