package nn

import (
	"fmt"
	"slices"

	"comfygo/engine/dtype"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// StrengthsInput is the graph input, float32 [n], with the strengths of the adapters; see Adapters. A graph has it when at
// least one of its weights has a branch.
const StrengthsInput = "lora_strengths"

// Adapters are low-rank changes of a model's weights, such as those of LoRA files, that a graph computes beside the weights:
// y = Wx + strength·scale·up(down(x)). The strengths are an input of the graph, so that other strengths need no other session.
type Adapters interface {
	// Strengths is the number of strengths, the length of StrengthsInput.
	Strengths() int
	// Branches returns the branches of a weight and notes that the graph computes them. key is the weight's name below the
	// model's root scope, such as "input_blocks.1.1.proj_in.weight".
	Branches(key string) []Branch
}

// Branch is one low-rank change of a weight [out,in], or of that of a convolution, [out,in,k,k] or with another number of
// spatial axes.
type Branch struct {
	// Up is [n,rank]; its rows are added to rows Row to Row+n of the weight.
	Up  weights.Entry
	Row int
	// Mid, when set, is a convolution [rank,rank,k,k] between the others; Down is [rank,in] then.
	Mid *weights.Entry
	// Down is [rank,in] or [rank,in,k,k].
	Down weights.Entry
	// Scale is what the strength is multiplied by: alpha/rank, or 1.
	Scale float32
	// Strength is the index of the branch's strength.
	Strength int
}

// rank returns the number of channels between Down and Up.
func (r Branch) rank() int { return r.Up.Shape[1] }

// rows returns what the branch adds to rows [from, from+n) of the weight; false when that is nothing.
func (r Branch) rows(from, n int) (Branch, bool, error) {
	lo, hi := max(from, r.Row), min(from+n, r.Row+r.Up.Shape[0])
	if lo >= hi {
		return r, false, nil
	}
	up, err := r.Up.Rows(lo-r.Row, hi-lo)
	r.Up, r.Row = up, lo-from
	return r, true, err
}

// check tells whether the branch fits a weight of the given shape.
func (r Branch) check(shape []int) error {
	taps := tensor.Count(shape[2:])
	if len(r.Up.Shape) != 2 || r.rank() == 0 {
		return fmt.Errorf("up is %v, wanted two axes", r.Up)
	}
	rank := r.rank()
	down, mid := shape[1]*taps, 0
	if r.Mid != nil {
		down, mid = shape[1], rank*rank*taps
		if r.Mid.Count() != mid {
			return fmt.Errorf("mid is %v for rank %d and the weight %v", *r.Mid, rank, shape)
		}
	}
	if r.Down.Count() != rank*down || r.Row < 0 || r.Row+r.Up.Shape[0] > shape[0] {
		return fmt.Errorf("up %v and down %v do not fit the weight %v from row %d on", r.Up, r.Down, shape, r.Row)
	}
	return nil
}

// branches returns what is added to rows [from, from+shape[0]) of the weight of scope s called "weight"; shape is that of
// these rows.
func (b *Builder) branches(s *weights.Scope, from int, shape []int) []Branch {
	if b.Adapters == nil {
		return nil
	}
	var out []Branch
	for _, r := range b.Adapters.Branches(s.Prefix() + "weight") {
		r, any, err := r.rows(from, shape[0])
		if err == nil && any {
			err = r.check(shape)
			out = append(out, r)
		}
		if err != nil {
			b.refuse(r, err)
		}
	}
	return out
}

// refuse ends the building of the graph.
func (b *Builder) refuse(r Branch, err error) {
	panic(&onnx.BuildError{Graph: b.Name, Scope: b.Scope(), Op: "LoRA", Message: fmt.Sprintf("%v (file %s)", err, r.Up.File)})
}

// strength returns the factors of branches, one for each of their ranks: [sum of ranks], or [1] for a single branch.
func (b *Builder) strength(rs ...Branch) *onnx.Value {
	var index []int
	var scale []float32
	for _, r := range rs {
		for range r.rank() {
			index, scale = append(index, r.Strength), append(scale, r.Scale)
		}
	}
	if len(rs) == 1 {
		index, scale = index[:1], scale[:1]
	}
	key := fmt.Sprint(index, scale)
	if v, ok := b.strengths[key]; ok {
		return v
	}
	v := b.Cast(b.Mul(b.Gather(b.strengthsInput(), b.Ints(index...)), b.Floats(scale, len(scale))), b.Target.Compute)
	if b.strengths == nil {
		b.strengths = map[string]*onnx.Value{}
	}
	b.strengths[key] = v
	return v
}

// strengthsInput returns the input of all strengths, which it declares once.
func (b *Builder) strengthsInput() *onnx.Value {
	for _, in := range b.Inputs() {
		if in.Name == StrengthsInput {
			return in
		}
	}
	return b.Input(StrengthsInput, dtype.F32, onnx.D(b.Adapters.Strengths()))
}

// exact returns a builder of the same graph that does not round weights: the rounding that a user asked for is for the
// model's own weights.
func (b *Builder) exact() *Builder {
	c := *b
	c.Target.Weights = dtype.Invalid
	return &c
}

// linearBranches adds the branches of a linear weight [out,in], called name, to its result y for x [..,in]. The branches
// are joined to one pair of matrices, so that a stack of adapters costs two products a weight.
func (b *Builder) linearBranches(name string, rs []Branch, x, y *onnx.Value, out, in int) *onnx.Value {
	if len(rs) == 0 {
		return y
	}
	var downs, ups []weights.Entry
	rank := 0
	for _, r := range rs {
		if r.Mid != nil {
			b.refuse(r, fmt.Errorf("%s: a linear weight takes no mid factor", name))
		}
		downs = append(downs, b.entry(r)(r.Down.Reshape(r.rank(), in)))
		ups = append(ups, b.entry(r)(r.Up.Place(out, r.rank(), r.Row, 0)))
		rank += r.rank()
	}
	down := b.entry(rs[0])(weights.Concat(0, downs...))
	up := b.entry(rs[0])(weights.Concat(1, ups...))
	e := b.exact()
	h := e.matmul(x, &weights.Ref{Name: name + ".lora_down", Entry: down}, rank, in)
	h = b.Mul(h, b.strength(rs...))
	return b.Add(y, e.matmul(h, &weights.Ref{Name: name + ".lora_up", Entry: up}, out, rank))
}

// entry returns a function that unwraps a derived entry of branch r or ends the building of the graph.
func (b *Builder) entry(r Branch) func(weights.Entry, error) weights.Entry {
	return func(e weights.Entry, err error) weights.Entry {
		if err != nil {
			b.refuse(r, err)
		}
		return e
	}
}

// convBranch is a branch as a chain of convolutions.
type convBranch struct {
	// first and, when there is a mid factor, second lead to the hidden channels; the one with the weight's kernel has its
	// geometry.
	first, second *weights.Ref
	// up is a convolution [out,hidden,1,…] of one tap.
	up       *weights.Ref
	strength *onnx.Value
}

// convBranches prepares the branches of a convolution weight, called name, of the given shape. The hidden channels are
// filled up with zeros to a multiple of block.
func (b *Builder) convBranches(name string, rs []Branch, shape []int, block int) []convBranch {
	var out []convBranch
	for i, r := range rs {
		rank, must := r.rank(), b.entry(r)
		hidden := roundUp(rank, max(block, 1))
		ref := func(what string, e weights.Entry, dims ...int) *weights.Ref {
			return &weights.Ref{Name: fmt.Sprintf("%s.lora_%s%d", name, what, i), Entry: must(e.Reshape(dims...))}
		}
		// As matrices, kernels are columns of their input channels: zeros below and to the right are channels of zeros.
		matrix := func(e weights.Entry, rows, cols int) weights.Entry {
			return must(must(e.Reshape(rank, e.Count()/rank)).Place(rows, cols, 0, 0))
		}
		in, kernel, taps := shape[1], shape[2:], tensor.Count(shape[2:])
		one := slices.Repeat([]int{1}, len(kernel))
		c := convBranch{strength: b.strength(r)}
		if r.Mid == nil {
			c.first = ref("down", matrix(r.Down, hidden, in*taps), append([]int{hidden, in}, kernel...)...)
		} else {
			c.first = ref("down", matrix(r.Down, hidden, in), append([]int{hidden, in}, one...)...)
			c.second = ref("mid", matrix(*r.Mid, hidden, hidden*taps), append([]int{hidden, hidden}, kernel...)...)
		}
		c.up = ref("up", must(r.Up.Place(shape[0], hidden, r.Row, 0)), append([]int{shape[0], hidden}, one...)...)
		out = append(out, c)
	}
	return out
}

// pointwise is the geometry of a 1x1 convolution.
func pointwise() onnx.Window { return onnx.Window{Stride: 1} }
