package ort

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"comfygo/engine/dtype"
)

// operands are the inputs of an operator that is tested: the weight, x, and optional bias and sum.
type operands struct {
	weight, x, bias, sum                 []float32 // the weight as its type rounds it
	weightDims, xDims, biasDims, sumDims []int
	stored                               []byte
	threads                              int // of the session; 0 means two
	dtype                                dtype.DType
}

// fill makes operands with numbers from a fixed seed.
func (o *operands) fill(withBias, withSum bool) {
	r := rand.New(rand.NewPCG(1, 2))
	numbers := func(dims []int) []float32 {
		n := 1
		for _, d := range dims {
			n *= d
		}
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(r.NormFloat64())
		}
		return v
	}
	o.weight, o.x = numbers(o.weightDims), numbers(o.xDims)
	for i, v := range o.weight {
		switch o.dtype {
		case dtype.F32:
			o.stored = binary.LittleEndian.AppendUint32(o.stored, math.Float32bits(v))
		case dtype.BF16:
			bits := uint16(math.Float32bits(v) >> 16)
			o.stored, o.weight[i] = binary.LittleEndian.AppendUint16(o.stored, bits), brain(bits)
		default:
			bits := uint16(0x3000 | i*7919%1024 | i%3<<15)
			o.stored, o.weight[i] = binary.LittleEndian.AppendUint16(o.stored, bits), half(bits)
		}
	}
	if withBias {
		o.bias = numbers(o.biasDims)
	}
	if withSum {
		o.sum = numbers(o.sumDims)
	}
}

// run computes the operator.
func (o *operands) run(t testing.TB, op string, attrs map[string][]int64) []float32 {
	t.Helper()
	s, values := o.session(t, op, attrs)
	return compute(t, s, values)
}

// compute runs a session with an output y.
func compute(t testing.TB, s *Session, values map[string]Value) []float32 {
	t.Helper()
	out, err := s.Run(t.Context(), values, nil)
	if err != nil {
		t.Fatal(err)
	}
	y, err := out["y"].Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return y
}

// session makes a session of the operator, and its inputs.
func (o *operands) session(t testing.TB, op string, attrs map[string][]int64) (*Session, map[string]Value) {
	t.Helper()
	in, values := []string{"w", "x"}, map[string]Value{"x": Floats(o.x, o.xDims...)}
	g := graph{inits: []stored{{"w", o.dtype, o.weightDims, o.stored, memoryLocation(t)}}, outputs: []wireTensor{tensorOf("y")}}
	g.inputs = []wireTensor{tensorOf("x", int64s(o.xDims)...)}
	for _, v := range []struct {
		name string
		data []float32
		dims []int
	}{{"bias", o.bias, o.biasDims}, {"sum", o.sum, o.sumDims}} {
		if v.data == nil {
			in = append(in, "")
			continue
		}
		in = append(in, v.name)
		g.inputs = append(g.inputs, tensorOf(v.name, int64s(v.dims)...))
		values[v.name] = Floats(v.data, v.dims...)
	}
	g.nodes = []wireNode{{op: op, domain: "comfygo", in: in, out: []string{"y"}, ints: attrs}}
	g.outputs[0].open = true
	spec := g.spec(op)
	if o.threads > 0 {
		spec.Threads = o.threads
	}
	return newSession(t, spec), values
}

func int64s(v []int) []int64 {
	out := make([]int64, len(v))
	for i, n := range v {
		out[i] = int64(n)
	}
	return out
}

// near compares with what float64 gives: 1e-6 of the root mean square for each of a sum's 40 roundings or so.
func near(t *testing.T, got []float32, want []float64, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	var square float64
	for _, v := range want {
		square += v * v
	}
	rms := math.Sqrt(square / float64(len(want)))
	for i, v := range want {
		if d := math.Abs(float64(got[i]) - v); !(d <= tolerance*rms) {
			t.Fatalf("value %d is %v, want %v (root mean square %.3g)", i, got[i], v, rms)
		}
	}
}

