package onnx

import (
	"fmt"

	"comfygo/engine/dtype"
)

// Attention describes how MultiHeadAttention and Attend compute. The zero value of everything but Heads and Scale is off.
type Attention struct {
	// Heads is the number of heads of the queries. KVHeads, when it is set, is the smaller number of heads of keys and
	// values, each of which serves Heads/KVHeads heads of queries (grouped-query attention).
	Heads, KVHeads int
	// Scale multiplies q·kᵀ, usually 1/√D.
	Scale float32
	// Bias, added to the scaled products, has the shape [1 or B, 1 or N, S, T] and the type of q: a position bias, or an
	// additive mask. On the CPU ONNX Runtime then holds all N·S·T products in memory.
	Bias *Value
	// KeyMask, int32 [B,T], is 0 for keys that no query attends to and 1 for the others.
	KeyMask *Value
	// Causal hides later keys from earlier queries. On the CPU ONNX Runtime then holds all N·S·T products in memory.
	Causal bool
}

// Attend computes softmax(q·kᵀ·scale + bias)·v with heads split from the last axis: q [B,S,N*D], k [B,T,M*D] and
// v [B,T,M*E], result [B,S,N*E], where N are the heads of the queries and M those of keys and values.
func (g *Graph) Attend(q, k, v *Value, a Attention) *Value {
	const op = "MultiHeadAttention"
	if a.KVHeads != 0 && a.KVHeads != a.Heads {
		if a.KVHeads < 0 || a.Heads%a.KVHeads != 0 {
			g.fail(op, "%d heads of queries share %d heads of keys", a.Heads, a.KVHeads)
		}
		k, v = g.repeatHeads(k, a.KVHeads, a.Heads/a.KVHeads), g.repeatHeads(v, a.KVHeads, a.Heads/a.KVHeads)
	}
	if q.Rank() != 3 || k.Rank() != 3 || v.Rank() != 3 || k.Dim(-1) != q.Dim(-1) || k.Dim(1) != v.Dim(1) || q.DType != k.DType || q.DType != v.DType {
		g.fail(op, "q %v, k %v and v %v do not match", q.Shape, k.Shape, v.Shape)
	}
	if !q.Dim(-1).Known() || !v.Dim(-1).Known() || a.Heads <= 0 || q.Dim(-1).N%a.Heads != 0 || v.Dim(-1).N%a.Heads != 0 {
		g.fail(op, "widths %v and %v are not divisible by %d heads", q.Dim(-1), v.Dim(-1), a.Heads)
	}
	if m := a.KeyMask; m != nil && (m.DType != dtype.I32 || !m.Shape.Equal(Shape{k.Dim(0), k.Dim(1)})) {
		g.fail(op, "key mask %s%v for keys %v", m.DType, m.Shape, k.Shape)
	}
	if b := a.Bias; b != nil {
		one := func(d, n Dim) bool { return d == n || d.Is(1) }
		if b.DType != q.DType || b.Rank() != 4 || !one(b.Dim(0), q.Dim(0)) || !one(b.Dim(1), D(a.Heads)) || b.Dim(2) != q.Dim(1) || b.Dim(3) != k.Dim(1) {
			g.fail(op, "bias %s%v for q %v and k %v", b.DType, b.Shape, q.Shape, k.Shape)
		}
	}
	if a.KeyMask != nil && a.Bias == nil && !a.Causal && q.DType == dtype.F32 {
		q, k = g.foldKeyMask(q, k, a)
		a.KeyMask = nil
	}
	out := Shape{q.Dim(0), q.Dim(1), v.Dim(2)}
	if g.flash && q.DType == dtype.BF16 && a.Bias == nil && a.KeyMask == nil && !a.Causal && q.Dim(2) == v.Dim(2) {
		g.need(attentionOpset)
		return g.op(DomainONNX, "Attention", q.DType, out, []*Value{q, k, v},
			attr{"q_num_heads", int64(a.Heads)}, attr{"kv_num_heads", int64(a.Heads)}, attr{"scale", a.Scale})
	}
	in := []*Value{q, k, v}
	switch {
	case a.Bias != nil:
		in = append(in, nil, a.KeyMask, a.Bias)
	case a.KeyMask != nil:
		in = append(in, nil, a.KeyMask)
	}
	var unidirectional int64
	if a.Causal {
		unidirectional = 1
	}
	return g.op(DomainMicrosoft, op, q.DType, out, in,
		attr{"num_heads", int64(a.Heads)}, attr{"scale", a.Scale}, attr{"unidirectional", unidirectional})
}

// attentionOpset is the version of ONNX's operators that has Attention.
const attentionOpset = 23

// PreferFlash has attention in bfloat16 written as ONNX's Attention where it can be. ONNX Runtime computes that by FlashAttention on all GPUs, and
// MultiHeadAttention only in float16; but on some GPUs MultiHeadAttention uses cuDNN, which is faster.
func (g *Graph) PreferFlash() { g.flash = true }

