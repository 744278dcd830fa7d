package nn_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/nn"
	"comfygo/engine/weights"
)

func entry(shape ...int) (weights.Entry, []float32) {
	n := 1
	for _, d := range shape {
		n *= d
	}
	vals := make([]float32, n)
	raw := make([]byte, 4*n)
	for i := range vals {
		vals[i] = float32(i%1013) - 500
		binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(vals[i]))
	}
	return weights.Entry{Name: fmt.Sprint("w", shape), DType: dtype.F32, Shape: shape, Data: raw}, vals
}

func run(t *testing.T, s nn.Source) []float32 {
	t.Helper()
	dst := make([]byte, s.Size())
	for i := range dst {
		dst[i] = 0xAA // bytes that a forgotten element would show
	}
	for _, task := range s.Tasks(dst, nn.Kernels{}) {
		if err := task(); err != nil {
			t.Fatal(err)
		}
	}
	out := make([]float32, len(dst)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(dst[4*i:]))
	}
	return out
}

func TestTransposed(t *testing.T) {
	t.Parallel()
	for _, shape := range [][]int{{1, 1}, {3, 5}, {64, 7}, {130, 33}, {8, 6, 1, 1}} {
		e, v := entry(shape...)
		got := run(t, nn.Layout{Entry: e, Form: nn.Transposed, DType: dtype.F32})
		n, k := shape[0], shape[1]
		for i := range n {
			for j := range k {
				if got[j*n+i] != v[i*k+j] {
					t.Fatalf("%v: element %d,%d is %v, want %v", shape, i, j, got[j*n+i], v[i*k+j])
				}
			}
		}
	}
}

func TestBlocked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		shape []int
		block int
	}{{[]int{16, 16, 3, 3}, 16}, {[]int{32, 48, 1, 1}, 16}, {[]int{3, 16, 3, 3}, 16}, {[]int{20, 8, 3, 3}, 8}} {
		e, v := entry(c.shape...)
		got := run(t, nn.Layout{Entry: e, Form: nn.Blocked, DType: dtype.F32, Block: c.block})
		o, in, kh, kw, b := c.shape[0], c.shape[1], c.shape[2], c.shape[3], c.block
		seen := 0
		for ob := range (o + b - 1) / b {
			for ib := range in / b {
				for y := range kh {
					for x := range kw {
						for bi := range b {
							for bo := range b {
								var want float32
								if ob*b+bo < o {
									want = v[(((ob*b+bo)*in+ib*b+bi)*kh+y)*kw+x]
								}
								if got[seen] != want {
									t.Fatalf("%v block %d: element %d is %v, want %v", c.shape, b, seen, got[seen], want)
								}
								seen++
							}
						}
					}
				}
			}
		}
		if seen != len(got) {
			t.Fatalf("%v: %d elements, %d checked", c.shape, len(got), seen)
		}
	}
}

// TestPhase compares the four 2x2 convolutions with the direct form, nearest doubling and a 3x3 convolution, on a
// image of integers small enough for sums to be exact.
func TestPhase(t *testing.T) {
	t.Parallel()
	e, k := entry(2, 1, 3, 3)
	const size = 5
	at := func(y, x int) float32 {
		if y < 0 || x < 0 || y >= size || x >= size {
			return 0
		}
		return float32(y*size + x + 1)
	}
	for row := range 2 {
		for col := range 2 {
			w := run(t, nn.Layout{Entry: e, Form: nn.Phase, DType: dtype.F32, Row: row, Col: col})
			for o := range 2 {
				for y := range size {
					for x := range size {
						var got, want float32
						for dy := range 2 {
							for dx := range 2 {
								got += w[o*4+dy*2+dx] * at(y+dy-1+row, x+dx-1+col)
							}
						}
						for dy := range 3 {
							for dx := range 3 {
								py, px := 2*y+row+dy-1, 2*x+col+dx-1
								if py >= 0 && px >= 0 && py < 2*size && px < 2*size {
									want += k[o*9+dy*3+dx] * at(py/2, px/2)
								}
							}
						}
						if got != want {
							t.Fatalf("phase %d%d at %d,%d: %v, want %v", row, col, y, x, got, want)
						}
					}
				}
			}
		}
	}
}

