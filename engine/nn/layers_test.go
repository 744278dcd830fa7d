package nn_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
	"comfygo/engine/weights"
	"comfygo/tests/graphtest"
)

func TestMain(m *testing.M) { graphtest.Main(m) }

// stored is a weight file in memory.
type stored map[string]graphtest.Array

func (s stored) Names() []string {
	var names []string
	for name := range s {
		names = append(names, name)
	}
	return names
}

func (s stored) Lookup(name string) (weights.Entry, bool) {
	a, ok := s[name]
	if !ok {
		return weights.Entry{}, false
	}
	raw := make([]byte, 4*len(a.Data))
	for i, v := range a.Data {
		binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(v))
	}
	return weights.Entry{Name: name, DType: dtype.F32, TypeName: "F32", Shape: a.Shape, Data: raw, File: "stored"}, true
}

func (s stored) Metadata() map[string]string { return nil }
func (s stored) Path() string                { return "stored" }
func (s stored) Close() error                { return nil }

// targets are those whose graphs a CPU can run.
var targets = map[string]nn.Target{
	"prepared": {Compute: dtype.F32, Block: graphtest.Block()},
	"mapped":   {Compute: dtype.F32, Block: graphtest.Block(), Lean: true},
	"cuda":     {CUDA: true, Compute: dtype.F32},
}

// compute runs a layer over weights for every target and compares it with the reference.
func compute(t *testing.T, file stored, feeds []graphtest.Feed, want graphtest.Array, build func(b *nn.Builder, s *weights.Scope, in []*onnx.Value) *onnx.Value) {
	t.Helper()
	computeFor(t, targets, file, feeds, want, build)
}

// computeFor is compute for other targets.
func computeFor(t *testing.T, targets map[string]nn.Target, file stored, feeds []graphtest.Feed, want graphtest.Array, build func(b *nn.Builder, s *weights.Scope, in []*onnx.Value) *onnx.Value) {
	t.Helper()
	for name, target := range targets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := weights.NewScope(file)
			got := graphtest.Compute(t, feeds, func(g *onnx.Graph, in []*onnx.Value) *onnx.Value {
				return build(&nn.Builder{Graph: g, Target: target}, s, in)
			})
			if err := s.ErrStrict(); err != nil {
				t.Fatal(err)
			}
			graphtest.Same(t, got, want)
		})
	}
}

func TestCausalConv3d(t *testing.T) {
	t.Parallel()
	x, w, bias := graphtest.Random(1, 2, 4, 3, 3), graphtest.Random(3, 2, 3, 3, 3), graphtest.Random(3)
	file := stored{"weight": w, "bias": bias}
	for name, first := range map[string]onnx.Fill{"zeros": onnx.Zeros, "first frame": onnx.Edge} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := graphtest.Filled([]int{1, 3, 4, 3, 3}, func(o []int) float32 {
				sum := bias.Data[o[1]]
				w.Each(func(k []int) {
					f, i, j := o[2]+k[2]-2, o[3]+k[3]-1, o[4]+k[4]-1
					if f < 0 && first == onnx.Edge {
						f = 0
					}
					if k[0] == o[1] && f >= 0 && i >= 0 && i < 3 && j >= 0 && j < 3 {
						sum += w.At(k...) * x.At(0, k[1], f, i, j)
					}
				})
				return sum
			})
			compute(t, file, []graphtest.Feed{graphtest.Symbolic(x, "B", "2", "T", "H", "W")}, want, func(b *nn.Builder, s *weights.Scope, in []*onnx.Value) *onnx.Value {
				return b.CausalConv3d(s, in[0], 3, [3]int{3, 3, 3}, first)
			})
		})
	}
}