// foldKeyMask makes the mask a part of the product: each head of q [B,S,N*D] gets further elements of one, each head of k
// [B,T,N*D] a large negative one for a hidden key. In float32 ONNX Runtime has no attention with a key mask that avoids
// storing all N·S·T products (640 MiB instead of 50 on the CPU for 8 heads and 4,096 tokens), and this costs 8 elements a
// head: CUDA's kernel wants multiples of 8.
func (g *Graph) foldKeyMask(q, k *Value, a Attention) (*Value, *Value) {
	heads := D(a.Heads)
	d := q.Dim(2).N / a.Heads
	more := 8 - d%8
	width := D(a.Heads * (d + more))
	apart := func(x *Value) *Value { return g.Reshape(x, x.Dim(0), x.Dim(1), heads, D(d)) }

	q4 := g.op(DomainONNX, "Pad", q.DType, Shape{q.Dim(0), q.Dim(1), heads, D(d + more)},
		[]*Value{apart(q), g.Ints(0, 0, 0, 0, 0, 0, 0, more), g.Scalar(q.DType, 1)})
	k4 := g.Concat(3, apart(k), g.hidden(k, a, more))
	return g.Reshape(q4, q.Dim(0), q.Dim(1), width), g.Reshape(k4, k.Dim(0), k.Dim(1), width)
}

// hidden is what foldKeyMask appends to the keys, [B,T,N,more]; the layers of a network share it.
func (g *Graph) hidden(k *Value, a Attention, more int) *Value {
	key := fmt.Sprintf("%s %d %d %v", a.KeyMask.Name, a.Heads, more, a.Scale)
	if v, ok := g.byMask[key]; ok {
		return v
	}
	const far = 1e4 // e**-1e4 is zero
	m := g.Sub(g.Cast(a.KeyMask, k.DType), g.Scalar(k.DType, 1))
	m = g.Unsqueeze(g.Mul(m, g.Scalar(k.DType, far/a.Scale)), 2, 3)
	m = g.PadAxes(m, Zeros, []int{0, 0, 0, 0}, []int{0, 0, 0, more - 1})
	v := g.Expand(m, k.Dim(0), k.Dim(1), D(a.Heads), D(more))
	g.byMask[key] = v
	return v
}

// repeatHeads repeats each of the heads of x [B,T,heads*D] the given number of times.
func (g *Graph) repeatHeads(x *Value, heads, times int) *Value {
	width := x.Dim(-1)
	if x.Rank() != 3 || !width.Known() || width.N%heads != 0 {
		g.fail("MultiHeadAttention", "%v has no %d heads", x.Shape, heads)
	}
	b, t, d := x.Dim(0), x.Dim(1), D(width.N/heads)
	y := g.Expand(g.Reshape(x, b, t, D(heads), D(1), d), b, t, D(heads), D(times), d)
	return g.Reshape(y, b, t, D(width.N*times))
}

// MultiHeadAttention is Attend with an optional additive mask: q [B,S,N*D], k and v [B,T,N*D], result [B,S,N*D].
func (g *Graph) MultiHeadAttention(q, k, v, mask *Value, heads int, scale float32, causal bool) *Value {
	return g.Attend(q, k, v, Attention{Heads: heads, Scale: scale, Bias: mask, Causal: causal})
}

// PackedAttention is Attend of queries, keys and values that lie together, qkv [B,S,N,3,D], to each other; the result is [B,S,N*D].
// It is for CUDA alone.
func (g *Graph) PackedAttention(qkv *Value, scale float32) *Value {
	const op = "MultiHeadAttention"
	if qkv.Rank() != 5 || !qkv.Dim(3).Is(3) || !qkv.Dim(2).Known() || !qkv.Dim(4).Known() {
		g.fail(op, "queries, keys and values of shape %v", qkv.Shape)
	}
	heads := qkv.Dim(2).N
	out := Shape{qkv.Dim(0), qkv.Dim(1), D(heads * qkv.Dim(4).N)}
	return g.op(DomainMicrosoft, op, qkv.DType, out, []*Value{qkv}, attr{"num_heads", int64(heads)}, attr{"scale", scale})
}

// RotaryEmbedding rotates the pairs of each head of x [B,S,heads*D] by the angles whose cosines and sines are given,
// [B,S,D/2] each (B may be 1). interleaved pairs elements 2i and 2i+1 of a head, otherwise i and i+D/2.
func (g *Graph) RotaryEmbedding(x, cos, sin *Value, heads int, interleaved bool) *Value {
	const op = "RotaryEmbedding"
	if x.Rank() != 3 || heads < 1 || !x.Dim(2).Known() || x.Dim(2).N%(2*heads) != 0 {
		g.fail(op, "%v has no %d heads of even width", x.Shape, heads)
	}
	want := Shape{x.Dim(0), x.Dim(1), D(x.Dim(2).N / heads / 2)}
	for _, v := range []*Value{cos, sin} {
		if v.Rank() != 3 || v.DType != x.DType || v.Dim(1) != want[1] || v.Dim(2) != want[2] || v.Dim(0) != want[0] && !v.Dim(0).Is(1) {
			g.fail(op, "angles %s%v for %s%v in %d heads", v.DType, v.Shape, x.DType, x.Shape, heads)
		}
	}
	if cos.Dim(0) != want[0] {
		cos, sin = g.Expand(cos, want...), g.Expand(sin, want...)
	}
	var pairs int64
	if interleaved {
		pairs = 1
	}
	g.need(rmsOpset)
	return g.op(DomainONNX, op, x.DType, x.Shape, []*Value{x, cos, sin}, attr{"interleaved", pairs}, attr{"num_heads", int64(heads)})
}
