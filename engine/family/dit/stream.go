package dit

import (
	"math"

	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// MLPKind is the form of the feed-forward layers of Streams.
type MLPKind int

// The forms.
const (
	// GELU is linear, GELU in its tanh form, linear.
	GELU MLPKind = iota
	// SiLUGate is linear to twice the width, SiLU of the first half times the second, linear.
	SiLUGate
	// NamedGate is SiLUGate with the two halves in layers of their own: gate_proj, up_proj, down_proj.
	NamedGate
)

// Streams are the blocks of Flux and of the models made after it: text and image tokens attend together, first in double
// blocks with weights of their own for each, then joined in single blocks whose attention and feed-forward layers run side
// by side. Upstream: ldm/flux/layers.py DoubleStreamBlock, SingleStreamBlock.
type Streams struct {
	// Hidden is the width of a token, Heads the number of attention heads, MLP the width inside feed-forward layers.
	Hidden, Heads, MLP int
	Kind               MLPKind
	// KeyMask, when set, is 0 for the keys that no query attends to, int32 [B,S].
	KeyMask *onnx.Value
	// Seen, when set, is called with the keys and values [B,S,C] of the image tokens of a double block and of all tokens of a
	// single one; its result, unless nil, is further keys and values after them.
	Seen func(k, v *onnx.Value) *nn.Stream
}

// Mod is the modulation of a layer: shift, scale and gate, [B,1,C] each.
type Mod struct {
	Shift, Scale, Gate *onnx.Value
	// Whole reports that Scale is the whole factor: one has been added.
	Whole bool
	// Rest, when set, is the modulation of the tokens from From on.
	Rest *Mod
	From onnx.Dim
}

// Mods converts a vector to n modulations [B,n*3*C].
func Mods(b *nn.Builder, v *onnx.Value, n int) []Mod {
	parts := b.Chunks(v, 3*n)
	out := make([]Mod, n)
	for i := range out {
		out[i] = Mod{Shift: parts[3*i], Scale: parts[3*i+1], Gate: parts[3*i+2]}
	}
	return out
}

// StackedMods converts one vector [B,in] to n modulations for each of several layers [n*3*C], if the target computes them in one
// product. They are nil for a layer that is left to Mods.
func StackedMods(b *nn.Builder, layers []*weights.Scope, vector *onnx.Value, n, hidden int) [][]Mod {
	out := make([][]Mod, len(layers))
	if !b.Target.CUDA {
		return out
	}
	parts := make([][]*onnx.Value, 3*n)
	for k := range parts {
		rows := make([]nn.Rows, len(layers))
		for i, s := range layers {
			rows[i] = nn.Rows{Scope: s, From: k * hidden, Total: 3 * n * hidden}
		}
		more := float32(0)
		if k%3 == 1 { // the scale
			more = 1
		}
		parts[k] = b.LinearStack(rows, vector, hidden, more)
	}
	for i := range layers {
		for k := 0; k < len(parts) && parts[k][i] != nil; k += 3 {
			part := func(j int) *onnx.Value { return b.Unsqueeze(parts[k+j][i], 1) }
			out[i] = append(out[i], Mod{Shift: part(0), Scale: part(1), Gate: part(2), Whole: true})
		}
	}
	return out
}

// Then returns the modulations with those of rest for the tokens from From on.
func Then(mods, rest []Mod, from onnx.Dim) []Mod {
	out := make([]Mod, len(mods))
	for i, m := range mods {
		m.Rest, m.From = &rest[i], from
		out[i] = m
	}
	return out
}

const normEpsilon = 1e-6

func (m Mod) each(b *nn.Builder, x *onnx.Value, f func(m Mod, from, to onnx.Dim) *onnx.Value) *onnx.Value {
	if m.Rest == nil {
		return f(m, onnx.D(0), x.Dim(1))
	}
	return b.Concat(1, f(m, onnx.D(0), m.From), f(*m.Rest, m.From, x.Dim(1)))
}

func cut(b *nn.Builder, x *onnx.Value, from, to onnx.Dim) *onnx.Value {
	if from.Is(0) && to == x.Dim(1) {
		return x
	}
	return b.SliceDims(x, 1, from, to)
}

// Apply is the layer norm of x without learned values, modulated.
func (m Mod) Apply(b *nn.Builder, x *onnx.Value) *onnx.Value {
	return m.each(b, x, func(m Mod, from, to onnx.Dim) *onnx.Value {
		if m.Whole {
			return b.Graph.LayerNorm(cut(b, x, from, to), m.Scale, m.Shift, normEpsilon)
		}
		return b.Modulate(cut(b, x, from, to), m.Shift, m.Scale, normEpsilon)
	})
}

// Add is x + gate·y.
func (m Mod) Add(b *nn.Builder, x, y *onnx.Value) *onnx.Value {
	return m.each(b, x, func(m Mod, from, to onnx.Dim) *onnx.Value {
		return b.Gated(cut(b, x, from, to), cut(b, y, from, to), m.Gate)
	})
}

// Attention is how heads of equal width attend.
func (c Streams) Attention(bias *onnx.Value) onnx.Attention {
	return onnx.Attention{Heads: c.Heads, Scale: float32(1 / math.Sqrt(float64(c.Hidden)/float64(c.Heads))), Bias: bias, KeyMask: c.KeyMask}
}

// streams are the streams that attend together, with the additions of Seen.
func (c Streams) streams(list ...nn.Stream) []nn.Stream {
	if c.Seen == nil {
		return list
	}
	last := list[len(list)-1]
	if more := c.Seen(last.K, last.V); more != nil {
		list = append(list, *more)
	}
	return list
}

// stream makes the queries, keys and values of one kind of tokens from rows of the layer at s and normalises them by norm.
func (c Streams) stream(b *nn.Builder, s, norm *weights.Scope, x *onnx.Value, total int) nn.Stream {
	h := c.Hidden
	rows := func(i int) *onnx.Value { return b.LinearRows(s, x, total, i*h, h) }
	if b.Target.CUDA { // one product and one Split cost less than three products with a bias each
		parts := b.Split(b.LinearRows(s, x, total, 0, 3*h), -1, h, h, h)
		rows = func(i int) *onnx.Value { return parts[i] }
	}
	return nn.Stream{
		Q: b.HeadRMSNorm(norm.At("query_norm"), rows(0), c.Heads, F32Epsilon),
		K: b.HeadRMSNorm(norm.At("key_norm"), rows(1), c.Heads, F32Epsilon),
		V: rows(2),
	}
}

// Double writes a double block: img [B,I,C] and txt [B,T,C] with two modulations each. rope and bias are those of the text
// tokens followed by the image tokens.
func (c Streams) Double(b *nn.Builder, s *weights.Scope, img, txt *onnx.Value, im, tm []Mod, rope *nn.Rotary, bias *onnx.Value) (newImg, newTxt *onnx.Value) {
	image := c.stream(b, s.At("img_attn", "qkv"), s.At("img_attn", "norm"), im[0].Apply(b, img), 3*c.Hidden)
	text := c.stream(b, s.At("txt_attn", "qkv"), s.At("txt_attn", "norm"), tm[0].Apply(b, txt), 3*c.Hidden)
	y := b.JointAttention(c.Attention(bias), rope, c.streams(text, image)...)

	img = im[0].Add(b, img, b.Linear(s.At("img_attn", "proj"), y[1], c.Hidden))
	img = im[1].Add(b, img, c.feedForward(b, s.At("img_mlp"), im[1].Apply(b, img)))
	txt = tm[0].Add(b, txt, b.Linear(s.At("txt_attn", "proj"), y[0], c.Hidden))
	txt = tm[1].Add(b, txt, c.feedForward(b, s.At("txt_mlp"), tm[1].Apply(b, txt)))
	return img, HalfSafe(b, txt)
}

func (c Streams) feedForward(b *nn.Builder, s *weights.Scope, x *onnx.Value) *onnx.Value {
	switch c.Kind {
	case SiLUGate:
		gate, value := b.LinearRows(s.At("0"), x, 2*c.MLP, 0, c.MLP), b.LinearRows(s.At("0"), x, 2*c.MLP, c.MLP, c.MLP)
		return b.Linear(s.At("2"), b.SwiGLU(value, gate), c.Hidden)
	case NamedGate:
		return b.Linear(s.At("down_proj"), b.SwiGLU(b.Linear(s.At("up_proj"), x, c.MLP), b.Linear(s.At("gate_proj"), x, c.MLP)), c.Hidden)
	}
	return b.Linear(s.At("2"), b.LinearRowsGelu(s.At("0"), x, c.MLP, 0, c.MLP), c.Hidden)
}

// Single writes a single block on joined tokens x [B,S,C].
func (c Streams) Single(b *nn.Builder, s *weights.Scope, x *onnx.Value, m Mod, rope *nn.Rotary, bias *onnx.Value) *onnx.Value {
	first, h := s.At("linear1"), c.Hidden
	total := 3*h + c.MLP
	if c.Kind != GELU {
		total += c.MLP
	}
	y := m.Apply(b, x)
	attended := b.JointAttention(c.Attention(bias), rope, c.streams(c.stream(b, first, s.At("norm"), y, total))...)[0]
	rows := func(i int) *onnx.Value { return b.LinearRows(first, y, total, 3*h+i*c.MLP, c.MLP) }
	var fed *onnx.Value
	switch c.Kind {
	case SiLUGate:
		fed = b.SwiGLU(rows(1), rows(0))
	case NamedGate:
		fed = b.SwiGLU(rows(0), rows(1))
	default:
		fed = b.LinearRowsGelu(first, y, total, 3*h, c.MLP)
	}
	return HalfSafe(b, m.Add(b, x, b.Linear(s.At("linear2"), b.Concat(2, attended, fed), h)))
}

// Last writes the last layer: x [B,S,C] modulated by shift and scale of the vector v [B,C], to out values a token.
func (c Streams) Last(b *nn.Builder, s *weights.Scope, x, v *onnx.Value, out int) *onnx.Value {
	parts := b.Chunks(b.Linear(s.At("adaLN_modulation", "1"), b.SiLU(v), 2*c.Hidden), 2)
	return b.Linear(s.At("linear"), b.Modulate(x, parts[0], parts[1], normEpsilon), out)
}
