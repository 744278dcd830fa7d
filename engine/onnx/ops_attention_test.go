package onnx_test

import (
	"math"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
)

// attend is the reference of Attend: q [B,S,N*D], k [B,T,M*D], v [B,T,M*E]; added returns the bias of a product.
func attend(q, k, v array, heads, kvHeads int, scale float64, added func(b, n, s, t int) float64) array {
	d, e := q.Shape[2]/heads, v.Shape[2]/kvHeads
	return filled([]int{q.Shape[0], q.Shape[1], heads * e}, func(o []int) float32 {
		n := o[2] / e
		m := n / (heads / kvHeads)
		weight, sum, out := make([]float64, k.Shape[1]), 0.0, 0.0
		for t := range weight {
			dot := 0.0
			for i := range d {
				dot += float64(q.Data[q.Offset(o[0], o[1], n*d+i)]) * float64(k.Data[k.Offset(o[0], t, m*d+i)])
			}
			weight[t] = math.Exp(dot*scale + added(o[0], n, o[1], t))
			sum += weight[t]
		}
		for t, w := range weight {
			out += w / sum * float64(v.Data[v.Offset(o[0], t, m*e+o[2]%e)])
		}
		return float32(out)
	})
}

func TestAttend(t *testing.T) {
	t.Parallel()
	q, k, v := random(2, 5, 24), random(2, 7, 24), random(2, 7, 24)
	few, fewV := random(2, 7, 12), random(2, 7, 12)
	square, squareV := random(2, 5, 24), random(2, 5, 24)
	bias, shared := random(2, 4, 5, 7), random(1, 1, 5, 7)
	mask := []int32{1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 1}
	const scale = 0.3
	none := func(_, _, _, _ int) float64 { return 0 }
	hidden := func(b, _, _, t int) float64 {
		if mask[b*7+t] == 0 {
			return math.Inf(-1)
		}
		return 0
	}
	dims := []string{"B", "S", "24"}
	keys := []string{"B", "T", "24"}
	feeds := []feed{symbolic(q, dims...), symbolic(k, keys...), symbolic(v, keys...)}
	masked := feed{Value: ort.Int32s(mask, 2, 7), Shape: onnx.Shape{onnx.Sym("B"), onnx.Sym("T")}}
	cases := []struct {
		name  string
		feeds []feed
		build func(g *onnx.Graph, in []*onnx.Value) *onnx.Value
		want  array
	}{
		{"plain", feeds, func(g *onnx.Graph, in []*onnx.Value) *onnx.Value {
			return g.Attend(in[0], in[1], in[2], onnx.Attention{Heads: 4, Scale: scale})
		}, attend(q, k, v, 4, 4, scale, none)},
		{"bias", append(feeds[:3:3], symbolic(bias, "B", "4", "S", "T")), func(g *onnx.Graph, in []*onnx.Value) *onnx.Value {
			return g.Attend(in[0], in[1], in[2], onnx.Attention{Heads: 4, Scale: scale, Bias: in[3]})
		}, attend(q, k, v, 4, 4, scale, func(b, n, s, t int) float64 { return float64(bias.Data[bias.Offset(b, n, s, t)]) })},
		{"bias of all rows and heads", append(feeds[:3:3], symbolic(shared, "1", "1", "S", "T")), func(g *onnx.Graph, in []*onnx.Value) *onnx.Value {
			return g.Attend(in[0], in[1], in[2], onnx.Attention{Heads: 4, Scale: scale, Bias: in[3]})
		}, attend(q, k, v, 4, 4, scale, func(_, _, s, t int) float64 { return float64(shared.Data[shared.Offset(0, 0, s, t)]) })},
		{"key mask", append(feeds[:3:3], masked), func(g *onnx.Graph, in []*onnx.Value) *onnx.Value {
			return g.Attend(in[0], in[1], in[2], onnx.Attention{Heads: 4, Scale: scale, KeyMask: in[3]})
		}, attend(q, k, v, 4, 4, scale, hidden)},
		{"key mask and bias", append(feeds[:3:3], masked, symbolic(shared, "1", "1", "S", "T")), func(g *onnx.Graph, in []*onnx.Value) *onnx.Value {
			return g.Attend(in[0], in[1], in[2], onnx.Attention{Heads: 4, Scale: scale, KeyMask: in[3], Bias: in[4]})
		}, attend(q, k, v, 4, 4, scale, func(b, n, s, t int) float64 {
			return hidden(b, n, s, t) + float64(shared.Data[shared.Offset(0, 0, s, t)])
		})},
		{"grouped queries", []feed{feeds[0], symbolic(few, "B", "T", "12"), symbolic(fewV, "B", "T", "12")}, func(g *onnx.Graph, in []*onnx.Value) *onnx.Value {
			return g.Attend(in[0], in[1], in[2], onnx.Attention{Heads: 4, KVHeads: 2, Scale: scale})
		}, attend(q, few, fewV, 4, 2, scale, none)},
		{"causal", []feed{feeds[0], symbolic(square, dims...), symbolic(squareV, dims...)}, func(g *onnx.Graph, in []*onnx.Value) *onnx.Value {
			return g.Attend(in[0], in[1], in[2], onnx.Attention{Heads: 4, Scale: scale, Causal: true})
		}, attend(q, square, squareV, 4, 4, scale, func(_, _, s, t int) float64 {
			if t > s {
				return math.Inf(-1)
			}
			return 0
		})},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			same(t, compute(t, c.feeds, c.build), c.want)
		})
	}
}

