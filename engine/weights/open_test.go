package weights_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/safetensors"
	"comfygo/engine/safetensors/filemap"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/internal/recipe"
	"comfygo/tests/golden"
)

// TestEveryTypeOfTheRecipe reads the checkpoint that has every element type and compares each value with the recipe's
// arithmetic, done here in float64 from the manifest's numbers.
func TestEveryTypeOfTheRecipe(t *testing.T) {
	t.Parallel()
	src, err := weights.Open(golden.Checkpoint(t, "dtype-test"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = src.Close() }()
	m, err := recipe.Load(golden.Path(t, "models/dtype-test.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	if src.Metadata()["note"] != "header metadata" {
		t.Errorf("metadata %v", src.Metadata())
	}
	for i, row := range m.Tensors {
		if src.Names()[i] != row.Key {
			t.Errorf("tensor %d is %q, want %q", i, src.Names()[i], row.Key)
		}
		e, ok := src.Lookup(row.Key)
		if !ok || e.DType != row.DType || !slices.Equal(e.Shape, row.Shape) {
			t.Errorf("entry %v, want %s %v", e, row.DType, row.Shape)
			continue
		}
		got, err := weights.Float32s(e)
		if err != nil {
			t.Error(err)
		}
		for j, v := range got {
			var want float64
			switch row.Kind {
			case recipe.Constant:
				want = row.S
			case recipe.Arange:
				want = float64(row.B + int64(j))
			case recipe.Bytes:
				want = float64(row.Raw[j])
			default:
				continue
			}
			if math.Abs(float64(v)-want) > 1e-7*math.Abs(want) { // float32 holds the constants to 6e-8
				t.Errorf("%s[%d] is %g, want %g", row.Key, j, v, want)
			}
		}
		if err := weights.Scan(e); err != nil {
			t.Error(err)
		}
	}
}

// TestUniformValues compares the "u" tensors of the same checkpoint with UniformArray, which takes another path through
// the generator: only the seed's salt differs, so the file is made here.
func TestUniformValues(t *testing.T) {
	t.Parallel()
	m, err := recipe.Load(golden.Path(t, "models/dtype-test.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	m.Salt, m.SHA256 = "input", ""
	path, err := m.Make(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	src, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = src.Close() }()
	seen := 0
	for _, row := range m.Tensors {
		if row.Kind != recipe.Uniform {
			continue
		}
		seen++
		e, _ := src.Lookup(row.Key)
		got, err := weights.Float32s(e)
		if err != nil {
			t.Fatal(err)
		}
		want := recipe.UniformArray(row.Key, len(got), row.S*0x1p23, row.B)
		step := map[int]float64{8: 0, 4: 0, 2: 0x1p-8}[e.DType.Size()] // half a unit of bfloat16, the coarser of the two
		for i := range got {
			if e := math.Abs(float64(got[i] - want[i])); e > step*math.Abs(float64(want[i]))+0x1p-25 && row.Key != "bf16.small" {
				t.Fatalf("%s[%d] is %g, want %g", row.Key, i, got[i], want[i])
			}
		}
	}
	if seen < 8 {
		t.Errorf("only %d tensors compared", seen)
	}
}

// TestTruncatedAfterOpen shortens a file that is open: every way to read its weights must return an error instead of
// ending the process with SIGBUS.
func TestTruncatedAfterOpen(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" { // the system rejects to shorten a file in use, and nothing is mapped
		return
	}
	path := filepath.Join(t.TempDir(), "x.safetensors")
	e, _ := counting(64, 64, 8, 8)
	if err := safetensors.Save(path, nil, []safetensors.Tensor{{Name: "w", DType: e.DType, Shape: e.Shape, Data: e.Data}}); err != nil {
		t.Fatal(err)
	}
	src, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = src.Close() }()
	w, _ := src.Lookup("w")
	if err := os.Truncate(path, w.Offset+100); err != nil {
		t.Fatal(err)
	}
	dst := make([]float32, w.Count())
	all, err := weights.Float32s(w)
	for name, err := range map[string]error{
		"Float32s": err, "ToFloat32": weights.ToFloat32(dst, w),
		"Save": weights.Save(t.Context(), new(bytes.Buffer), nil, []weights.Saved{{Name: "w", Entry: w}}),
		"Scan": weights.Scan(w), "Probe": w.Probe(0, len(w.Data)), "Probe of the end": w.Probe(len(w.Data)-1, len(w.Data)),
	} {
		if !errors.Is(err, filemap.ErrFault) || !bytes.Contains([]byte(err.Error()), []byte(path)) {
			t.Errorf("%s of a truncated file: %v (%d values)", name, err, len(all))
		}
	}
	if err := w.Probe(0, 100); err != nil {
		t.Errorf("probing what is left: %v", err)
	}
	for _, r := range [][2]int{{-1, 0}, {1, 0}, {0, len(w.Data) + 1}} {
		if err := w.Probe(r[0], r[1]); err == nil {
			t.Errorf("probing bytes %d to %d: accepted", r[0], r[1])
		}
	}
	if _, err := weights.Open(path); err == nil {
		t.Error("the truncated file was opened again")
	}
}

// TestOpenDecidesByContent gives each format the other's name.
func TestOpenDecidesByContent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ckpt, err := os.ReadFile("testdata/new.ckpt")
	if err != nil {
		t.Fatal(err)
	}
	var st bytes.Buffer
	data := binary.LittleEndian.AppendUint16(nil, 0x3c00)
	if err := safetensors.Encode(&st, map[string]string{"k": "v"}, []safetensors.Tensor{{Name: "a", DType: 3, Shape: []int{1}, Data: data}}); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string][]byte{"a.safetensors": ckpt, "b.ckpt": st.Bytes()} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, file, 0o644); err != nil {
			t.Fatal(err)
		}
		src, err := weights.Open(path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if src.Path() != path || len(src.Names()) == 0 {
			t.Errorf("%s: path %s, tensors %q", name, src.Path(), src.Names())
		}
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	}
}

