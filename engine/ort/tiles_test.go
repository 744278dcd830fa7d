package ort

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"comfygo/engine/dtype"
)

// kernelsOf are the kernels of this CPU and the level of limitVectors at which portable code computes the same.
var kernelsOf = map[string]int{withAMX: emulated, withBF16: emulatedVectors}

// withTiles runs a test with the tiles of this CPU, and with those in portable code; exact leaves out those that do not split numbers of float32. Not
// parallel: the instruction set is the process's.
func withTiles(t *testing.T, exact bool, test func(t *testing.T, level int)) {
	t.Helper()
	for name, portable := range kernelsOf {
		if exact && name != withAMX {
			continue
		}
		for _, level := range []int{0, portable} {
			limitVectors(level)
			t.Run(fmt.Sprintf("%s level %d", name, level), func(t *testing.T) {
				switch k := Kernels(); {
				case k == "":
					t.Skip("this CPU has no AVX2")
				case level == 0 && k != name:
					t.Skip("this CPU has other tiles")
				}
				test(t, level)
			})
			limitVectors(0) // after the parallel tests of these kernels
		}
	}
}

// TestEmulatedTiles tests the operators with tiles in portable code; TestKernels does so with AMX.
func TestEmulatedTiles(t *testing.T) {
	limitVectors(emulated)
	t.Run("operators", func(t *testing.T) {
		if Kernels() == "" {
			t.Skip("this CPU has no AVX2")
		}
		for name, test := range map[string]func(*testing.T){"Linear": testLinear, "remembers": testLinearRemembers} {
			t.Run(name, test)
		}
	})
	limitVectors(0) // after the parallel tests
}

// layer makes the operands of a linear layer, with a bias.
func layer(rows, depth, cols int, d dtype.DType) *operands {
	o := &operands{weightDims: []int{cols, depth}, xDims: []int{rows, depth}, biasDims: []int{cols}, dtype: d}
	o.fill(true, false)
	return o
}

func (o *operands) layerAt(t *testing.T, level int, narrow int64) []float32 {
	t.Helper()
	defer limitVectors(0)
	limitVectors(level)
	return o.run(t, "Linear", map[string][]int64{"gated": {0}, "remember": {0}, "narrow": {narrow}})
}

// TestTilesAgree checks that the CPU computes what the emulation does, to the bit, with subnormal numbers too.
func TestTilesAgree(t *testing.T) {
	portable, ok := kernelsOf[Kernels()]
	if !ok {
		t.Skip("this CPU has no tiles")
	}
	for _, d := range []dtype.DType{dtype.F32, dtype.F16, dtype.BF16} {
		for _, size := range [][3]int{{1, 1, 1}, {16, 32, 32}, {17, 33, 47}, {70, 300, 65}, {33, 1300, 5}} {
			for _, narrow := range []int64{0, 2} {
				o := layer(size[0], size[1], size[2], d)
				for i := range o.x {
					switch i % 7 {
					case 3:
						o.x[i] *= 1e-37
					case 5:
						o.x[i] = math.SmallestNonzeroFloat32 * float32(i)
					}
				}
				if !slices.Equal(o.layerAt(t, 0, narrow), o.layerAt(t, portable, narrow)) {
					t.Errorf("%v %v narrow %d: the emulation differs", d, size, narrow)
				}
			}
		}
	}
}

// off is the root mean square of the errors by that of the values, and the largest error by it.
func off(got []float32, want []float64) (rms, largest float64) {
	var square, errors float64
	for i, v := range want {
		d := float64(got[i]) - v
		square += v * v
		errors += d * d
		largest = max(largest, math.Abs(d))
	}
	root := math.Sqrt(square / float64(len(want)))
	return math.Sqrt(errors/float64(len(want))) / root, largest / root
}

// TestTilesAreAsExact compares errors against float64 with those of float32 products: no more than twice as large.
func TestTilesAreAsExact(t *testing.T) {
	withTiles(t, true, func(t *testing.T, level int) {
		for _, d := range []dtype.DType{dtype.F32, dtype.F16, dtype.BF16} {
			for _, depth := range []int{320, 1280, 2600} {
				o := layer(40, depth, 40, d)
				want := o.linear(40, depth, 40, false)
				rms, largest := off(o.layerAt(t, level, 0), want)
				plainRMS, plainLargest := off(o.layerAt(t, widths["AVX-512"], 0), want)
				t.Logf("%v depth %d: %.3g (largest %.3g), float32 products %.3g (%.3g)", d, depth, rms, largest, plainRMS, plainLargest)
				if rms > 2*plainRMS || largest > 2*plainLargest {
					t.Errorf("%v depth %d: an error of %.3g (largest %.3g), that of float32 products is %.3g (%.3g)", d, depth, rms, largest, plainRMS, plainLargest)
				}
			}
		}
	})
}

