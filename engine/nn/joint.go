package nn

import "comfygo/engine/onnx"

// Stream is one kind of tokens in a joint attention, such as text or image: q, k and v [B,S,N*D] each. Tokens without q are
// attended to and do not attend; they come last.
type Stream struct{ Q, K, V *onnx.Value }

// Rotary are the angles by which queries and keys are rotated, cosines and sines [1 or B,S,D/2].
type Rotary struct {
	Cos, Sin *onnx.Value
	// Interleaved pairs neighbouring elements of a head; otherwise an element of the first half goes with one of the second.
	Interleaved bool
}

// Rotate applies the angles to x [B,S,heads*D]; r may be nil.
func (b *Builder) Rotate(x *onnx.Value, r *Rotary, heads int) *onnx.Value {
	if r == nil {
		return x
	}
	return b.RotaryEmbedding(x, r.Cos, r.Sin, heads, r.Interleaved)
}

// JointAttention lets the tokens of all streams attend to each other: they are joined in the given order, rotated by rope
// (nil for none; its angles are those of the joined tokens), attended to as a says, and cut into one result [B,S,N*D] for
// each stream with q. The bias and the key mask of a are those of the joined tokens too.
func (b *Builder) JointAttention(a onnx.Attention, rope *Rotary, streams ...Stream) []*onnx.Value {
	var q, k, v []*onnx.Value
	for _, s := range streams {
		if s.Q != nil {
			q = append(q, s.Q)
		}
		k, v = append(k, s.K), append(v, s.V)
	}
	ropeQ, queries := rope, b.tokens(q)
	if rope != nil && len(q) < len(streams) {
		first := func(x *onnx.Value) *onnx.Value { return b.SliceDims(x, 1, onnx.D(0), queries.Dim(1)) }
		ropeQ = &Rotary{Cos: first(rope.Cos), Sin: first(rope.Sin), Interleaved: rope.Interleaved}
	}
	kv := a.KVHeads
	if kv == 0 {
		kv = a.Heads
	}
	y := b.Attend(b.Rotate(queries, ropeQ, a.Heads), b.Rotate(b.tokens(k), rope, kv), b.tokens(v), a)
	if len(q) == 1 {
		return []*onnx.Value{y}
	}
	out := make([]*onnx.Value, len(q))
	from := onnx.D(0)
	for i, x := range q {
		to := from.Plus(x.Dim(1))
		out[i] = b.SliceDims(y, 1, from, to)
		from = to
	}
	return out
}

// tokens joins streams along their tokens.
func (b *Builder) tokens(xs []*onnx.Value) *onnx.Value {
	if len(xs) == 1 {
		return xs[0]
	}
	return b.Concat(1, xs...)
}
