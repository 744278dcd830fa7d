// Package golden reads reference values that ComfyUI computed: JSON files beside safetensors files, the recipes that make
// their inputs, the manifests of the checkpoints they ran on, and comparisons that say how far off a result is.
//
// It knows file formats and arithmetic only, nothing of the code under test. Tests of the project's own copies use
// tests/golden, which is this package with a testing.TB; internal/goldencheck runs whole folders.
package golden

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

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

// ReadFile returns the content of path, or of path.gz unpacked, or fs.ErrNotExist if neither exists.
func ReadFile(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
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

// ReadJSON decodes path, or path.gz, into v. Numbers that Python writes and JSON does not know (NaN, Infinity) are
// accepted in fields of type Float.
func ReadJSON(path string, v any) error {
	b, err := ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading golden: %w", err)
	}
	if err := json.Unmarshal(quoteWords(b), v); err != nil {
		return fmt.Errorf("decoding golden %s: %w", path, err)
	}
	return nil
}

// quoteWords puts Python's NaN, Infinity and -Infinity between quotes.
func quoteWords(b []byte) []byte {
	if !bytes.Contains(b, []byte("NaN")) && !bytes.Contains(b, []byte("Infinity")) {
		return b
	}
	out := make([]byte, 0, len(b)+64)
	for inside, i := false, 0; i < len(b); i++ {
		switch c := b[i]; {
		case inside && c == '\\' && i+1 < len(b):
			out = append(out, c)
			i++
		case c == '"':
			inside = !inside
		case !inside:
			if w := pythonWord(b[i:]); w != "" {
				out = append(append(append(out, '"'), w...), '"')
				i += len(w) - 1
				continue
			}
		}
		out = append(out, b[i])
	}
	return out
}

func pythonWord(b []byte) string {
	for _, w := range []string{"NaN", "Infinity", "-Infinity"} {
		if bytes.HasPrefix(b, []byte(w)) {
			return w
		}
	}
	return ""
}

// Float is a number of a golden's JSON, which may be NaN or infinite.
type Float float64

// UnmarshalJSON reads a number, or one of the words that ReadJSON has quoted.
func (f *Float) UnmarshalJSON(b []byte) error {
	switch strings.Trim(string(b), `"`) {
	case "NaN":
		*f = Float(math.NaN())
	case "Infinity":
		*f = Float(math.Inf(1))
	case "-Infinity":
		*f = Float(math.Inf(-1))
	default:
		return json.Unmarshal(b, (*float64)(f))
	}
	return nil
}

// Tensors is the content of a golden's safetensors file.
type Tensors struct {
	name string
	m    map[string]safetensors.Tensor
}

// ReadTensors reads path, or path.gz: a safetensors file.
func ReadTensors(path string) (*Tensors, error) {
	b, err := ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading golden: %w", err)
	}
	list, _, err := safetensors.Parse(b)
	if err != nil {
		return nil, fmt.Errorf("reading golden %s: %w", path, err)
	}
	t := &Tensors{filepath.Base(path), make(map[string]safetensors.Tensor, len(list))}
	for _, e := range list {
		t.m[e.Name] = e
	}
	return t, nil
}

// Has reports whether there is a tensor called name.
func (t *Tensors) Has(name string) bool {
	_, ok := t.m[name]
	return ok
}

// Get returns a tensor as float32.
func (t *Tensors) Get(name string) (*tensor.Tensor, error) {
	e, ok := t.m[name]
	if !ok {
		return nil, fmt.Errorf("golden %s has no tensor %q", t.name, name)
	}
	out := tensor.New(e.Shape...)
	if err := weights.ToFloat32(out.Data, weights.Entry{Name: e.Name, DType: e.DType, Shape: e.Shape, Data: e.Data}); err != nil {
		return nil, fmt.Errorf("golden %s: %w", t.name, err)
	}
	return out, nil
}

// Stored is a tensor as a golden keeps it: every Stride-th value of the whole one.
type Stored struct {
	Data   []float32
	Stride int
}

// Find returns the tensor called name, or the one called name_sK that holds every K-th of its values.
func (t *Tensors) Find(name string) (Stored, error) {
	stride := 1
	if !t.Has(name) {
		for have := range t.m {
			rest, ok := strings.CutPrefix(have, name+"_s")
			if k := 0; ok {
				if n, err := fmt.Sscanf(rest+" ", "%d ", &k); err == nil && n == 1 && k > 0 && fmt.Sprint(k) == rest {
					name, stride = have, k
					break
				}
			}
		}
	}
	x, err := t.Get(name)
	if err != nil {
		return Stored{}, err
	}
	return Stored{x.Data, stride}, nil
}

// Difference compares got, the whole tensor, with the values that are stored. It fails when the sizes do not belong
// together.
func (s Stored) Difference(got []float32) (Diff, error) {
	if s.Stride > 1 {
		got = Strided(got, s.Stride)
	}
	if len(got) != len(s.Data) {
		return Diff{}, fmt.Errorf("%d values, want %d", len(got), len(s.Data))
	}
	return Difference(got, s.Data), nil
}