// testLinear compares with sums in float64, at sizes that fill blocks and that do not.
func testLinear(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rows, depth, cols int
		dtype             dtype.DType
		bias, sum, gated  bool
	}{
		{1, 1, 1, dtype.F32, false, false, false},
		{12, 16, 32, dtype.F16, true, false, false},
		{25, 50, 70, dtype.F16, true, true, false},
		{13, 31, 129, dtype.BF16, false, true, false},
		{7, 33, 47, dtype.F32, true, true, false},
		{30, 2600, 33, dtype.F16, true, true, false},  // more than two blocks of columns
		{1600, 20, 40, dtype.F16, true, false, false}, // more strips than are packed at a time
		{800, 1300, 8, dtype.F16, false, true, false}, // both
		{25, 40, 2 * 70, dtype.F16, true, false, true},
		{14, 1400, 2 * 33, dtype.BF16, false, false, true},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			t.Parallel()
			width := c.cols
			if c.gated {
				width /= 2
			}
			o := operands{weightDims: []int{c.cols, c.depth}, xDims: []int{1, c.rows, c.depth}, biasDims: []int{c.cols}, sumDims: []int{1, c.rows, width}, dtype: c.dtype}
			o.fill(c.bias, c.sum)
			gated := int64(0)
			if c.gated {
				gated = 1
			}
			near(t, o.run(t, "Linear", map[string][]int64{"gated": {gated}, "remember": {0}, "narrow": {0}}), o.linear(c.rows, c.depth, c.cols, c.gated), 3e-5)
		})
	}
}

// testLinearInt8 compares products of 8-bit integers with sums in float64, at sizes that fill groups, strips and panels and that do
// not. Numbers are rounded to 255 steps of their group's range, here about 3.3 root mean squares to each side: an error of 0.0075 for
// each factor, and products of 0.0106 of the result's root mean square. Without VNNI x is rounded to 127 steps, which makes
// that 0.0168. No single value is further off than six times that, nor a product of two than 0.2.
func testLinearInt8(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rows, depth, cols int
		dtype             dtype.DType
		bias, sum, gated  bool
	}{
		{64, 256, 32, dtype.F32, false, false, false},
		{67, 300, 70, dtype.F16, true, true, false},
		{100, 31, 129, dtype.BF16, false, true, false},
		{70, 4400, 33, dtype.F32, true, true, false},   // groups in two parts
		{1600, 20, 40, dtype.F16, true, false, false},  // more strips than are packed at a time
		{1550, 4200, 8, dtype.F16, false, true, false}, // both
		{80, 400, 2 * 70, dtype.F32, true, false, true},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			t.Parallel()
			width := c.cols
			if c.gated {
				width /= 2
			}
			o := operands{weightDims: []int{c.cols, c.depth}, xDims: []int{1, c.rows, c.depth}, biasDims: []int{c.cols}, sumDims: []int{1, c.rows, width}, dtype: c.dtype}
			o.fill(c.bias, c.sum)
			gated, tolerance := int64(0), 0.07
			if Int8Kernels() == "AVX2" {
				tolerance = 0.105
			}
			if c.gated {
				gated, tolerance = 1, 0.2
			}
			attrs := map[string][]int64{"gated": {gated}, "remember": {0}, "narrow": {1}}
			got := o.run(t, "Linear", attrs)
			near(t, got, o.linear(c.rows, c.depth, c.cols, c.gated), tolerance)
			attrs["narrow"] = []int64{0}
			if slices.Equal(got, o.run(t, "Linear", attrs)) {
				t.Error("the products are those of float32")
			}
		})
	}
}