func TestConv1dAndTransposed(t *testing.T) {
	t.Parallel()
	x, w, up := graphtest.Random(1, 4, 6), graphtest.Random(4, 1, 3), graphtest.Random(4, 2, 2)
	depthwise := func(c, l int) float32 {
		var sum float32
		for k := range 3 {
			if i := l + k - 1; i >= 0 && i < 6 {
				sum += x.At(0, c, i) * w.At(c, 0, k)
			}
		}
		return sum
	}
	want := graphtest.Filled([]int{1, 2, 12}, func(o []int) float32 {
		var sum float32
		for c := range 4 {
			sum += depthwise(c, o[2]/2) * up.At(c, o[1], o[2]%2)
		}
		return sum
	})
	compute(t, stored{"a.weight": w, "b.weight": up}, []graphtest.Feed{graphtest.Symbolic(x, "B", "4", "L")}, want, func(b *nn.Builder, s *weights.Scope, in []*onnx.Value) *onnx.Value {
		y := b.Conv1d(s.At("a"), in[0], 4, 3, 4, onnx.Same(3))
		return b.ConvTranspose(s.At("b"), y, 2, []int{2}, 1, onnx.WindowND{Stride: []int{2}})
	})
}

// TestPointwiseSum adds up convolutions of channels that fill blocks, and of some that do not.
func TestPointwiseSum(t *testing.T) {
	t.Parallel()
	for _, c := range []int{3, 32} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			t.Parallel()
			file := stored{"bias": graphtest.Random(c)}
			var xs []graphtest.Array
			var feeds []graphtest.Feed
			for i := range 3 {
				xs = append(xs, graphtest.Random(1, c, 2, 3))
				file[fmt.Sprint(i, ".weight")] = graphtest.Random(c, c, 1, 1)
				feeds = append(feeds, graphtest.Symbolic(xs[i], "1", fmt.Sprint(c), "H", "W"))
			}
			want := graphtest.Filled([]int{1, c, 2, 3}, func(o []int) float32 {
				sum := float64(file["bias"].Data[o[1]])
				for i, x := range xs {
					for k := range c {
						sum += float64(file[fmt.Sprint(i, ".weight")].At(o[1], k, 0, 0)) * float64(x.At(0, k, o[2], o[3]))
					}
				}
				return float32(sum)
			})
			compute(t, file, feeds, want, func(b *nn.Builder, s *weights.Scope, in []*onnx.Value) *onnx.Value {
				var ws []*weights.Ref
				packed := make([]*onnx.Value, len(in))
				for i, x := range in {
					ws, packed[i] = append(ws, s.Index(i).Weight("weight", c, c, 1, 1)), b.Packed(x)
				}
				return b.PointwiseSum(packed, ws, s.Optional("bias", c))
			})
		})
	}
}

func TestGroupNormForms(t *testing.T) {
	t.Parallel()
	x := graphtest.Random(2, 6, 3, 4)
	want := graphtest.Filled(x.Shape, func(o []int) float32 {
		var n, sum, square float64
		for c := o[1] / 3 * 3; c < o[1]/3*3+3; c++ {
			for p := range 12 {
				v := float64(x.At(o[0], c, p/4, p%4))
				n, sum, square = n+1, sum+v, square+v*v
			}
		}
		mean := sum / n
		return float32((float64(x.At(o...)) - mean) / math.Sqrt(square/n-mean*mean+1e-5))
	})
	for _, form := range []string{"instance norm", "layer norm"} {
		compute(t, stored{}, []graphtest.Feed{graphtest.Symbolic(x, "B", "6", "H", "W")}, want, func(b *nn.Builder, _ *weights.Scope, in []*onnx.Value) *onnx.Value {
			return b.GroupNormForms(in[0], 2, 1e-5)[form]
		})
	}
}

