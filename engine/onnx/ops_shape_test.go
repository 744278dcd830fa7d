package onnx_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/onnx"
)

// shapeCase runs an operator on one input and compares it with elements picked from that input: pick returns the index
// in the input that an index of the result shows.
type shapeCase struct {
	name  string
	in    feed
	build func(g *onnx.Graph, x *onnx.Value) *onnx.Value
	shape []int
	pick  func(o []int) []int
}

func TestShapeOperators(t *testing.T) {
	t.Parallel()
	image := random(2, 3, 4, 5)
	tokens := random(2, 7, 6)
	b, h, w := onnx.Sym("B"), onnx.Sym("H"), onnx.Sym("W")
	cases := []shapeCase{
		{"reshape with one unknown size", symbolic(image, "B", "3", "H", "W"), func(g *onnx.Graph, x *onnx.Value) *onnx.Value {
			return g.Reshape(x, b, onnx.D(3), onnx.Infer)
		}, []int{2, 3, 20}, func(o []int) []int { return []int{o[0], o[1], o[2] / 5, o[2] % 5} }},
		{"reshape with sizes computed at run time", symbolic(image, "B", "3", "H", "W"), func(g *onnx.Graph, x *onnx.Value) *onnx.Value {
			return g.Reshape(x, b.Times(h), onnx.D(1), w, onnx.D(3))
		}, []int{8, 1, 5, 3}, func(o []int) []int {
			n := (o[0]*5+o[2])*3 + o[3]
			return []int{n / 60, n / 20 % 3, n / 5 % 4, n % 5}
		}},
		{"reshape that solves an input's size for its symbol", symbolic(image, "B", "3", "2*h", "w+2"), func(g *onnx.Graph, x *onnx.Value) *onnx.Value {
			return g.Reshape(x, b, onnx.D(3), onnx.Sym("h"), onnx.D(2), onnx.Sym("w+2"))
		}, []int{2, 3, 2, 2, 5}, func(o []int) []int { return []int{o[0], o[1], 2*o[2] + o[3], o[4]} }},
		{"slice with symbolic bounds", symbolic(tokens, "B", "T+3", "6"), func(g *onnx.Graph, x *onnx.Value) *onnx.Value {
			return g.SliceDims(x, 1, onnx.Sym("T"), onnx.Sym("T+2"))
		}, []int{2, 2, 6}, func(o []int) []int { return []int{o[0], o[1] + 4, o[2]} }},
		{"slice from a symbol to the end", symbolic(tokens, "B", "T+3", "6"), func(g *onnx.Graph, x *onnx.Value) *onnx.Value {
			return g.SliceDims(x, -2, onnx.Sym("T"), onnx.Sym("T+3"))
		}, []int{2, 3, 6}, func(o []int) []int { return []int{o[0], o[1] + 4, o[2]} }},
		{"slice up to a symbol", symbolic(tokens, "B", "2*T+1", "6"), func(g *onnx.Graph, x *onnx.Value) *onnx.Value {
			return g.SliceDims(x, 1, onnx.D(1), onnx.Sym("T+1"))
		}, []int{2, 3, 6}, func(o []int) []int { return []int{o[0], o[1] + 1, o[2]} }},
		{"split with symbolic sizes", symbolic(tokens, "B", "2*T+1", "6"), func(g *onnx.Graph, x *onnx.Value) *onnx.Value {
			return g.SplitDims(x, 1, onnx.Sym("T+1"), onnx.Sym("T"))[1]
		}, []int{2, 3, 6}, func(o []int) []int { return []int{o[0], o[1] + 4, o[2]} }},
		{"concat of symbolic sizes", symbolic(tokens, "B", "T", "6"), func(g *onnx.Graph, x *onnx.Value) *onnx.Value {
			return g.Concat(1, x, g.Slice(x, 2, 0, 6), x)
		}, []int{2, 21, 6}, func(o []int) []int { return []int{o[0], o[1] % 7, o[2]} }},
		{"expand to symbolic sizes", symbolic(tokens, "B", "T", "6"), func(g *onnx.Graph, x *onnx.Value) *onnx.Value {
			return g.Expand(g.Unsqueeze(x, 1), b, onnx.Sym("T+1"), onnx.Sym("T"), onnx.D(6))
		}, []int{2, 8, 7, 6}, func(o []int) []int { return []int{o[0], o[2], o[3]} }},
		{"tile", symbolic(tokens, "B", "T", "6"), func(g *onnx.Graph, x *onnx.Value) *onnx.Value {
			return g.Tile(x, 1, 3, 2)
		}, []int{2, 21, 12}, func(o []int) []int { return []int{o[0], o[1] % 7, o[2] % 6} }},
		{"squeeze and transpose", symbolic(tokens, "B", "T", "6"), func(g *onnx.Graph, x *onnx.Value) *onnx.Value {
			return g.Squeeze(g.Unsqueeze(g.Transpose(x, 2, 0, 1), 0, 2), 0, 2)
		}, []int{6, 2, 7}, func(o []int) []int { return []int{o[1], o[2], o[0]} }},
		{"pad by reflection", symbolic(image, "B", "3", "H", "W"), func(g *onnx.Graph, x *onnx.Value) *onnx.Value {
			return g.PadAxes(x, onnx.Reflect, []int{0, 0, 2, 1}, []int{0, 0, 1, 3})
		}, []int{2, 3, 7, 9}, func(o []int) []int { return []int{o[0], o[1], mirror(o[2]-2, 4), mirror(o[3]-1, 5)} }},
		{"pad with the edge", symbolic(image, "B", "3", "H", "W"), func(g *onnx.Graph, x *onnx.Value) *onnx.Value {
			return g.PadAxes(x, onnx.Edge, []int{0, 0, 2, 0}, []int{0, 0, 0, 4})
		}, []int{2, 3, 6, 9}, func(o []int) []int { return []int{o[0], o[1], max(o[2]-2, 0), min(o[3], 4)} }},
		{"crop", symbolic(image, "B", "3", "H+1", "W"), func(g *onnx.Graph, x *onnx.Value) *onnx.Value {
			return g.PadAxes(x, onnx.Zeros, []int{0, 0, -1, 0}, []int{0, 0, 0, 0})
		}, []int{2, 3, 3, 5}, func(o []int) []int { return []int{o[0], o[1], o[2] + 1, o[3]} }},
		{"nearest upsampling", symbolic(image, "B", "3", "H", "W"), func(g *onnx.Graph, x *onnx.Value) *onnx.Value {
			return g.UpsampleNearest(x, 2)
		}, []int{2, 3, 8, 10}, func(o []int) []int { return []int{o[0], o[1], o[2] / 2, o[3] / 2} }},
		{"nearest upsampling by copies", symbolic(image, "B", "3", "H", "W"), func(g *onnx.Graph, x *onnx.Value) *onnx.Value {
			return g.RepeatElements(x, 1, 1, 2, 3)
		}, []int{2, 3, 8, 15}, func(o []int) []int { return []int{o[0], o[1], o[2] / 2, o[3] / 3} }},
		{"pixel shuffle", symbolic(random(2, 12, 3, 4), "B", "12", "H", "W"), func(g *onnx.Graph, x *onnx.Value) *onnx.Value {
			return g.PixelShuffle(x, 2)
		}, []int{2, 3, 6, 8}, func(o []int) []int { return []int{o[0], o[1]*4 + o[2]%2*2 + o[3]%2, o[2] / 2, o[3] / 2} }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := compute(t, []feed{c.in}, func(g *onnx.Graph, in []*onnx.Value) *onnx.Value { return c.build(g, in[0]) })
			data, err := c.in.Value.Float32s()
			if err != nil {
				t.Fatal(err)
			}
			x := array{Shape: c.in.Value.Shape, Data: data}
			same(t, got, filled(c.shape, func(o []int) float32 { return data[x.Offset(c.pick(o)...)] }))
		})
	}
}

