package nn

import (
	"fmt"

	"comfygo/engine/dtype"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// Adapters are low-rank changes of a model's weights, such as those of LoRA files, that a graph computes beside the weights:
// y = Wx + up(strength·scale·down(x)). The factors are parameters of the graph (see Factor), so that a session serves all
// adapters that change the same weights.
type Adapters interface {
	// Digest identifies the branches, their factors among them, but not their strengths, and the weights that are computed.
	Digest() string
	// Strengths are the strengths that branches refer to.
	Strengths() []float32
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
	// Scale is the factor of the strength: alpha/rank, or 1.
	Scale float32
	// Strength is the index of the branch's strength.
	Strength int
}

// Structure describes what a graph with the branch depends on. Graphs of branches with the same structures are the same,
// whatever their ranks: a graph joins the branches of a weight, except for those with a mid factor.
func (r Branch) Structure() string {
	return fmt.Sprintf("rows %d+%d mid=%t %s", r.Row, r.Up.Shape[0], r.Mid != nil, common([]Branch{r}))
}

// rank returns the number of channels between Down and Up.
func (r Branch) rank() int { return r.Up.Shape[1] }

// rows returns the part of the branch for rows [from, from+n) of the weight, or false.
func (r Branch) rows(from, n int) (Branch, bool, error) {
	lo, hi := max(from, r.Row), min(from+n, r.Row+r.Up.Shape[0])
	if lo >= hi {
		return r, false, nil
	}
	up, err := r.Up.Rows(lo-r.Row, hi-lo)
	r.Up, r.Row = up, lo-from
	return r, true, err
}

// check reports whether the branch fits a weight of the given shape.
func (r Branch) check(shape []int) error {
	taps := tensor.Count(shape[2:])
	if len(r.Up.Shape) != 2 || r.rank() == 0 {
		return fmt.Errorf("up is %v, wanted two axes", r.Up)
	}
	rank := r.rank()
	down, mid := shape[1]*taps, 0
	if r.Mid != nil {
		down, mid = shape[1], rank*rank*taps
		if len(shape) == 2 {
			return fmt.Errorf("a linear weight takes no mid factor %v", *r.Mid)
		}
		if r.Mid.Count() != mid {
			return fmt.Errorf("mid is %v for rank %d and the weight %v", *r.Mid, rank, shape)
		}
	}
	if r.Down.Count() != rank*down || r.Row < 0 || r.Row+r.Up.Shape[0] > shape[0] {
		return fmt.Errorf("up %v and down %v do not fit the weight %v from row %d on", r.Up, r.Down, shape, r.Row)
	}
	return nil
}

// common returns the narrow element type that all factors of branches are stored in; Invalid when they differ or graphs
// cannot hold the type.
func common(rs []Branch) dtype.DType {
	t := rs[0].Up.DType
	for _, r := range rs {
		if r.Up.DType != t || r.Down.DType != t || r.Mid != nil && r.Mid.DType != t {
			return dtype.Invalid
		}
	}
	if !inGraph(t) {
		return dtype.Invalid
	}
	return t
}

// site is a weight, or some rows of it, that one layer applies.
type site struct {
	key string
	// from is the first row, shape the shape of the rows.
	from  int
	shape []int
}

// chains returns the branches of the site: all without a mid factor together, and each other one by itself.
func (s site) chains(a Adapters) ([][]Branch, error) {
	var joined []Branch
	var single [][]Branch
	for _, r := range a.Branches(s.key) {
		r, any, err := r.rows(s.from, s.shape[0])
		if err == nil && any {
			err = r.check(s.shape)
		}
		switch {
		case err != nil:
			return nil, fmt.Errorf("%w (file %s)", err, r.Up.File)
		case !any:
		case r.Mid == nil:
			joined = append(joined, r)
		default:
			single = append(single, []Branch{r})
		}
	}
	if len(joined) > 0 {
		single = append([][]Branch{joined}, single...)
	}
	return single, nil
}

// chain is a chain of branches in the graph: its factors in the type that is computed in.
type chain struct {
	// down is [rank,in…]; mid, when there is one, [rank,rank,k…], and down's kernel has one tap then.
	down, mid *onnx.Value
	// up is [out,rank…], rows of zeros filling it up to a multiple of the block; strength [rank…] multiplies its columns.
	up, strength *onnx.Value
}

// linearBranches adds the branches of rows [from, from+out) of the weight [..,in] of scope s to their result y for
// x [..,in].
func (b *Builder) linearBranches(s *weights.Scope, from, out, in int, x, y *onnx.Value) *onnx.Value {
	for _, c := range b.chains(s, site{from: from, shape: []int{out, in}}, x, 0) {
		if b.Target.Linear {
			down := b.Graph.Linear(onnx.LinearForm{}, x, c.down, nil, nil)
			y = b.Graph.Linear(onnx.LinearForm{}, b.Mul(down, c.strength), c.up, nil, y)
			continue
		}
		y = b.Add(y, b.MatMulT(b.Mul(b.MatMulT(x, c.down), c.strength), c.up))
	}
	return y
}

// convBranches adds the branches of the convolution weight of scope s, of the given shape, to its result y for x.
func (b *Builder) convBranches(s *weights.Scope, shape []int, x, y *onnx.Value, w onnx.WindowND) *onnx.Value {
	for _, c := range b.chains(s, site{shape: shape}, x, 0) {
		var h *onnx.Value
		if c.mid == nil {
			h = b.Graph.ConvND(x, c.down, nil, 1, w)
		} else {
			h = b.Graph.ConvND(x, c.down, nil, 1, onnx.WindowND{})
			h = b.Graph.ConvND(h, c.mid, nil, 1, w)
		}
		y = b.Add(y, b.Graph.ConvND(b.Mul(h, c.strength), c.up, nil, 1, onnx.WindowND{}))
	}
	return y
}

// blockedBranches returns the sum of the branches of the convolution weight of scope s, of the given shape, as blocked
// convolutions of xb, which is x in the form that they read, and of the optional sum.
func (b *Builder) blockedBranches(s *weights.Scope, shape []int, xb onnx.Blocked, x *onnx.Value, sum *onnx.Blocked, w onnx.Window) *onnx.Blocked {
	block := b.Target.Block
	one := onnx.Window{Stride: 1}
	for _, c := range b.chains(s, site{shape: shape}, x, block) {
		var h onnx.Blocked
		if c.mid == nil {
			h = b.ConvBlocked(xb, b.WidenBlocked(c.down, x, block), nil, nil, w)
		} else {
			h = b.ConvBlocked(xb, b.WidenBlocked(c.down, x, block), nil, nil, one)
			h = b.ConvBlocked(h, b.WidenBlocked(c.mid, x, block), nil, nil, w)
		}
		// The strength goes to the weight: blocked values keep their channels on two axes.
		up := b.WidenBlocked(b.Mul(c.up, c.strength), x, block)
		y := b.ConvBlocked(h, up, nil, sum, one)
		sum = &y
	}
	return sum
}

// adapted reports that the weight of scope s has branches.
func (b *Builder) adapted(s *weights.Scope) bool {
	return b.Adapters != nil && len(b.Adapters.Branches(s.Prefix()+"weight")) > 0
}

// chains declares the factors of the branches at a place of the weight of scope s. x is the other operand of the weight; the
// rank is padded to a multiple of block.
func (b *Builder) chains(s *weights.Scope, at site, x *onnx.Value, block int) []chain {
	if b.Adapters == nil {
		return nil
	}
	at.key = s.Prefix() + "weight"
	found, err := at.chains(b.Adapters)
	if err != nil {
		panic(&onnx.BuildError{Graph: b.Name, Scope: b.Scope(), Op: "LoRA", Message: err.Error()})
	}
	out := make([]chain, len(found))
	for i, rs := range found {
		f := Factor{site: at, chain: i, block: max(block, 1), dtype: b.Target.Compute, compute: b.Target.Compute}
		if t := common(rs); b.Target.Lean && !b.Target.CUDA && t != dtype.Invalid {
			f.dtype = t
		}
		rank := onnx.Sym(fmt.Sprintf("%d*rank%d", f.block, len(b.Parameters())))
		declare := func(r role) *onnx.Value { return b.factor(f, r, rs, rank, x) }
		out[i] = chain{down: declare(down), up: declare(up), strength: declare(strength)}
		if rs[0].Mid != nil {
			out[i].mid = declare(mid)
		}
	}
	return out
}

// factor declares one factor of a chain. One that stays in the file's type is widened just before its use with x, unless the
// operator that it is for does that itself.
func (b *Builder) factor(f Factor, r role, rs []Branch, rank onnx.Dim, x *onnx.Value) *onnx.Value {
	f.role = r
	if r == strength {
		f.dtype = f.compute
	}
	dims := f.dims(rs, rank)
	v := b.Parameter(f.Name(), f.dtype, f, dims...)
	if f.dtype == f.compute || f.block > 1 && r != up || b.Target.Linear && len(f.shape) == 2 {
		return v
	}
	return b.Widen(v, x)
}
