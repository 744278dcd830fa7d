// Package golden gives tests the reference values in tests/testdata/golden: stored results, the recipes that make
// their inputs, synthetic checkpoints, and comparisons that say how far off a result is.
//
// It knows file formats and arithmetic only, nothing of the code under test.
package golden

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/engine/safetensors"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// Root returns the folder of the module, found upwards from the working directory.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the module: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("finding the module: no go.mod above the working directory")
		}
		dir = up
	}
}

// Path returns the path of a file below tests/testdata/golden, such as "inputs/pub_rgb.png". Names that start with
// "demo/" are those of the demo model's goldens, in demo/testdata.
func Path(tb testing.TB, name string) string {
	tb.Helper()
	root, err := Root()
	if err != nil {
		tb.Fatal(err)
	}
	if rest, ok := strings.CutPrefix(name, "demo/"); ok {
		return filepath.Join(root, "demo", "testdata", filepath.FromSlash(rest))
	}
	return filepath.Join(root, "tests", "testdata", "golden", filepath.FromSlash(name))
}

// read returns the content of path, or of path.gz unpacked; os.ErrNotExist when there is neither.
func read(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err == nil || !os.IsNotExist(err) {
		return b, err
	}
	z, err := os.ReadFile(path + ".gz")
	if err != nil {
		return nil, err
	}
	r, err := gzip.NewReader(bytes.NewReader(z))
	if err != nil {
		return nil, fmt.Errorf("unpacking %s.gz: %w", path, err)
	}
	return io.ReadAll(r)
}

// JSON decodes NAME.json or NAME.json.gz into v.
func JSON(tb testing.TB, name string, v any) {
	tb.Helper()
	b, err := read(Path(tb, name+".json"))
	if err != nil {
		tb.Fatalf("reading golden %s: %v", name, err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		tb.Fatalf("decoding golden %s: %v", name, err)
	}
}

// Tensors is the content of a golden's safetensors file, as float32.
type Tensors struct {
	name string
	m    map[string]safetensors.Tensor
}

// Load decodes NAME.json(.gz) into v, unless v is nil, and reads NAME.safetensors(.gz).
func Load(tb testing.TB, name string, v any) *Tensors {
	tb.Helper()
	if v != nil {
		JSON(tb, name, v)
	}
	b, err := read(Path(tb, name+".safetensors"))
	if err != nil {
		tb.Fatalf("reading golden %s: %v", name, err)
	}
	list, _, err := safetensors.Parse(b)
	if err != nil {
		tb.Fatalf("reading golden %s: %v", name, err)
	}
	t := &Tensors{name, make(map[string]safetensors.Tensor, len(list))}
	for _, e := range list {
		t.m[e.Name] = e
	}
	return t
}

// Has reports whether there is a tensor called name.
func (t *Tensors) Has(name string) bool {
	_, ok := t.m[name]
	return ok
}

// Get returns a tensor as float32; it fails the test when there is none.
func (t *Tensors) Get(tb testing.TB, name string) *tensor.Tensor {
	tb.Helper()
	e, ok := t.m[name]
	if !ok {
		tb.Fatalf("golden %s has no tensor %q", t.name, name)
	}
	out := tensor.New(e.Shape...)
	if err := weights.ToFloat32(out.Data, weights.Entry{Name: e.Name, DType: e.DType, Shape: e.Shape, Data: e.Data}); err != nil {
		tb.Fatalf("golden %s: %v", t.name, err)
	}
	return out
}
