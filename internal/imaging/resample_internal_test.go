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

// planar is a view's content, channel after channel.
func planar(v view) view {
	out := view{data: make([]float32, v.n*v.c*v.h*v.w), n: v.n, c: v.c, h: v.h, w: v.w, sn: v.c * v.h * v.w, sc: v.h * v.w, sh: v.w, sw: 1}
	out.copyFrom(v)
	return out
}

// TestInterleaved wants images of pixels scaled as those of planes are, which no vectors scale but across lines of a plane.
func TestInterleaved(t *testing.T) {
	t.Parallel()
	for _, c := range []int{1, 3, 4} {
		for _, size := range [][4]int{{1, 1, 3, 2}, {2, 1, 5, 1}, {7, 3, 5, 2}, {9, 2, 40, 5}, {33, 5, 11, 9}, {12, 9, 3, 2}} {
			for _, method := range []string{"nearest-exact", "bilinear", "bicubic", "area"} {
				w, h, outW, outH := size[0], size[1], size[2], size[3]
				src := view{data: make([]float32, 2*c*w*h), n: 2, c: c, h: h, w: w, sn: c * w * h, sc: 1, sh: w * c, sw: c}
				for i := range src.data {
					src.data[i] = float32(i%17)/3 - 1
				}
				got := view{data: make([]float32, 2*c*outW*outH), n: 2, c: c, h: outH, w: outW, sn: c * outW * outH, sc: 1, sh: outW * c, sw: c}
				want := planar(got)
				if err := upscale(want, planar(src), method, "disabled"); err != nil {
					t.Fatal(err)
				}
				if err := upscale(got, src, method, "disabled"); err != nil {
					t.Fatal(err)
				}
				for i, v := range planar(got).data {
					// sums that are rounded twice in the one
					if d := math.Abs(float64(v - want.data[i])); d > 5e-7 {
						t.Fatalf("%s %v, %d channels: value %d is %v, want %v", method, size, c, i, v, want.data[i])
					}
				}
			}
		}
	}
}

// TestAdding wants sums by vectors equal to those one by one.
func TestAdding(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 7, 8, 9, 30, 64} {
		a, b, to, pairs := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
		for i := range a {
			a[i], b[i], to[i], pairs[i] = float32(i)/7, float32(i*i)/3, 0.5, 0.25
		}
		addTimes(to, a, 0.3)
		addSymmetric(pairs, []float32{0.3, 0, 0.3}, func(k int) []float32 { return [][]float32{a, a, b}[k] })
		for i := range a {
			if want := 0.5 + float32(a[i]*0.3); to[i] != want {
				t.Errorf("value %d of %d is %v, want %v", i, n, to[i], want)
			}
			if want := float32(0.25+float32(a[i]*0)) + float32((a[i]+b[i])*0.3); pairs[i] != want {
				t.Errorf("sum %d of %d is %v, want %v", i, n, pairs[i], want)
			}
		}
	}
}
