// Package golden gives tests the reference values in tests/testdata/golden: internal/golden with a testing.TB.
package golden

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/engine/tensor"
	"comfygo/internal/golden"
)

// Tolerance bounds the difference to a golden.
type Tolerance = golden.Tolerance

// Diff is the difference of two vectors.
type Diff = golden.Diff

// Root returns the folder of the module, found upwards from the working directory.
func Root() (string, error) { return golden.Root() }

// Path returns the path of a file below tests/testdata/golden, such as "inputs/pub_rgb.png". Names that start with
// "demo/" are those of the demo model's goldens, in demo/testdata.
func Path(tb testing.TB, name string) string {
	tb.Helper()
	root, err := golden.Root()
	if err != nil {
		tb.Fatal(err)
	}
	if rest, ok := strings.CutPrefix(name, "demo/"); ok {
		return filepath.Join(root, "demo", "testdata", filepath.FromSlash(rest))
	}
	return filepath.Join(root, "tests", "testdata", "golden", filepath.FromSlash(name))
}

// JSON decodes NAME.json or NAME.json.gz into v.
func JSON(tb testing.TB, name string, v any) {
	tb.Helper()
	if err := golden.ReadJSON(Path(tb, name+".json"), v); err != nil {
		tb.Fatal(err)
	}
}

// Tensors is the content of a golden's safetensors file, as float32.
type Tensors struct{ *golden.Tensors }

// Load decodes NAME.json(.gz) into v, unless v is nil, and reads NAME.safetensors(.gz).
func Load(tb testing.TB, name string, v any) *Tensors {
	tb.Helper()
	if v != nil {
		JSON(tb, name, v)
	}
	t, err := golden.ReadTensors(Path(tb, name+".safetensors"))
	if err != nil {
		tb.Fatal(err)
	}
	return &Tensors{t}
}

// Get returns a tensor as float32; it fails the test if it is missing.
func (t *Tensors) Get(tb testing.TB, name string) *tensor.Tensor {
	tb.Helper()
	x, err := t.Tensors.Get(name)
	if err != nil {
		tb.Fatal(err)
	}
	return x
}

// Checkpoint returns the path of the synthetic checkpoint that the manifest models/NAME.json.gz describes. The first
// call on a machine makes it (seconds) and checks its SHA-256; packages tested in parallel wait for each other.
func Checkpoint(tb testing.TB, name string) string {
	tb.Helper()
	path, err := golden.Ensure(context.Background(), filepath.Join(filepath.Dir(Path(tb, "models/x")), name+".json.gz"))
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

// Models makes the named checkpoints and returns a models folder that holds these and no others (by hard links or
// symbolic links), for servers under test whose lists must be known.
func Models(tb testing.TB, names ...string) string {
	tb.Helper()
	dir := tb.TempDir()
	for _, name := range names {
		src := Checkpoint(tb, name)
		dst := filepath.Join(dir, filepath.Base(filepath.Dir(src)), filepath.Base(src))
		if err := os.MkdirAll(filepath.Dir(dst), 0o755); err != nil {
			tb.Fatal(err)
		}
		if os.Link(src, dst) == nil {
			continue
		}
		if err := os.Symlink(src, dst); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

// Compare fails the test, which continues, if got differs from want by more than tol; it returns the differences.
func Compare(tb testing.TB, what string, got, want []float32, tol Tolerance) Diff {
	tb.Helper()
	if tol == (Tolerance{}) {
		tb.Fatalf("%s: comparing without a tolerance", what)
	}
	if len(got) != len(want) {
		tb.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return Diff{RMSRel: math.Inf(1), MaxAbs: math.Inf(1)}
	}
	d := golden.Difference(got, want)
	if !tol.Within(d) {
		tb.Errorf("%s: %v; allowed rms_rel %g, max_abs %g", what, d, tol.RMSRel, tol.MaxAbs)
	}
	return d
}

// Difference compares got with want; see internal/golden.
func Difference(got, want []float32) Diff { return golden.Difference(got, want) }

// Strided returns every k-th value from the first on: what names that end in _sK hold.
func Strided(v []float32, k int) []float32 { return golden.Strided(v, k) }

// SHA256 returns the digest of the little-endian bytes of v in hexadecimal, as the goldens' JSON states it.
func SHA256(v []float32) string { return golden.SHA256(v) }

// Uniform is the recipe uniform_array: values (n+bias)*amp*2^-23 with n drawn from 24 signed bits by name.
func Uniform(name string, amp float64, bias int64, shape ...int) *tensor.Tensor {
	return golden.Uniform(name, amp, bias, shape...)
}

// Normal is the recipe normal_array: values of unit variance.
func Normal(name string, shape ...int) *tensor.Tensor { return golden.Normal(name, shape...) }

// Image is the recipe image_array: a patterned [b,h,w,c] image in 0…1.
func Image(name string, b, h, w, c int) *tensor.Tensor { return golden.Image(name, b, h, w, c) }

// Scale multiplies a recipe's values by a factor in float32, as the goldens' makers did, and returns t.
func Scale(t *tensor.Tensor, factor float32) *tensor.Tensor { return golden.Scale(t, factor) }