// TestGroupNorm normalises videos, images and sequences, with a shift of the channels and SiLU and without, in every target; values of a
// channel fill vectors and not, and several blocks.
func TestGroupNorm(t *testing.T) {
	t.Parallel()
	all := maps.Clone(targets)
	if graphtest.HasLinear() {
		all["own"] = nn.Target{Compute: dtype.F32, Block: graphtest.Block(), Linear: true}
	}
	for _, c := range []struct {
		shape         []int
		groups        int
		shifted, silu bool
	}{
		{[]int{2, 6, 3, 4}, 2, false, false},
		{[]int{1, 4, 70}, 4, false, true},
		{[]int{2, 6, 67, 66}, 3, true, true},
		{[]int{2, 4, 2, 5, 7}, 1, false, true},
		{[]int{3, 8, 1, 1}, 2, true, true},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			t.Parallel()
			batch, channels := c.shape[0], c.shape[1]
			x, shift, weight, bias := graphtest.Random(c.shape...), graphtest.Random(batch, channels), graphtest.Random(channels), graphtest.Random(channels)
			for i := range x.Data {
				x.Data[i] = 20*x.Data[i] + 30 // far from a mean of zero
			}
			if !c.shifted {
				clear(shift.Data)
			}
			plane, of := len(x.Data)/batch/channels, channels/c.groups
			want := graphtest.Zeros(c.shape...)
			for at := 0; at < len(x.Data); at += of * plane {
				value := func(i int) float64 { return float64(x.Data[at+i]) + float64(shift.Data[(at+i)/plane]) }
				var sum, square float64
				for i := range of * plane {
					sum += value(i)
				}
				mean := sum / float64(of*plane)
				for i := range of * plane {
					square += (value(i) - mean) * (value(i) - mean)
				}
				for i := range of * plane {
					ch := (at + i) / plane % channels
					v := (value(i)-mean)/math.Sqrt(square/float64(of*plane)+1e-5)*float64(weight.Data[ch]) + float64(bias.Data[ch])
					if c.silu {
						v /= 1 + math.Exp(-v)
					}
					want.Data[at+i] = float32(v)
				}
			}
			feeds := []graphtest.Feed{graphtest.Fixed(x), graphtest.Fixed(shift)}
			computeFor(t, all, stored{"weight": weight, "bias": bias}, feeds, want, func(b *nn.Builder, s *weights.Scope, in []*onnx.Value) *onnx.Value {
				switch {
				case c.shifted:
					return b.GroupNormShifted(s, in[0], in[1], c.groups, 1e-5)
				case c.silu:
					return b.GroupNormSiLU(s, in[0], c.groups, 1e-5)
				default:
					return b.GroupNorm(s, in[0], c.groups, 1e-5)
				}
			})
		})
	}
}

func TestRMSNorms(t *testing.T) {
	t.Parallel()
	x, gain := graphtest.Random(2, 3, 8), graphtest.Random(4)
	feeds := []graphtest.Feed{graphtest.Symbolic(x, "B", "S", "8")}
	heads := graphtest.Filled(x.Shape, func(o []int) float32 {
		square := 0.0
		for i := range 4 {
			v := float64(x.At(o[0], o[1], o[2]/4*4+i))
			square += v * v / 4
		}
		return float32(float64(x.At(o...))/math.Sqrt(square+1e-6)) * gain.Data[o[2]%4]
	})
	compute(t, stored{"weight": gain}, feeds, heads, func(b *nn.Builder, s *weights.Scope, in []*onnx.Value) *onnx.Value {
		return b.HeadRMSNorm(s, in[0], 2, 1e-6)
	})
	image, gamma := graphtest.Random(1, 4, 2, 3), graphtest.Random(4, 1, 1)
	channels := graphtest.Filled(image.Shape, func(o []int) float32 {
		square := 0.0
		for c := range 4 {
			v := float64(image.At(0, c, o[2], o[3]))
			square += v * v
		}
		return float32(float64(image.At(o...))/math.Sqrt(square)*2) * gamma.Data[o[1]]
	})
	compute(t, stored{"gamma": gamma}, []graphtest.Feed{graphtest.Symbolic(image, "B", "4", "H", "W")}, channels, func(b *nn.Builder, s *weights.Scope, in []*onnx.Value) *onnx.Value {
		return b.ChannelRMSNorm(s, in[0], "gamma")
	})
}

func TestModulation(t *testing.T) {
	t.Parallel()
	x, y, v := graphtest.Random(2, 3, 4), graphtest.Random(2, 3, 4), graphtest.Random(2, 12)
	want := graphtest.Filled(x.Shape, func(o []int) float32 {
		sum, square := 0.0, 0.0
		for c := range 4 {
			e := float64(x.At(o[0], o[1], c))
			sum, square = sum+e/4, square+e*e/4
		}
		n := (float64(x.At(o...)) - sum) / math.Sqrt(square-sum*sum+1e-6)
		shift, scale, gate := v.At(o[0], o[2]), v.At(o[0], 4+o[2]), v.At(o[0], 8+o[2])
		return float32(n)*(1+scale) + shift + gate*y.At(o...)
	})
	feeds := []graphtest.Feed{graphtest.Symbolic(x, "B", "S", "4"), graphtest.Symbolic(y, "B", "S", "4"), graphtest.Symbolic(v, "B", "12")}
	compute(t, stored{}, feeds, want, func(b *nn.Builder, _ *weights.Scope, in []*onnx.Value) *onnx.Value {
		m := b.Chunks(in[2], 3)
		return b.Gated(b.Modulate(in[0], m[0], m[1], 1e-6), in[1], m[2])
	})
}