// counting returns an F16 entry whose elements count up, modulo 2039, a prime that no stride divides.
func counting(shape ...int) (weights.Entry, []float32) {
	n := tensor.Count(shape)
	b, v := make([]byte, 2*n), make([]float32, n)
	for i := range v {
		v[i] = float32(i%2039 + 1)
		binary.LittleEndian.PutUint16(b[2*i:], weights.F32ToF16(v[i]))
	}
	return entry(dtype.F16, b, shape...), v
}

// TestScanLooksOnce: a bad element is found wherever it lies, each time; a part of a mapped file that was found good is not read again.
func TestScanLooksOnce(t *testing.T) {
	t.Parallel()
	for _, at := range []int{0, 31, 32, 63, 64, 94} {
		values := make([]float32, 95)
		values[at] = float32(math.Inf(-1))
		path := saved(t, values)
		e := foundIn(t, path)
		for range 2 {
			if err := weights.Scan(e); !errors.Is(err, weights.ErrNonFinite) || !strings.Contains(err.Error(), fmt.Sprintf("element %d ", at)) {
				t.Errorf("element %d: %v", at, err)
			}
		}
	}
	path := saved(t, make([]float32, 95))
	e := foundIn(t, path)
	if err := weights.Scan(e); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = f.WriteAt([]byte{0, 0, 0x80, 0x7f}, e.Offset); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := weights.Scan(e); err != nil {
		t.Errorf("it was read again: %v", err)
	}
	if err := weights.Scan(foundIn(t, path)); !errors.Is(err, weights.ErrNonFinite) {
		t.Errorf("a new mapping: %v", err)
	}
}

// saved writes a file of one float32 tensor.
func saved(t *testing.T, values []float32) string {
	t.Helper()
	e := weights.Entry{Name: "x", DType: dtype.F32, Shape: []int{len(values)}, Data: make([]byte, 4*len(values))}
	if err := weights.FromFloat32(e.Data, values, dtype.F32); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.safetensors")
	var b bytes.Buffer
	if err := weights.Save(t.Context(), &b, nil, []weights.Saved{{Name: "x", Entry: e}}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// foundIn opens a file of saved.
func foundIn(t *testing.T, path string) weights.Entry {
	t.Helper()
	src, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	e, ok := src.Lookup("x")
	if !ok {
		t.Fatal("no tensor")
	}
	return e
}
