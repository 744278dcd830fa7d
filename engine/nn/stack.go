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

// LinearStack is Linear of one x [B,in] with the weights of several scopes, which have the same number of rows: one product for
// those that it can be written for. A result is nil where it cannot; it is left to Linear then.
func (b *Builder) LinearStack(scopes []*weights.Scope, x *onnx.Value, out int) []*onnx.Value {
	results := make([]*onnx.Value, len(scopes))
	var matrices, biases []*weights.Ref
	var places []int
	const most = 32 // results that one Split may have to be one kernel
	for i, s := range scopes {
		if len(places) == most {
			break
		}
		b.At(s.Prefix())
		r, bias := b.linearWeight(s, out, x.Dim(-1).N), s.Optional("bias", out)
		if bias != nil && b.stackable(s, r, bias) {
			matrices, biases, places = append(matrices, r), append(biases, bias), append(places, i)
		}
	}
	if len(places) < 2 {
		return results
	}
	rows := len(places) * out
	sizes := make([]int, len(places))
	for i := range sizes {
		sizes[i] = out
	}
	y := b.Add(b.MatMulT(x, b.stacked(matrices, rows, x.Dim(-1).N)), b.stacked(biases, rows))
	for i, part := range b.Split(y, -1, sizes...) {
		results[places[i]] = part
	}
	return results
}

// PackedQKV is the projection of x [B,S,in] to queries, keys and values by the weights of three scopes without bias, as one product
// [B,S,heads,3,D] that PackedAttention takes. It is nil where it cannot be written so.
func (b *Builder) PackedQKV(q, k, v *weights.Scope, x *onnx.Value, out, heads int) *onnx.Value {
	in := x.Dim(-1).N
	if x.DType != dtype.F16 || out%heads != 0 { // its kernel takes no bfloat16
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