// TestTilesOddNumbers checks numbers that cannot be split: rows with infinities and NaN give what products of float32 give, the
// other rows nothing else; subnormal numbers may become zeros.
func TestTilesOddNumbers(t *testing.T) {
	withTiles(t, true, func(t *testing.T, level int) {
		const rows, depth, cols = 50, 70, 33
		o := layer(rows, depth, cols, dtype.F16)
		for i := range depth {
			o.x[2*depth+i] = 1e-42
		}
		calm := o.layerAt(t, level, 0)
		o.x[7] = float32(math.Inf(1))
		o.x[40*depth+69] = float32(math.NaN())
		o.x[41*depth] = math.MaxFloat32
		got, want := o.layerAt(t, level, 0), o.layerAt(t, widths["AVX-512"], 0)
		for i := range got {
			switch row := i / cols; {
			case row == 0 && got[i] != want[i], row == 40 && got[i] == got[i]:
				t.Fatalf("row %d: value %v, want %v", row, got[i], want[i])
			case row == 2 && got[i] != o.bias[i%cols]:
				t.Fatalf("a row of subnormal numbers gives %v, want the bias %v", got[i], o.bias[i%cols])
			case row == 41 && math.Abs(float64(got[i]/want[i])-1) > 1e-6:
				t.Fatalf("a large number gives %v, want %v", got[i], want[i])
			case row != 0 && row != 40 && row != 41 && math.Abs(float64(got[i]-calm[i])) > 1e-4:
				t.Fatalf("row %d: %v beside odd rows, %v without", row, got[i], calm[i])
			}
		}
	})
}

// TestTilesInBfloat16 compares one product for each pair of numbers with float64 over operands that are rounded to bfloat16.
func TestTilesInBfloat16(t *testing.T) {
	withTiles(t, false, func(t *testing.T, level int) {
		for _, d := range []dtype.DType{dtype.F32, dtype.F16, dtype.BF16} {
			for _, size := range [][3]int{{1, 5, 3}, {40, 320, 70}, {130, 1300, 33}} {
				t.Run(fmt.Sprint(d, size), func(t *testing.T) {
					o := layer(size[0], size[1], size[2], d)
					got := o.layerAt(t, level, 2)
					for _, v := range [][]float32{o.x, o.weight} {
						for i := range v {
							v[i] = nearestBrain(v[i])
						}
					}
					near(t, got, o.linear(size[0], size[1], size[2], false), 3e-5)
				})
			}
		}
	})
}

// TestConv3x3InBfloat16 compares with float64 at sizes that fill tiles and that do not. Plain sums are those of operands that are rounded to
// bfloat16; with Winograd's algorithm, by which AVX512-BF16 multiplies, numbers are rounded after the transforms, and errors are bounded.
func TestConv3x3InBfloat16(t *testing.T) {
	for form, most := range map[int64]float64{2: 0.006, 3: 0.02} { // 2 and 8 times the error of plain sums of rounded operands, 0.003
		narrow := map[string][]int64{"narrow": {form}}
		withTiles(t, false, func(t *testing.T, level int) {
			plain := level == emulated || Kernels() == withAMX
			for _, c := range []struct {
				batch, in, out, height, width int
				dtype                         dtype.DType
				bias, sum                     bool
			}{
				{1, 1, 1, 1, 1, dtype.F32, false, false},
				{2, 32, 32, 8, 8, dtype.F16, true, true},
				{3, 17, 13, 5, 3, dtype.BF16, false, true},
				{1, 70, 45, 7, 40, dtype.F16, true, false},
				{2, 40, 33, 9, 16, dtype.F32, true, true},
				{1, 300, 14, 16, 16, dtype.F16, false, false}, // several chains of sums
				{1, 600, 1, 210, 100, dtype.F16, true, false}, // rows in several parts
			} {
				if level != 0 && c.in*c.height*c.width > 1<<20 {
					continue // takes long
				}
				t.Run(fmt.Sprint(form, c), func(t *testing.T) {
					o := operands{
						weightDims: []int{c.out, c.in, 3, 3}, xDims: []int{c.batch, c.in, c.height, c.width}, biasDims: []int{c.out},
						sumDims: []int{c.batch, c.out, c.height, c.width}, dtype: c.dtype,
					}
					o.fill(c.bias, c.sum)
					got := o.run(t, "Conv3x3", narrow)
					if !plain {
						if rms, _ := off(got, o.conv3x3()); rms > most {
							t.Errorf("a relative error of %.3g, at most %.3g is allowed", rms, most)
						}
						return
					}
					for _, v := range [][]float32{o.x, o.weight} {
						for i := range v {
							v[i] = nearestBrain(v[i])
						}
					}
					near(t, got, o.conv3x3(), 2e-5)
				})
			}
		})
	}
}

// TestConv3x3InBfloat16Agrees checks that the CPU computes what the emulation does, to the bit, twice.
func TestConv3x3InBfloat16Agrees(t *testing.T) {
	portable, ok := kernelsOf[Kernels()]
	if !ok {
		t.Skip("this CPU has no tiles")
	}
	for _, form := range []int64{2, 3} {
		for _, size := range [][]int{{2, 35, 9, 19}, {2, 300, 8, 8}, {1, 20, 33, 30}} {
			narrow := map[string][]int64{"narrow": {form}}
			o := operands{weightDims: []int{33, size[1], 3, 3}, xDims: size, biasDims: []int{33}, dtype: dtype.F16}
			o.fill(true, false)
			limitVectors(portable)
			want := o.run(t, "Conv3x3", narrow)
			limitVectors(0)
			for range 2 {
				if !slices.Equal(o.run(t, "Conv3x3", narrow), want) {
					t.Errorf("%v form %d: the emulation differs", size, form)
				}
			}
		}
	}
}

// nearestBrain rounds to the nearest bfloat16, halves to even.
func nearestBrain(x float32) float32 {
	bits := math.Float32bits(x)
	return math.Float32frombits((bits + 0x7fff + bits>>16&1) &^ 0xffff)
}
