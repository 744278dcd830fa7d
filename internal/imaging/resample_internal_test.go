package imaging

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// TestVectors wants what the vectors compute equal to what is computed one by one, at lengths around theirs.
func TestVectors(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	special := []float32{0, 1, -1, 2, 1e30, -1e30, 1.0 / 255, 0.9999999, 0.5, float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), math.SmallestNonzeroFloat32}
	for _, n := range []int{0, 1, 31, 32, 33, 64, 95, 200} {
		values, pix := make([]float32, n), make([]byte, n)
		for i := range values {
			values[i], pix[i] = rng.Float32()*1.2-0.1, byte(rng.UintN(256))
			if i < len(special) {
				values[i] = special[i]
			}
		}
		got, floats := make([]byte, n), make([]float32, n)
		setBytes(got, values)
		setValues(floats, pix)
		for i := range values {
			if want := toByte(values[i]); got[i] != want {
				t.Errorf("%d values: %v becomes %d, want %d", n, values[i], got[i], want)
			}
			if want := byteValues[pix[i]]; floats[i] != want {
				t.Errorf("%d bytes: %d becomes %v, want %v", n, pix[i], floats[i], want)
			}
		}
	}
	for _, size := range [][4]int{{1, 1, 3, 2}, {2, 1, 5, 1}, {7, 3, 5, 2}, {9, 2, 40, 5}, {33, 5, 11, 9}, {100, 4, 3, 2}, {65, 40, 64, 7}, {5, 70, 5, 2}} {
		for _, f := range []Filter{Box, Bilinear, Bicubic, Lanczos} {
			t.Run(fmt.Sprint(size, f), func(t *testing.T) {
				t.Parallel()
				w, h, outW, outH := size[0], size[1], size[2], size[3]
				pix := make([]byte, w*h*3)
				for i := range pix {
					pix[i] = [...]byte{0, 255, byte(i * 37)}[i%5%3]
				}
				across, down := newKernel(w, outW, f), newKernel(h, outH, f)
				want := make([]byte, outW*h*3)
				resampleRowsInto(want, pix, w, h, 3, across)
				if got := resampleRows(pix, w, h, 3, across); !bytes.Equal(got, want) {
					t.Error("rows differ")
				}
				got := resampleColumns(pix, w, 3, down)
				for y := range outH {
					for x := range w * 3 {
						if want := weighBytes(pix[down.first[y]*w*3+x:], w*3, down.weights[y]); got[y*w*3+x] != want {
							t.Fatalf("row %d, byte %d is %d, want %d", y, x, got[y*w*3+x], want)
						}
					}
				}
			})
		}
	}
}
