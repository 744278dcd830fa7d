package weights_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

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

func TestBlocked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		shape []int
		block int
	}{
		{[]int{16, 16, 3, 3}, 16},
		{[]int{64, 32, 3, 3}, 8},
		{[]int{32, 48, 1, 1}, 16},
		{[]int{4, 3, 3, 3}, 16},
		{[]int{20, 33, 2, 5}, 16},
		{[]int{320, 320, 3, 3}, 16},
		{[]int{5, 7, 1, 1}, 1},
	} {
		e, src := counting(c.shape...)
		dst := make([]float32, weights.BlockedLen(c.shape, c.block))
		for i := range dst {
			dst[i] = -1
		}
		if err := weights.Blocked(dst, e, c.block); err != nil {
			t.Fatal(err)
		}
		at, b := 0, c.block
		O, I, K := c.shape[0], c.shape[1], c.shape[2]*c.shape[3]
		for o0 := 0; o0 < O; o0 += b {
			for i0 := 0; i0 < I; i0 += b {
				for k := range K {
					for i := i0; i < i0+b; i++ {
						for o := o0; o < o0+b; o++ {
							want := float32(0)
							if o < O && i < I {
								want = src[(o*I+i)*K+k]
							}
							if dst[at] != want {
								t.Fatalf("%v by %d: element %d is %g, want %g", c.shape, b, at, dst[at], want)
							}
							at++
						}
					}
				}
			}
		}
		if at != len(dst) {
			t.Errorf("%v by %d: %d elements, want %d", c.shape, b, len(dst), at)
		}
	}
}

func TestTransposed(t *testing.T) {
	t.Parallel()
	for _, shape := range [][]int{{1, 1}, {3, 5}, {64, 96}, {33, 31}, {320, 768}, {1, 100}, {100, 1}, {40, 24, 1, 1}} {
		e, src := counting(shape...)
		dst := make([]float32, len(src))
		if err := weights.Transposed(dst, e); err != nil {
			t.Fatal(err)
		}
		n, k := shape[0], len(src)/shape[0]
		for i := range n {
			for j := range k {
				if dst[j*n+i] != src[i*k+j] {
					t.Fatalf("%v: [%d,%d] is %g, want %g", shape, j, i, dst[j*n+i], src[i*k+j])
				}
			}
		}
	}
}

func TestLayoutRefuses(t *testing.T) {
	t.Parallel()
	e, _ := counting(4, 4, 3, 3)
	short := e
	short.Data = e.Data[2:]
	odd := e
	odd.DType = dtype.Invalid
	for name, err := range map[string]error{
		"blocked size":     weights.Blocked(make([]float32, 144), e, 16),
		"blocked zero":     weights.Blocked(nil, e, 0),
		"blocked short":    weights.Blocked(make([]float32, 144), short, 4),
		"blocked type":     weights.Blocked(make([]float32, 144), odd, 4),
		"transposed size":  weights.Transposed(make([]float32, 143), e),
		"transposed short": weights.Transposed(make([]float32, 144), short),
		"transposed type":  weights.Transposed(make([]float32, 144), odd),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestScan(t *testing.T) {
	t.Parallel()
	le := binary.LittleEndian
	bits := map[dtype.DType]struct{ largest, bad []byte }{
		dtype.F64:    {le.AppendUint64(nil, math.Float64bits(-math.MaxFloat64)), le.AppendUint64(nil, math.Float64bits(math.Inf(-1)))},
		dtype.F32:    {le.AppendUint32(nil, math.Float32bits(math.MaxFloat32)), le.AppendUint32(nil, 0x7fc00001)},
		dtype.F16:    {[]byte{0xff, 0xfb}, []byte{0x00, 0x7c}},
		dtype.BF16:   {[]byte{0x7f, 0x7f}, []byte{0x81, 0xff}},
		dtype.F8E4M3: {[]byte{0xfe}, []byte{0x7f}},
		dtype.F8E5M2: {[]byte{0x7b}, []byte{0xfc}},
	}
	for d, c := range bits {
		t.Run(d.String(), func(t *testing.T) {
			t.Parallel()
			const n = 1<<18 + 3
			data := make([]byte, 0, n*d.Size())
			for range n {
				data = append(data, c.largest...)
			}
			e := entry(d, data, n)
			if err := weights.Scan(e); err != nil {
				t.Fatalf("largest finite numbers: %v", err)
			}
			for _, at := range []int{n - 1, n / 2, 5, 0} { // each found although later ones are bad too
				copy(data[at*d.Size():], c.bad)
				err := weights.Scan(e)
				if !errors.Is(err, weights.ErrNonFinite) || !strings.Contains(err.Error(), fmt.Sprintf("element %d ", at)) {
					t.Errorf("bad element %d: %v", at, err)
				}
			}
		})
	}
	if err := weights.Scan(entry(dtype.I16, []byte{0xff, 0x7f}, 1)); err != nil {
		t.Errorf("integers: %v", err)
	}
	if err := weights.Scan(entry(dtype.F16, []byte{0}, 1)); err == nil {
		t.Error("data that does not fill the shape was scanned")
	}
}

func BenchmarkBlocked(b *testing.B) {
	e, _ := counting(640, 640, 3, 3)
	dst := make([]float32, weights.BlockedLen(e.Shape, 16))
	b.SetBytes(int64(4 * len(dst)))
	for b.Loop() {
		if err := weights.Blocked(dst, e, 16); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTransposed(b *testing.B) {
	e, _ := counting(1280, 2560)
	dst := make([]float32, e.Count())
	b.SetBytes(int64(4 * len(dst)))
	for b.Loop() {
		if err := weights.Transposed(dst, e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScan(b *testing.B) {
	e, _ := counting(1280, 2560)
	b.SetBytes(int64(len(e.Data)))
	for b.Loop() {
		if err := weights.Scan(e); err != nil {
			b.Fatal(err)
		}
	}
}