// mirror reflects an index into [0,n).
func mirror(i, n int) int {
	if i < 0 {
		return -i
	}
	if i >= n {
		return 2*n - 2 - i
	}
	return i
}

func TestLinearResize(t *testing.T) {
	t.Parallel()
	x := random(1, 2, 3, 4, 5)
	clamp := func(i, n int) int { return max(0, min(i, n-1)) }
	// along is the source of element o of an axis that was enlarged f times from n: two indices and the weight of the second.
	along := func(o, f, n int) (int, int, float32) {
		p := (float32(o)+0.5)/float32(f) - 0.5
		i := int(p)
		if p < 0 {
			i, p = 0, 0
		}
		return i, clamp(i+1, n), p - float32(i)
	}
	for _, f := range [][3]int{{2, 2, 2}, {1, 2, 3}} {
		got := compute(t, []feed{symbolic(x, "B", "2", "T", "H", "W")}, func(g *onnx.Graph, in []*onnx.Value) *onnx.Value {
			return g.Upscale(in[0], onnx.Linear, 1, 1, f[0], f[1], f[2])
		})
		same(t, got, filled([]int{1, 2, 3 * f[0], 4 * f[1], 5 * f[2]}, func(o []int) float32 {
			var sum float32
			t0, t1, tw := along(o[2], f[0], 3)
			h0, h1, hw := along(o[3], f[1], 4)
			w0, w1, ww := along(o[4], f[2], 5)
			for _, a := range []struct {
				i int
				w float32
			}{{t0, 1 - tw}, {t1, tw}} {
				for _, b := range []struct {
					i int
					w float32
				}{{h0, 1 - hw}, {h1, hw}} {
					sum += a.w * b.w * (x.Data[x.Offset(0, o[1], a.i, b.i, w0)]*(1-ww) + x.Data[x.Offset(0, o[1], a.i, b.i, w1)]*ww)
				}
			}
			return sum
		}))
	}
}

