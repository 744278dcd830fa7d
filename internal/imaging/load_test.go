package imaging_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/internal/imaging/codec"
	"comfygo/internal/memory"
)

// load decodes a file with the limits of the server.
func load(data []byte) (*imaging.Loaded, error) {
	return imaging.Load(context.Background(), data, codec.DefaultLimits, memory.Process)
}

// recorded is ComfyUI's result for a file.
type recorded struct {
	Error       string
	Image, Mask struct {
		Shape  []int
		Values string
	}
}

// tolerance is how far values may be from the recording, in steps of 1/65535. The rest is equal: it is rounded once, to a
// step.
func tolerance(name string) float64 {
	const byteStep = 257
	switch {
	case strings.HasPrefix(name, "sub") && strings.HasSuffix(name, "19.jpg"),
		strings.HasPrefix(name, "sub") && strings.HasSuffix(name, "17.jpg"):
		return 2 * byteStep // odd heights: swscale's vertical filter rounds in 16-bit words
	case strings.HasPrefix(name, "sub0"):
		return byteStep // one value in a thousand
	case strings.HasPrefix(name, "lossy") && strings.Contains(name, "x19"), strings.HasPrefix(name, "lossy") && strings.Contains(name, "x17"):
		return 32 // weights of an odd height have 12 bits there
	case strings.HasSuffix(name, ".avif"):
		return 20 * byteStep // libavif spreads chroma in another way
	}
	return 1
}

// TestLoadEqualsComfyUI compares files of all formats, whole and damaged, with the recordings of testdata/recordload.py.
func TestLoadEqualsComfyUI(t *testing.T) {
	t.Parallel()
	wanted := readWanted[recorded](t, "testdata/load.json.gz")
	if len(wanted) < 120 {
		t.Fatalf("%d files", len(wanted))
	}
	for name, want := range wanted {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(filepath.Join("testdata/load", name))
			if err != nil {
				t.Fatal(err)
			}
			l, err := load(data)
			if want.Error != "" {
				if err == nil {
					t.Errorf("ComfyUI fails with %s, here it loads", want.Error)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			columns := l.Images.Shape[2]
			if strings.Contains(name, "_33x") && (strings.HasPrefix(name, "lossy") || strings.HasSuffix(name, ".avif")) {
				columns -= 2 // upstream fills the last column with black, which colors the one before
			}
			sameValues(t, "image", l.Images, want.Image.Shape, want.Image.Values, tolerance(name), columns)
			mask := tensor.New(l.Images.Shape[0], 64, 64)
			if l.Alpha != nil {
				for i, a := range l.Alpha.Data {
					l.Alpha.Data[i] = 1 - a
				}
				mask = l.Alpha
			}
			sameValues(t, "mask", mask, want.Mask.Shape, want.Mask.Values, 1, columns)
		})
	}
}

// sameValues compares the first columns of a tensor with values in steps of 1/65535.
func sameValues(t *testing.T, what string, have *tensor.Tensor, shape []int, values string, tolerance float64, columns int) {
	t.Helper()
	if !slices.Equal(have.Shape, shape) {
		t.Fatalf("%s: the shape is %v, want %v", what, have.Shape, shape)
	}
	want, err := base64.StdEncoding.DecodeString(values)
	if err != nil || len(want) != 2*len(have.Data) {
		t.Fatalf("%s: %d bytes for %v, %v", what, len(want), shape, err)
	}
	per := 1
	if len(shape) == 4 {
		per = shape[3]
	}
	most, at := 0.0, 0
	for i, v := range have.Data {
		if shape[2] != 64 && i/per%shape[2] >= columns {
			continue
		}
		d := math.Abs(math.Max(0, math.Min(float64(v), 1))*65535 - float64(binary.LittleEndian.Uint16(want[2*i:])))
		if d > most {
			most, at = d, i
		}
	}
	if most > tolerance {
		t.Errorf("%s: value %d differs by %.1f of 65535, allowed %g", what, at, most, tolerance)
	}
}
