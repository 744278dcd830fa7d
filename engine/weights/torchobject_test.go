package weights_test

import (
	"bytes"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/engine/weights/pickle"
)

// TestWriteTorch: written values are read back; torch.load(weights_only=True) reads the same.
func TestWriteTorch(t *testing.T) {
	t.Parallel()
	shared, empty := tensor.New(2, 3), tensor.New(2, 0, 3)
	shared.Data[5] = 7
	d := &pickle.Dict{}
	d.Set("list", []any{shared, empty, shared})
	plain := pickle.Tuple{int64(-1), int64(1) << 40, -int64(1) << 33, new(big.Int).Lsh(big.NewInt(3), 70), 1.5, nil, true, "ä", []any{}, &pickle.Dict{}, pickle.Tuple{}}
	d.Set("plain", plain)
	var b bytes.Buffer
	if err := weights.WriteTorch(&b, d); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.pkl")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(b.Bytes(), []byte("archive/data/1")); n != 2 || bytes.Contains(b.Bytes(), []byte("archive/data/2")) {
		t.Error("equal tensors do not share their storage")
	}
	err := weights.ReadTorch(path, func(v any) error {
		list, _ := v.(*pickle.Dict).Get("list")
		got := list.([]any)[2].(weights.Entry)
		values, err := weights.Float32s(got)
		if err != nil || !slices.Equal(got.Shape, shared.Shape) || !slices.Equal(values, shared.Data) {
			t.Errorf("%v is %v, %v", got, values, err)
		}
		if again, _ := v.(*pickle.Dict).Get("plain"); !reflect.DeepEqual(again, plain) {
			t.Errorf("%v, want %v", again, plain)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := weights.WriteTorch(&b, t); err == nil {
		t.Error("a value without a form in Python was written")
	}
}

// TestReadTorchLegacy reads the container that torch.save wrote before zip.
func TestReadTorchLegacy(t *testing.T) {
	t.Parallel()
	err := weights.ReadTorch("testdata/legacy.pth", func(v any) error {
		half, _ := v.(*pickle.Dict).Get("half")
		got, err := weights.Float32s(half.(weights.Entry))
		if want := []float32{0.5, -1.25, 65504, 0x1p-24}; err != nil || !slices.Equal(got, want) {
			t.Errorf("%v, %v, want %v", got, err, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestReadTorchOfOthers: the error for a file of another kind tells the kind.
func TestReadTorchOfOthers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                   "empty",
		"\x10\x00\x00\x00\x00\x00\x00\x00{}": "a safetensors file",
		"no model at all, but some words":    "no file of torch.save",
	} {
		path := filepath.Join(t.TempDir(), "x.pt")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := weights.ReadTorch(path, func(any) error { return nil }); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, wanted %q", text, err, want)
		}
	}
}

// TestReadTorchBounds: a small pickle that describes a huge value is rejected.
func TestReadTorchBounds(t *testing.T) {
	t.Parallel()
	// A list of one integer, doubled 40 times: ] ( J0 e, then each time the list before twice in a new one.
	pkl := "\x80\x02](J\x00\x00\x00\x00eq\x00"
	for i := range 40 {
		pkl += "](h" + string(rune(i)) + "h" + string(rune(i)) + "eq" + string(rune(i+1))
	}
	path := filepath.Join(t.TempDir(), "x.pkl")
	if err := os.WriteFile(path, archive(t, pkl+".", nil), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := weights.ReadTorch(path, func(any) error { return nil }); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("%v", err)
	}
}