func TestCubicResize(t *testing.T) {
	t.Parallel()
	const a = -0.75
	x := random(1, 1, 4, 5)
	// weight is the cubic convolution kernel at a distance.
	weight := func(d float64) float64 {
		switch d = math.Abs(d); {
		case d <= 1:
			return ((a+2)*d-(a+3))*d*d + 1
		case d < 2:
			return ((a*d-5*a)*d+8*a)*d - 4*a
		}
		return 0
	}
	got := compute(t, []feed{symbolic(x, "B", "1", "H", "W")}, func(g *onnx.Graph, in []*onnx.Value) *onnx.Value {
		return g.Upscale(in[0], onnx.Cubic, 1, 1, 2, 3)
	})
	same(t, got, filled([]int{1, 1, 8, 15}, func(o []int) float32 {
		h, w := (float64(o[2])+0.5)/2-0.5, (float64(o[3])+0.5)/3-0.5
		sum := 0.0
		for i := int(math.Floor(h)) - 1; i <= int(math.Floor(h))+2; i++ {
			for j := int(math.Floor(w)) - 1; j <= int(math.Floor(w))+2; j++ {
				sum += weight(h-float64(i)) * weight(w-float64(j)) * float64(x.At(0, 0, max(0, min(i, 3)), max(0, min(j, 4))))
			}
		}
		return float32(sum)
	}))
}

func TestResizeToSizesOfAnInput(t *testing.T) {
	t.Parallel()
	x, like := random(1, 2, 4, 6), zeros(1, 1, 6, 9)
	got := compute(t, []feed{symbolic(x, "B", "2", "H", "W"), symbolic(like, "B", "1", "P", "Q")}, func(g *onnx.Graph, in []*onnx.Value) *onnx.Value {
		return g.ResizeTo(in[0], onnx.Nearest, onnx.Sym("B"), onnx.D(2), onnx.Sym("P"), onnx.Sym("Q"))
	})
	same(t, got, filled([]int{1, 2, 6, 9}, func(o []int) float32 { return x.Data[x.Offset(0, o[1], o[2]*4/6, o[3]*6/9)] }))
}

