package nn

import (
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// Stack is a Source that gives the bytes of several layouts of form Plain one after another: weights of layers that read the
// same input become one matrix, and their products one.
type Stack []Layout

var _ Source = Stack{}

// Key implements Source.
func (s Stack) Key() string {
	keys := make([]string, len(s))
	for i, l := range s {
		keys[i] = l.Key()
	}
	return "stack(" + strings.Join(keys, ",") + ")"
}

// Entries implements Source.
func (s Stack) Entries() []weights.Entry {
	var out []weights.Entry
	for _, l := range s {
		out = append(out, l.Entries()...)
	}
	return out
}

// InPlace implements Source: the bytes lie apart.
func (s Stack) InPlace() (weights.Entry, bool) { return weights.Entry{}, false }

// Variable implements Source.
func (s Stack) Variable() bool {
	for _, l := range s {
		if l.Variable() {
			return true
		}
	}
	return false
}

// Size implements Source.
func (s Stack) Size() int {
	n := 0
	for _, l := range s {
		n += l.Size()
	}
	return n
}

// Tasks implements Source.
func (s Stack) Tasks(dst []byte, k Kernels) []func() error {
	var tasks []func() error
	for _, l := range s {
		n := min(l.Size(), len(dst))
		tasks = append(tasks, l.Tasks(dst[:n:n], k)...)
		dst = dst[n:]
	}
	return tasks
}

// InParts returns the stored tensors whose concatenated bytes can be used unchanged, or false if some have to be made.
func (s Stack) InParts() ([]weights.Entry, bool) {
	out := make([]weights.Entry, len(s))
	for i, l := range s {
		e, ok := l.InPlace()
		if !ok {
			return nil, false
		}
		out[i] = e
	}
	return out, true
}

// As returns the stack in another element type.
func (s Stack) As(t dtype.DType) Stack {
	out := append(Stack(nil), s...)
	for i := range out {
		out[i].DType = t
	}
	return out
}

// stacked declares a weight of the given shape that is made of refs, one after another.
func (b *Builder) stacked(refs []*weights.Ref, shape ...int) *onnx.Value {
	t := b.Target.Compute
	src := make(Stack, len(refs))
	names := make([]string, len(refs))
	for i, r := range refs {
		names[i] = r.Name
		src[i] = Layout{Entry: r.Entry, Form: Plain, DType: t, Via: b.Target.Weights}
	}
	return b.Weight(strings.Join(names, "+"), t, shape, src)
}

// stackable reports that the weight and bias of scope s, which may be nil, can be a part of a Stack.
func (b *Builder) stackable(s *weights.Scope, r, bias *weights.Ref) bool {
	plain := func(r *weights.Ref) bool { return r == nil || !r.Missing() && r.Entry.Scheme == nil }
	return b.Target.CUDA && r != nil && plain(r) && plain(bias) && !b.adapted(s)
}

// Rows are some rows of the linear layer of a scope, whose weight has Total of them.
type Rows struct {
	*weights.Scope
	From, Total int
}

// LinearStack is LinearRows of one x [B,in] for several layers, out rows of each, plus the number more: one product for many of them.
// A result [B,out] is nil for a layer that is left to LinearRows.
func (b *Builder) LinearStack(layers []Rows, x *onnx.Value, out int, more float32) []*onnx.Value {
	results := make([]*onnx.Value, len(layers))
	var matrices, biases []*weights.Ref
	var places []int
	flush := func() {
		if len(places) > 1 {
			for i, part := range b.stackedProduct(matrices, biases, x, out, more) {
				results[places[i]] = part
			}
		}
		matrices, biases, places = nil, nil, nil
	}
	const most = 32 // results that one Split may have to be one kernel
	for i, l := range layers {
		b.At(l.Prefix())
		r, bias := b.linearWeight(l.Scope, l.Total, x.Dim(-1).N), l.Optional("bias", l.Total)
		if bias == nil || !b.stackable(l.Scope, r, bias) {
			continue
		}
		if out != l.Total {
			r, bias = b.rows(r, l.From, out), b.rows(bias, l.From, out)
		}
		matrices, biases, places = append(matrices, r), append(biases, bias), append(places, i)
		if len(places) == most {
			flush()
		}
	}
	flush()
	return results
}

func (b *Builder) stackedProduct(matrices, biases []*weights.Ref, x *onnx.Value, out int, more float32) []*onnx.Value {
	rows := len(matrices) * out
	sizes := make([]int, len(matrices))
	for i := range sizes {
		sizes[i] = out
	}
	y := b.Add(b.MatMulT(x, b.stacked(matrices, rows, x.Dim(-1).N)), b.stacked(biases, rows))
	if more != 0 {
		y = b.Add(y, b.Const(more))
	}
	return b.Split(y, -1, sizes...)
}

// PackedQKV is the projection of x [B,S,in] to queries, keys and values by the weights of three scopes without bias, as one product
// [B,S,heads,3,D] that PackedAttention takes. It is nil where it cannot be written so.
func (b *Builder) PackedQKV(q, k, v *weights.Scope, x *onnx.Value, out, heads int) *onnx.Value {
	in := x.Dim(-1).N
	if x.DType != dtype.F16 || out%heads != 0 { // its kernel does not support bfloat16
		return nil
	}
	var projections [3]*weights.Ref
	for i, s := range []*weights.Scope{q, k, v} {
		if len(s.Shape("weight")) != 2 || s.Has("bias") {
			return nil
		}
		b.At(s.Prefix())
		r := s.Weight("weight", out, in)
		if !b.stackable(s, r, nil) {
			return nil
		}
		projections[i] = r
	}
	d := out / heads
	refs := make([]*weights.Ref, 0, 3*heads)
	for head := range heads {
		for _, r := range projections {
			e, err := r.Entry.Rows(head*d, d)
			if err != nil {
				return nil
			}
			refs = append(refs, &weights.Ref{Name: r.Name, Entry: e})
		}
	}
	src := make(Stack, len(refs))
	for i, r := range refs {
		src[i] = Layout{Entry: r.Entry, Form: Plain, DType: b.Target.Compute, Via: b.Target.Weights}
	}
	w := b.Weight(projections[0].Name+".packed", b.Target.Compute, []int{3 * out, in}, src)
	return b.Reshape(b.MatMulT(x, w), x.Dim(0), x.Dim(1), onnx.D(heads), onnx.D(3), onnx.D(d))
}