func TestRotaryEmbedding(t *testing.T) {
	t.Parallel()
	const heads, d = 2, 8
	x, angles := random(2, 5, heads*d), random(1, 5, d/2)
	cos := filled(angles.Shape, func(o []int) float32 { return float32(math.Cos(float64(angles.Data[angles.Offset(o...)]))) })
	sin := filled(angles.Shape, func(o []int) float32 { return float32(math.Sin(float64(angles.Data[angles.Offset(o...)]))) })
	for name, interleaved := range map[string]bool{"interleaved": true, "half": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			feeds := []feed{symbolic(x, "B", "S", "16"), symbolic(cos, "1", "S", "4"), symbolic(sin, "1", "S", "4")}
			got := compute(t, feeds, func(g *onnx.Graph, in []*onnx.Value) *onnx.Value {
				return g.RotaryEmbedding(in[0], in[1], in[2], heads, interleaved)
			})
			same(t, got, filled(x.Shape, func(o []int) float32 {
				i := o[2] % d
				pair, first, partner := i%(d/2), i < d/2, o[2]+d/2
				if !first {
					partner = o[2] - d/2
				}
				if interleaved {
					pair, first, partner = i/2, i%2 == 0, o[2]^1
				}
				c, s := cos.Data[cos.Offset(0, o[1], pair)], sin.Data[sin.Offset(0, o[1], pair)]
				if first {
					s = -s
				}
				return x.Data[x.Offset(o...)]*c + x.Data[x.Offset(o[0], o[1], partner)]*s
			}))
		})
	}
}

// TestKeyMasksKeepTheFastPath: in float32 no attention operator has a mask, and two layers share the values that hide the
// keys.
func TestKeyMasksKeepTheFastPath(t *testing.T) {
	t.Parallel()
	for compute, want := range map[dtype.DType][2]int{dtype.F32: {3, 1}, dtype.F16: {5, 0}} {
		g, err := onnx.Build("g", func(g *onnx.Graph) error {
			x := g.Input("x", compute, onnx.Sym("B"), onnx.Sym("T"), onnx.D(16))
			a := onnx.Attention{Heads: 2, Scale: 1, KeyMask: g.Input("mask", dtype.I32, onnx.Sym("B"), onnx.Sym("T"))}
			y := g.Attend(x, x, x, a)
			g.Output("y", g.Attend(y, y, y, a))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		attentions, subs := 0, 0
		g.Walk(func(n onnx.Node) {
			switch n.Op {
			case "MultiHeadAttention":
				attentions++
				if len(n.In) != want[0] {
					t.Errorf("%s: the attention has %d inputs, want %d", compute, len(n.In), want[0])
				}
			case "Sub":
				subs++
			}
		})
		if attentions != 2 || subs != want[1] {
			t.Errorf("%s: %d attentions, %d masks made", compute, attentions, subs)
		}
	}
}
