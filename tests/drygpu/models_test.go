//go:build drygpu && linux

package drygpu_test

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/safetensors"
	"comfygo/internal/recipe"
	"comfygo/tests/golden"
)

// manifest writes a sparse file with the tensors of a manifest of the goldens, floating-point ones in one type. keys, if set, returns the
// keys under which a tensor is written.
func manifest(t *testing.T, name string, stored dtype.DType, keys func(key string) []string) string {
	t.Helper()
	m, err := recipe.Load(filepath.Join(filepath.Dir(golden.Path(t, "models/x")), name+".json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	var specs []safetensors.Spec
	for _, x := range m.Tensors {
		d := x.DType
		if d.IsFloat() {
			d = stored
		}
		as := []string{x.Key}
		if keys != nil {
			as = keys(x.Key)
		}
		for _, key := range as {
			specs = append(specs, safetensors.Spec{Name: key, DType: d, Shape: x.Shape})
		}
	}
	return sparse(t, specs)
}

// listed writes a sparse file with the tensors that testdata/NAME.txt.gz lists, a name and a shape in each line.
func listed(t *testing.T, name string, stored dtype.DType) string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".txt.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	var specs []safetensors.Spec
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		s := safetensors.Spec{Name: words[0], DType: stored}
		for _, w := range words[1:] {
			n, err := strconv.Atoi(w)
			if err != nil {
				t.Fatal(err)
			}
			s.Shape = append(s.Shape, n)
		}
		specs = append(specs, s)
	}
	return sparse(t, specs)
}

// sparse writes a file of zeros that takes no room.
func sparse(t *testing.T, specs []safetensors.Spec) string {
	t.Helper()
	head, total, err := safetensors.EncodeHeader(nil, specs)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := os.WriteFile(path, head, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, int64(len(head))+total); err != nil {
		t.Fatal(err)
	}
	return path
}