// testLinearInt8Edges checks rows that scales are a trap for: zeros, tiny and huge numbers, one large number among small ones, and
// numbers that are not finite, which spoil their own row alone. Few rows are multiplied in float32.
func testLinearInt8Edges(t *testing.T) {
	t.Parallel()
	const rows, depth, cols = 64, 260, 5
	o := operands{weightDims: []int{cols, depth}, xDims: []int{rows, depth}, dtype: dtype.F32}
	o.fill(false, false)
	for i := range depth {
		o.x[i] = 0
		o.x[depth+i] *= 1e-30
		o.x[2*depth+i] *= 1e30
		o.x[3*depth+i] = 1e-42
	}
	o.x[4*depth+7] = float32(math.NaN())
	o.x[5*depth+259] = float32(math.Inf(-1))
	attrs := map[string][]int64{"gated": {0}, "remember": {0}, "narrow": {1}}
	got, want := o.run(t, "Linear", attrs), o.linear(rows, depth, cols, false)
	tolerance := 0.15
	if Int8Kernels() == "AVX2" {
		tolerance = 0.24
	}
	for row := range rows {
		line, right := got[row*cols:(row+1)*cols], want[row*cols:(row+1)*cols]
		switch row {
		case 0, 3:
			for _, v := range line {
				if math.Abs(float64(v)) > 1e-38 {
					t.Errorf("row %d is %v, want zeros", row, line)
				}
			}
		case 4, 5:
			for _, v := range line {
				if v == v {
					t.Errorf("row %d with a number that is not finite is %v", row, line)
				}
			}
		default:
			near(t, line, right, tolerance)
		}
	}
	few := operands{weightDims: []int{cols, depth}, xDims: []int{63, depth}, dtype: dtype.F32}
	few.fill(false, false)
	near(t, few.run(t, "Linear", attrs), few.linear(63, depth, cols, false), 3e-5)
}

// remembering makes a session of a layer that keeps its last result.
func remembering(t *testing.T, rows, depth, cols int) (*operands, *Session, map[string]Value) {
	t.Helper()
	o := operands{weightDims: []int{cols, depth}, xDims: []int{1, rows, depth}, biasDims: []int{cols}, dtype: dtype.F16}
	o.fill(true, false)
	s, values := o.session(t, "Linear", map[string][]int64{"gated": {0}, "remember": {1}, "narrow": {0}})
	return &o, s, values
}

// testLinearRemembers runs a layer that keeps its last result: another x gives another result, even if only the last value
// differs, and the first x gives its own result again. One x and one result are kept.
func testLinearRemembers(t *testing.T) {
	t.Parallel()
	const rows, depth, cols = 3, 20, 40
	o, s, values := remembering(t, rows, depth, cols)
	if n := s.Kept(); n != 0 {
		t.Errorf("%d bytes are kept before the first run", n)
	}
	for _, last := range []float32{1, 1, 2, 2, 1} {
		o.x[len(o.x)-1] = last
		near(t, compute(t, s, values), o.linear(rows, depth, cols, false), 3e-5)
		if n, want := s.Kept(), int64(4*rows*(depth+cols)); n != want {
			t.Errorf("%d bytes are kept, want %d", n, want)
		}
	}
	s.Close()
	if n := s.Kept(); n != 0 {
		t.Errorf("%d bytes are kept by a closed session", n)
	}
}

// testLinearRemembersAtOnce runs one session with two inputs from several goroutines: each gets the result of its own.
func testLinearRemembersAtOnce(t *testing.T) {
	t.Parallel()
	const rows, depth, cols = 3, 20, 40
	o, s, values := remembering(t, rows, depth, cols)
	var group sync.WaitGroup
	for i := range 4 {
		mine := *o
		mine.x = slices.Clone(o.x)
		mine.x[0] = float32(i % 2)
		want := mine.linear(rows, depth, cols, false)
		group.Go(func() {
			for range 50 {
				out, err := s.Run(t.Context(), map[string]Value{"x": Floats(mine.x, mine.xDims...), "bias": values["bias"]}, nil)
				if err != nil {
					t.Error(err)
					return
				}
				y, err := out["y"].Float32s()
				if err != nil || math.Abs(float64(y[0])-want[0]) > 1e-4 {
					t.Errorf("input %d gives %v, %v, want %v", i%2, y, err, want[0])
					return
				}
			}
		})
	}
	group.Wait()
	if n, most := s.Kept(), int64(4*rows*(depth+cols)); n != most {
		t.Errorf("%d bytes are kept, want %d", n, most)
	}
}