func TestPlainNarrowsAndPadded(t *testing.T) {
	t.Parallel()
	e, v := entry(5)
	got := run(t, nn.Layout{Entry: e, Form: nn.Padded, DType: dtype.F32, Block: 8})
	for i, x := range got {
		want := float32(0)
		if i < len(v) {
			want = v[i]
		}
		if x != want {
			t.Fatalf("padded element %d is %v, want %v", i, x, want)
		}
	}
	s := nn.Layout{Entry: e, Form: nn.Plain, DType: dtype.F16}
	dst := make([]byte, s.Size())
	for _, task := range s.Tasks(dst, nn.Kernels{}) {
		if err := task(); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range v {
		if x := weights.F16ToF32(binary.LittleEndian.Uint16(dst[2*i:])); x != want {
			t.Fatalf("element %d is %v, want %v", i, x, want)
		}
	}
}

func TestWrongRoomIsAnError(t *testing.T) {
	t.Parallel()
	e, _ := entry(4)
	for _, task := range (nn.Layout{Entry: e, DType: dtype.F32}).Tasks(make([]byte, 3), nn.Kernels{}) {
		if err := task(); err == nil {
			t.Fatal("no error")
		}
	}
}

// TestBlockedFewChannels checks the layout of a first layer: fewer input channels than a block.
func TestBlockedFewChannels(t *testing.T) {
	t.Parallel()
	e, v := entry(32, 4, 3, 3)
	got := run(t, nn.Layout{Entry: e, Form: nn.Blocked, DType: dtype.F32, Block: 16})
	seen := 0
	for ob := range 2 {
		for i := range 4 {
			for tap := range 9 {
				for bo := range 16 {
					if want := v[((ob*16+bo)*4+i)*9+tap]; got[seen] != want {
						t.Fatalf("element %d is %v, want %v", seen, got[seen], want)
					}
					seen++
				}
			}
		}
	}
}

func TestLast(t *testing.T) {
	t.Parallel()
	for _, shape := range [][]int{{1, 1, 1, 1}, {3, 5, 3, 3}, {130, 4, 3, 3}} {
		e, v := entry(shape...)
		got := run(t, nn.Layout{Entry: e, Form: nn.Last, DType: dtype.F32})
		in, taps := shape[1], shape[2]*shape[3]
		for i := range v {
			o, c, tap := i/(in*taps), i/taps%in, i%taps
			if x := got[(o*taps+tap)*in+c]; x != v[i] {
				t.Fatalf("%v: output %d, input %d, tap %d is %v, want %v", shape, o, c, tap, x, v[i])
			}
		}
	}
}

// TestStack concatenates matrices in the requested element type.
func TestStack(t *testing.T) {
	t.Parallel()
	a, x := entry(3, 5)
	b, y := entry(2, 5)
	s := nn.Stack{{Entry: a, DType: dtype.F16}, {Entry: b, DType: dtype.F16}}
	if n := len(s.Entries()); s.Size() != 25*2 || n != 2 || s.Variable() {
		t.Errorf("%d bytes of %d tensors", s.Size(), n)
	}
	if _, ok := s.InPlace(); ok {
		t.Error("its bytes are said to lie in a file")
	}
	for i, v := range run(t, s.As(dtype.F32)) {
		if want := append(x[:15:15], y...)[i]; v != want {
			t.Errorf("element %d is %v, want %v", i, v, want)
		}
	}
	if other := (nn.Stack{s[1], s[0]}); other.Key() == s.Key() {
		t.Error("another order has the same key")
	}
	for _, task := range s.Tasks(make([]byte, 20), nn.Kernels{}) {
		if task() == nil {
			t.Error("too little room: no error")
		}
	}
}