func TestGatedUnits(t *testing.T) {
	t.Parallel()
	x := graphtest.Random(2, 3, 8)
	feeds := []graphtest.Feed{graphtest.Symbolic(x, "B", "S", "8")}
	units := map[string]struct {
		build func(b *nn.Builder, first, second *onnx.Value) *onnx.Value
		want  func(first, second float64) float64
	}{
		"geglu": {func(b *nn.Builder, first, second *onnx.Value) *onnx.Value { return b.GEGLU(first, second, false) }, func(first, second float64) float64 {
			return first * second / 2 * (1 + math.Erf(second/math.Sqrt2))
		}},
		"geglu tanh": {func(b *nn.Builder, first, second *onnx.Value) *onnx.Value { return b.GEGLU(first, second, true) }, func(first, second float64) float64 {
			return first * second / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(second+0.044715*second*second*second)))
		}},
		"swiglu": {func(b *nn.Builder, first, second *onnx.Value) *onnx.Value { return b.SwiGLU(first, second) }, func(first, second float64) float64 {
			return first * second / (1 + math.Exp(-second))
		}},
	}
	for name, u := range units {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := graphtest.Filled([]int{2, 3, 4}, func(o []int) float32 {
				return float32(u.want(float64(x.At(o...)), float64(x.At(o[0], o[1], o[2]+4))))
			})
			compute(t, stored{}, feeds, want, func(b *nn.Builder, _ *weights.Scope, in []*onnx.Value) *onnx.Value {
				first, second := b.Halves(in[0])
				return u.build(b, first, second)
			})
		})
	}
}

func TestPatches(t *testing.T) {
	t.Parallel()
	x := graphtest.Random(2, 3, 2, 4, 6)
	feeds := []graphtest.Feed{graphtest.Symbolic(x, "B", "3", "T", "2*h", "2*w")}
	want := map[nn.PatchOrder]graphtest.Array{}
	for _, order := range []nn.PatchOrder{nn.ChannelsFirst, nn.ChannelsLast} {
		want[order] = graphtest.Filled([]int{2, 12, 12}, func(o []int) float32 {
			c, p := o[2]/4, o[2]%4
			if order == nn.ChannelsLast {
				c, p = o[2]%3, o[2]/3
			}
			return x.At(o[0], c, o[1]/6, o[1]/3%2*2+p/2, o[1]%3*2+p%2)
		})
	}
	for order, tokens := range want {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			t.Parallel()
			compute(t, stored{}, feeds, tokens, func(b *nn.Builder, _ *weights.Scope, in []*onnx.Value) *onnx.Value {
				return b.Patchify(in[0], order, 1, 2, 2)
			})
			compute(t, stored{}, feeds, x, func(b *nn.Builder, _ *weights.Scope, in []*onnx.Value) *onnx.Value {
				return b.Unpatchify(b.Patchify(in[0], order, 1, 2, 2), order, []int{1, 2, 2}, in[0].Shape[2:]...)
			})
		})
	}
	_, err := onnx.Build("g", func(g *onnx.Graph) error {
		b := &nn.Builder{Graph: g, Target: targets["cuda"]}
		b.At("img_in")
		b.Patchify(b.Input("x", dtype.F32, onnx.D(1), onnx.D(4), onnx.Sym("H"), onnx.Sym("W")), nn.ChannelsFirst, 2, 2)
		return nil
	})
	var be *onnx.BuildError
	if !errors.As(err, &be) || be.Scope != "img_in" || !strings.Contains(err.Error(), "not divisible") {
		t.Errorf("got %v, want a build error", err)
	}
}