// testKeptResultsHaveALimit runs two layers over the same x, of which one copy is kept, and two results while there is room.
func testKeptResultsHaveALimit(t *testing.T) {
	t.Parallel()
	const rows, depth, cols = 3, 20, 40
	const x, result = 4 * rows * depth, 4 * rows * cols
	for _, c := range []struct{ most, want int64 }{
		{0, x + 2*result}, {x + 2*result, x + 2*result}, {x + 2*result - 1, x + result}, {x + result, x + result}, {x + result - 1, 0}, {x - 1, 0},
	} {
		o := operands{weightDims: []int{cols, depth}, xDims: []int{rows, depth}, dtype: dtype.F32}
		o.fill(false, false)
		g := graph{
			inits:   []stored{{"w", o.dtype, o.weightDims, o.stored, memoryLocation(t)}},
			inputs:  []wireTensor{tensorOf("x", rows, depth)},
			outputs: []wireTensor{{name: "y", open: true}, {name: "z", open: true}},
		}
		for _, out := range []string{"y", "z"} {
			g.nodes = append(g.nodes, wireNode{op: "Linear", domain: "comfygo", in: []string{"w", "x"}, out: []string{out}, ints: map[string][]int64{"gated": {0}, "remember": {1}, "narrow": {0}}})
		}
		spec := g.spec("two layers")
		spec.MostKept, spec.OptLevel = c.most, OptOff // so that the layers stay two
		s := newSession(t, spec)
		for range 2 {
			near(t, compute(t, s, map[string]Value{"x": Floats(o.x, rows, depth)}), o.linear(rows, depth, cols, false), 3e-5)
			if n := s.Kept(); n != c.want {
				t.Errorf("with room for %d bytes %d are kept, want %d", c.most, n, c.want)
			}
		}
	}
}

// linear is the reference of Linear.
func (o *operands) linear(rows, depth, cols int, gated bool) []float64 {
	var out []float64
	for r := range rows {
		line := make([]float64, cols)
		for n := range cols {
			if o.bias != nil {
				line[n] = float64(o.bias[n])
			}
			for k := range depth {
				line[n] += float64(o.x[r*depth+k]) * float64(o.weight[n*depth+k])
			}
		}
		if gated {
			for n, gate := range line[cols/2:] {
				line[n] *= gate * (1 + math.Erf(gate/math.Sqrt2)) / 2
			}
			line = line[:cols/2]
		}
		for n, v := range line {
			if o.sum != nil {
				v += float64(o.sum[r*len(line)+n])
			}
			out = append(out, v)
		}
	}
	return out
}

// testConv3x3 compares with sums in float64, at sizes that fill tiles, panels and strips and that do not. The transforms
// multiply the rounding errors of the products by a few.
func testConv3x3(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		batch, in, out, height, width int
		dtype                         dtype.DType
		bias, sum                     bool
	}{
		{1, 1, 1, 1, 1, dtype.F32, false, false},
		{2, 16, 48, 8, 8, dtype.F16, true, true},
		{1, 20, 50, 7, 9, dtype.F16, true, true},
		{3, 17, 13, 5, 3, dtype.BF16, false, true},
		{2, 3, 12, 16, 70, dtype.F32, true, false},
		{1, 40, 5, 33, 66, dtype.F16, false, false},
		{2, 16, 16, 34, 50, dtype.F16, true, true},
		{2, 3, 13, 66, 131, dtype.F32, true, true},   // more panels of 4x4 tiles than are transformed at a time
		{2, 300, 13, 16, 16, dtype.F16, true, false}, // 4x4 tiles, channels in three parts
		{1, 600, 13, 7, 9, dtype.F16, false, true},   // 2x2 tiles, channels in three parts
		{1, 33, 61, 15, 61, dtype.BF16, true, true},  // 4x4 tiles over every border
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			t.Parallel()
			o := operands{
				weightDims: []int{c.out, c.in, 3, 3}, xDims: []int{c.batch, c.in, c.height, c.width}, biasDims: []int{c.out},
				sumDims: []int{c.batch, c.out, c.height, c.width}, dtype: c.dtype,
			}
			o.fill(c.bias, c.sum)
			near(t, o.run(t, "Conv3x3", nil), o.conv3x3(), 2e-5)
		})
	}
}