func TestShapesThatDoNotFit(t *testing.T) {
	t.Parallel()
	in := func(g *onnx.Graph, dims ...string) *onnx.Value {
		return g.Input("x", dtype.F32, symbolic(array{}, dims...).Shape...)
	}
	h := onnx.Sym("H")
	cases := map[string]struct {
		build func(g *onnx.Graph)
		want  string
	}{
		"two open dimensions":  {func(g *onnx.Graph) { g.Reshape(in(g, "H", "4"), onnx.Infer, onnx.Infer, h) }, "two dimensions open"},
		"sizes differ":         {func(g *onnx.Graph) { g.Reshape(in(g, "H", "4"), h, onnx.D(2), onnx.D(3)) }, "4*H elements"},
		"not divisible":        {func(g *onnx.Graph) { g.Reshape(in(g, "H", "4"), onnx.D(3), onnx.Infer) }, "no multiple"},
		"unknown divisibility": {func(g *onnx.Graph) { g.Reshape(in(g, "H"), onnx.D(2), onnx.Infer) }, "no multiple"},
		"negative":             {func(g *onnx.Graph) { g.Reshape(in(g, "4"), onnx.D(-2), onnx.D(-2)) }, "negative"},
		"like":                 {func(g *onnx.Graph) { x := in(g, "H", "W"); g.ReshapeLike(x, g.Concat(1, x, x)) }, "elements"},
		"slice beyond":         {func(g *onnx.Graph) { g.SliceDims(in(g, "H"), 0, onnx.D(0), onnx.Sym("H+1")) }, "[0,H+1)"},
		"slice not known":      {func(g *onnx.Graph) { g.SliceDims(in(g, "H"), 0, onnx.D(0), onnx.Sym("W")) }, "[0,W)"},
		"split":                {func(g *onnx.Graph) { g.SplitDims(in(g, "2*H"), 0, h, onnx.D(1)) }, "do not make up"},
		"concat":               {func(g *onnx.Graph) { x := in(g, "H", "W"); g.Concat(0, x, g.Transpose(x, 1, 0)) }, "differ outside"},
		"expand":               {func(g *onnx.Graph) { g.Expand(in(g, "H"), onnx.Sym("W")) }, "Expand"},
		"declare":              {func(g *onnx.Graph) { g.Declare(in(g, "H"), onnx.Shape{onnx.Sym("H+1")}) }, "Declare"},
		"no source":            {func(g *onnx.Graph) { g.Expand(in(g, "1"), onnx.Sym("Q")) }, "size Q"},
		"reflection":           {func(g *onnx.Graph) { g.PadAxes(in(g, "3"), onnx.Reflect, []int{3}, []int{0}) }, "Pad"},
		"axis":                 {func(g *onnx.Graph) { g.Concat(2, in(g, "3")) }, "no axis 2"},
	}
	for name, c := range cases {
		_, err := onnx.Build("g", func(g *onnx.Graph) error { c.build(g); return nil })
		var be *onnx.BuildError
		if !errors.As(err, &be) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want a build error with %q", name, err, c.want)
		}
	}
}

// TestConstantShapes counts the operators of reshapes that need no run-time values, and of one that shares them.
func TestConstantShapes(t *testing.T) {
	t.Parallel()
	g, err := onnx.Build("g", func(g *onnx.Graph) error {
		b, h, w := onnx.Sym("B"), onnx.Sym("H"), onnx.Sym("W")
		x := g.Input("x", dtype.F32, b, onnx.D(8), h, w)
		g.Reshape(x, b, onnx.D(8), onnx.Infer)      // 1
		g.Reshape(x, b, onnx.D(2), onnx.D(4), h, w) // Shape, Concat, Reshape
		g.Reshape(x, h, onnx.D(8), b, w)            // Shape of B, Concat, Reshape
		g.RepeatElements(x, 1, 1, 2, 1)             // Reshape, Expand, Mul, Concat, Reshape
		g.Expand(g.Reshape(x, b, h.Times(w), onnx.D(8)), b, onnx.Sym("H*W"), onnx.D(8))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := g.Nodes(); got > 17 {
		var text strings.Builder
		_ = g.Print(&text)
		t.Errorf("%d operators:\n%s", got, text.String())
	}
}
