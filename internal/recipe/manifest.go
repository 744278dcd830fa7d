// Package recipe makes the synthetic checkpoints that the golden tests run on, bit for bit, from manifests of a
// few kilobytes.
//
// A manifest names tensors with shape, element type and the numbers of a generator (splitmix64 seeded by the FNV-1a
// hash of salt and name); the file that follows from it is fixed to the last byte, and the manifest carries its
// SHA-256. The same generator makes the inputs that the goldens were computed with. The package knows nothing of
// models.
package recipe

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/safetensors"
)

// Manifest describes one checkpoint.
type Manifest struct {
	Name     string            `json:"name"`
	Salt     string            `json:"salt"`
	Folder   string            `json:"folder"`
	Metadata map[string]string `json:"metadata"`
	SHA256   string            `json:"sha256"`
	Bytes    int64             `json:"bytes"`
	Params   int64             `json:"params"`
	Tensors  []Tensor          `json:"tensors"`
}

// Tensor is one row of a manifest: [key, shape, dtype, kind, B, S].
type Tensor struct {
	Key   string
	Shape []int
	DType dtype.DType
	Kind  Kind
	B     int64
	S     float64
	Raw   []byte // the content of kind Bytes
}

// Kind is the way in which a tensor's elements are made.
type Kind byte

// The kinds of tensors.
const (
	Uniform  Kind = 'u' // element i = float64(n(i)+B) * S
	Constant Kind = 'c' // element i = S
	Arange   Kind = 'a' // element i = B+i
	Integers Kind = 'i' // element i = B + (n(i)+2^23)*S >> 24: integers from B up to B+S, exclusive
	Bytes    Kind = 'b' // the raw bytes
)

// UnmarshalJSON reads the row form.
func (t *Tensor) UnmarshalJSON(b []byte) error {
	var row []json.RawMessage
	if err := json.Unmarshal(b, &row); err != nil {
		return err
	}
	if len(row) != 6 {
		return fmt.Errorf("tensor row of %d columns, wanted 6", len(row))
	}
	var typeName, kind string
	for i, to := range []any{&t.Key, &t.Shape, &typeName, &kind, &t.B} {
		if err := json.Unmarshal(row[i], to); err != nil {
			return fmt.Errorf("tensor %q, column %d: %w", t.Key, i, err)
		}
	}
	var ok bool
	if t.DType, ok = dtype.Parse(typeName); !ok {
		return fmt.Errorf("tensor %q: unknown element type %q", t.Key, typeName)
	}
	if len(kind) != 1 || !strings.Contains("ucaib", kind) {
		return fmt.Errorf("tensor %q: unknown kind %q", t.Key, kind)
	}
	t.Kind = Kind(kind[0])
	var to any = &t.S
	if t.Kind == Bytes {
		to = &t.Raw
	}
	if err := json.Unmarshal(row[5], to); err != nil {
		return fmt.Errorf("tensor %q: %w", t.Key, err)
	}
	return t.check()
}

// check refuses rows that cannot be made.
func (t *Tensor) check() error {
	n := 1
	for _, d := range t.Shape {
		if d < 0 {
			return fmt.Errorf("tensor %q: negative dimension", t.Key)
		}
		n *= d
	}
	switch {
	case t.Kind == Bytes && len(t.Raw) != n*t.DType.Size():
		return fmt.Errorf("tensor %q: %d raw bytes for shape %v of %s", t.Key, len(t.Raw), t.Shape, t.DType)
	case t.Kind == Uniform && !t.DType.IsFloat(), t.Kind == Integers && t.DType.IsFloat():
		return fmt.Errorf("tensor %q: kind %c cannot make %s", t.Key, t.Kind, t.DType)
	case t.Kind == Integers && (t.S != math.Trunc(t.S) || t.S < 0 || t.S > 1<<32):
		return fmt.Errorf("tensor %q: %v integers to choose from", t.Key, t.S)
	}
	return nil
}

// hole reports whether every byte of t is zero, so that its place in the file may be left unwritten.
func (t *Tensor) hole() bool { return t.Kind == Constant && math.Float64bits(t.S) == 0 }

// Load reads the manifest file at path, gzipped or not.
func Load(path string) (*Manifest, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading manifest: %w", err)
	}
	m, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("reading manifest %s: %w", path, err)
	}
	return m, nil
}

// Parse reads a manifest, gzipped or not.
func Parse(b []byte) (*Manifest, error) {
	if bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		if b, err = io.ReadAll(z); err != nil {
			return nil, err
		}
	}
	m := &Manifest{}
	if err := json.Unmarshal(b, m); err != nil {
		return nil, err
	}
	if m.Name == "" || m.Folder == "" || strings.ContainsAny(m.Name+m.Folder, `/\`) {
		return nil, errors.New("manifest without a plain name and folder")
	}
	return m, nil
}

// File returns the path of the checkpoint below a models folder, slash-separated, such as
// "checkpoints/sd15-small.safetensors".
func (m *Manifest) File() string { return path.Join(m.Folder, m.Name+".safetensors") }

func (m *Manifest) specs() []safetensors.Spec {
	specs := make([]safetensors.Spec, len(m.Tensors))
	for i, t := range m.Tensors {
		specs[i] = safetensors.Spec{Name: t.Key, DType: t.DType, Shape: t.Shape}
	}
	return specs
}