// testConv3x3OfAnySize compares at sizes and channels drawn from a fixed seed.
func testConv3x3OfAnySize(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	for range 24 {
		batch, in, out, height, width := 1+r.IntN(3), 1+r.IntN(40), 1+r.IntN(60), 1+r.IntN(40), 1+r.IntN(70)
		o := operands{
			weightDims: []int{out, in, 3, 3}, xDims: []int{batch, in, height, width}, biasDims: []int{out},
			sumDims: []int{batch, out, height, width}, dtype: [...]dtype.DType{dtype.F16, dtype.BF16, dtype.F32}[r.IntN(3)],
		}
		t.Run(fmt.Sprint(batch, in, out, height, width), func(t *testing.T) {
			t.Parallel()
			o.fill(in%2 == 0, out%2 == 0)
			near(t, o.run(t, "Conv3x3", nil), o.conv3x3(), 3e-5)
		})
	}
}

// testConv3x3Adds adds up three convolutions, of which the second takes the memory of the first.
func testConv3x3Adds(t *testing.T) {
	t.Parallel()
	const in, out, height, width = 16, 16, 35, 51
	o := operands{weightDims: []int{out, in, 3, 3}, xDims: []int{1, in, height, width}, dtype: dtype.F16}
	o.fill(false, false)
	g := graph{
		inits:  []stored{{"w", o.dtype, o.weightDims, o.stored, memoryLocation(t)}},
		inputs: []wireTensor{tensorOf("x", 1, in, height, width)}, outputs: []wireTensor{{name: "y", open: true}},
	}
	sum := ""
	for _, to := range []string{"first", "second", "y"} {
		g.nodes = append(g.nodes, wireNode{op: "Conv3x3", domain: "comfygo", in: []string{"w", "x", "", sum}, out: []string{to}})
		sum = to
	}
	g.nodes[0].in = []string{"w", "x"}
	want := o.conv3x3()
	for i := range want {
		want[i] *= 3
	}
	spec := g.spec("three convolutions")
	spec.OptLevel = OptOff // so that they stay three
	near(t, compute(t, newSession(t, spec), map[string]Value{"x": Floats(o.x, o.xDims...)}), want, 2e-5)
}

// conv3x3 is the reference of Conv3x3.
func (o *operands) conv3x3() []float64 {
	batch, in, height, width, n := o.xDims[0], o.xDims[1], o.xDims[2], o.xDims[3], o.weightDims[0]
	out := make([]float64, batch*n*height*width)
	for at := range out {
		b, ch, y, x := at/(n*height*width), at/(height*width)%n, at/width%height, at%width
		var sum float64
		if o.bias != nil {
			sum = float64(o.bias[ch])
		}
		if o.sum != nil {
			sum += float64(o.sum[at])
		}
		for i := range in {
			for tap := range 9 {
				yy, xx := y+tap/3-1, x+tap%3-1
				if yy >= 0 && yy < height && xx >= 0 && xx < width {
					sum += float64(o.weight[(ch*in+i)*9+tap]) * float64(o.x[((b*in+i)*height+yy)*width+xx])
				}
			}
		}
		out[at] = sum
	}
	return out
}
