package ort

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"comfygo/engine/dtype"
)

// withTiles runs a test with the tiles of this CPU, and with those in portable code. Not parallel: the instruction set is the
// process's.
func withTiles(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	for name, level := range map[string]int{"AMX": 0, "emulated": emulated} {
		limitVectors(level)
		t.Run(name, func(t *testing.T) {
			switch k := Kernels(); {
			case k == "":
				t.Skip("this CPU has no AVX2")
			case level == 0 && k != "AMX with AVX-512":
				t.Skip("this CPU has no AMX")
			}
			test(t)
		})
		limitVectors(0) // after the parallel tests of these kernels
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

// TestTilesAgree checks that AMX computes what the emulation does, to the bit, with subnormal numbers too.
func TestTilesAgree(t *testing.T) {
	if Kernels() != "AMX with AVX-512" {
		t.Skip("this CPU has no AMX")
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
				if !slices.Equal(o.layerAt(t, 0, narrow), o.layerAt(t, emulated, narrow)) {
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
	withTiles(t, func(t *testing.T) {
		level := cpuLevel()
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
	withTiles(t, func(t *testing.T) {
		const rows, depth, cols = 50, 70, 33
		o := layer(rows, depth, cols, dtype.F16)
		level := cpuLevel()
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
	withTiles(t, func(t *testing.T) {
		level := cpuLevel()
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

// TestConv3x3InBfloat16 compares with float64 over operands that are rounded to bfloat16, at sizes that fill tiles and that do not.
func TestConv3x3InBfloat16(t *testing.T) {
	narrow := map[string][]int64{"narrow": {2}}
	withTiles(t, func(t *testing.T) {
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
			{1, 600, 1, 210, 100, dtype.F16, true, false}, // rows in several parts
		} {
			if level := cpuLevel(); level == emulated && c.in*c.height*c.width > 1<<20 {
				continue // takes long
			}
			t.Run(fmt.Sprint(c), func(t *testing.T) {
				o := operands{
					weightDims: []int{c.out, c.in, 3, 3}, xDims: []int{c.batch, c.in, c.height, c.width}, biasDims: []int{c.out},
					sumDims: []int{c.batch, c.out, c.height, c.width}, dtype: c.dtype,
				}
				o.fill(c.bias, c.sum)
				got := o.run(t, "Conv3x3", narrow)
				for _, v := range [][]float32{o.x, o.weight} {
					for i := range v {
						v[i] = nearestBrain(v[i])
					}
				}
				near(t, got, o.conv3x3(), 2e-5)
			})
		}
	})
	if Kernels() != "AMX with AVX-512" {
		return
	}
	o := operands{weightDims: []int{33, 35, 3, 3}, xDims: []int{2, 35, 9, 19}, biasDims: []int{33}, dtype: dtype.F16}
	o.fill(true, false)
	limitVectors(emulated)
	want := o.run(t, "Conv3x3", narrow)
	limitVectors(0)
	if !slices.Equal(o.run(t, "Conv3x3", narrow), want) {
		t.Error("the emulation differs")
	}
}

// cpuLevel is the level of withTiles that a test runs at.
func cpuLevel() int {
	if Kernels() == "AMX with AVX-512" {
		return 0
	}
	return emulated
}

// nearestBrain rounds to the nearest bfloat16, halves to even.
func nearestBrain(x float32) float32 {
	bits := math.Float32bits(x)
	return math.Float32frombits((bits + 0x7fff + bits>>16&1) &^ 0xffff)
}