func TestJointAttention(t *testing.T) {
	t.Parallel()
	const heads, d = 2, 4
	text, image := graphtest.Random(1, 3, heads*d), graphtest.Random(1, 5, heads*d)
	positions := []float64{0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 1, 1, 2, 0} // two axes a token
	cos, sin := nn.RotaryTable(positions, 100, 2, 2)
	joined := append(append([]float32(nil), text.Data...), image.Data...)
	rotated := make([]float64, len(joined))
	for i := range joined {
		token, pair := i/(heads*d), i%d/2
		c, s := float64(cos[token*2+pair]), float64(sin[token*2+pair])
		if i%2 == 0 {
			s = -s
		}
		rotated[i] = float64(joined[i])*c + float64(joined[i^1])*s
	}
	// want is the result for the image when second is added to the products with the second token.
	want := func(second float64) graphtest.Array {
		attended := graphtest.Filled([]int{1, 8, heads * d}, func(o []int) float32 {
			head := o[2] / d * d
			sum, out := 0.0, 0.0
			for t := range 8 {
				dot := 0.0
				for i := range d {
					dot += rotated[o[1]*heads*d+head+i] * rotated[t*heads*d+head+i]
				}
				if t == 1 {
					dot += second
				}
				w := math.Exp(dot / 2)
				sum, out = sum+w, out+w*float64(joined[t*heads*d+o[2]])
			}
			return float32(out / sum)
		})
		return graphtest.Array{Shape: []int{1, 5, 8}, Data: attended.Data[3*heads*d:]}
	}
	table := func(v []float32) graphtest.Feed {
		return graphtest.Symbolic(graphtest.Array{Shape: []int{1, 8, 2}, Data: v}, "1", "T+S", "2")
	}
	feeds := []graphtest.Feed{graphtest.Symbolic(text, "B", "T", "8"), graphtest.Symbolic(image, "B", "S", "8"), table(cos), table(sin)}
	joint := func(b *nn.Builder, a onnx.Attention, in []*onnx.Value) *onnx.Value {
		rope := &nn.Rotary{Cos: in[2], Sin: in[3], Interleaved: true}
		parts := b.JointAttention(a, rope, nn.Stream{Q: in[0], K: in[0], V: in[0]}, nn.Stream{Q: in[1], K: in[1], V: in[1]})
		return parts[1]
	}
	compute(t, stored{}, feeds, want(0), func(b *nn.Builder, _ *weights.Scope, in []*onnx.Value) *onnx.Value {
		return joint(b, onnx.Attention{Heads: heads, Scale: 0.5}, in)
	})
	// The second text token is hidden, by either kind of mask.
	mask := graphtest.Feed{Value: ort.Int32s([]int32{1, 0, 1, 1, 1, 1, 1, 1}, 1, 8), Shape: onnx.Shape{onnx.Sym("B"), onnx.Sym("T+S")}}
	bias := graphtest.Filled([]int{1, 1, 8, 8}, func(o []int) float32 {
		if o[3] == 1 {
			return float32(math.Inf(-1))
		}
		return 0
	})
	compute(t, stored{}, append(feeds[:4:4], mask), want(math.Inf(-1)), func(b *nn.Builder, _ *weights.Scope, in []*onnx.Value) *onnx.Value {
		return joint(b, onnx.Attention{Heads: heads, Scale: 0.5, KeyMask: in[4]}, in)
	})
	compute(t, stored{}, append(feeds[:4:4], graphtest.Symbolic(bias, "1", "1", "T+S", "T+S")), want(math.Inf(-1)), func(b *nn.Builder, _ *weights.Scope, in []*onnx.Value) *onnx.Value {
		return joint(b, onnx.Attention{Heads: heads, Scale: 0.5, Bias: in[4]}, in)
	})
}

func TestRotaryTable(t *testing.T) {
	t.Parallel()
	cos, sin := nn.RotaryTable([]float64{3, 5}, 10000, 4, 2)
	for i, angle := range []float64{3, 3 * 0.01, 5} {
		if c, s := float32(math.Cos(angle)), float32(math.Sin(angle)); math.Abs(float64(cos[i]-c)) > 1e-7 || math.Abs(float64(sin[i]-s)) > 1e-7 {
			t.Errorf("pair %d: got %v, %v, want %v, %v", i, cos[i], sin[i], c, s)
		}
	}
	if len(cos) != 3 || len(sin) != 3 {
		t.Errorf("%d and %d numbers, want 3", len(cos), len(sin))
	}
}
