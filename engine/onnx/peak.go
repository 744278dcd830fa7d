package onnx

import (
	"maps"
	"slices"
	"strings"
)

// SessionBytes is the memory of a session on the CPU beside weights and Peak, independent of the size. Measured with tools/activations, as
// are the rules of Peak: of 24 runs of nine models from 75 to 800 MiB the estimates were 0.76 to 1.18 of the peak, and 0.92 in the middle.
const SessionBytes = 12 << 20

// Peak returns the bytes of memory that a run of the graph on the CPU takes for the given values of its symbols: the inputs, which are
// there twice, and what ONNX Runtime's arena grows to by what operators write until nothing reads it any more. Operators run
// in ONNX Runtime's order, and results take the memory that its planner gives them. Weights and constants do not count.
func (g *Graph) Peak(symbols map[string]int) (int64, error) {
	if len(g.counts) > 0 {
		symbols = maps.Clone(symbols)
	}
	for _, c := range g.counts {
		n, err := c.usual.Eval(symbols)
		if err != nil {
			return 0, err
		}
		symbols[c.name] = n
	}
	p := peak{symbols: symbols, known: map[Dim]int64{}, buffers: map[*Value]*buffer{}, left: map[*Value]int{}, vague: map[*Value]bool{}}
	for i := range g.nodes {
		for _, v := range g.nodes[i].in {
			p.left[v]++
		}
	}
	inputs := int64(0)
	for _, v := range g.inputs {
		inputs += 2 * p.bytes(v)
	}
	for _, v := range g.outputs {
		p.left[v]++
	}
	order := g.order()
	for at, i := range order {
		p.plan(at, &g.nodes[i])
	}
	p.lay(g, order)
	return inputs + p.arena.touched(), p.err
}

// order lists the operators in the order in which ONNX Runtime runs them: each after its inputs; among operators that are
// ready, the one written last runs first. Source: onnxruntime core/graph/graph_viewer.cc, Graph::ReverseDFSFrom.
func (g *Graph) order() []int {
	makers, read := map[*Value]int{}, make([]bool, len(g.nodes))
	for i := range g.nodes {
		for _, v := range g.nodes[i].out {
			makers[v] = i
		}
	}
	for i := range g.nodes {
		for _, v := range g.nodes[i].in {
			if from, ok := makers[v]; ok {
				read[from] = true
			}
		}
	}
	type visit struct {
		node int
		left bool // its operands have been visited
	}
	var stack []visit
	for i, r := range read {
		if !r {
			stack = append(stack, visit{node: i})
		}
	}
	out, seen := make([]int, 0, len(g.nodes)), make([]bool, len(g.nodes))
	for len(stack) > 0 {
		v := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if v.left {
			out = append(out, v.node)
			continue
		}
		if seen[v.node] {
			continue
		}
		seen[v.node] = true
		stack = append(stack, visit{v.node, true})
		var from []int
		for _, in := range g.nodes[v.node].in {
			if i, ok := makers[in]; ok && !seen[i] {
				from = append(from, i)
			}
		}
		slices.Sort(from)
		for _, i := range from {
			stack = append(stack, visit{node: i})
		}
	}
	return out
}

// mostBytes bounds the size of a value, so that sums do not wrap around.
const mostBytes = 1 << 50

// buffer is memory that values take one after another.
type buffer struct {
	bytes int64
	// users counts the values that are in it, value is the last one's. first and last are the steps at which it is taken and given back.
	users       int
	value       *Value
	first, last int
	// placed reports that the caller has memory for it.
	placed bool
	span   span
}

// peak runs a graph in mind.
type peak struct {
	symbols map[string]int
	known   map[Dim]int64
	buffers map[*Value]*buffer
	all     []*buffer
	// free are buffers that no value is in, the one that was left last at the end.
	free []*buffer
	// left counts the remaining reads of a value.
	left map[*Value]int
	// vague reports values whose shape the planner does not know: results of matrices that are decoded just before their use.
	vague map[*Value]bool
	arena arena
	// gpu reports that CUDA's operators run; placed are values that the caller has memory for.
	gpu    bool
	placed map[*Value]bool
	err    error
}

func (p *peak) bytes(v *Value) int64 {
	n := int64(v.DType.Size())
	for _, d := range v.Shape {
		size := p.size(d)
		if size > 0 && n > mostBytes/size {
			return mostBytes
		}
		n *= size
	}
	return n
}

// size is the value of a dimension.
func (p *peak) size(d Dim) int64 {
	size, ok := p.known[d]
	if !ok {
		k, err := d.Eval(p.symbols)
		if err != nil && p.err == nil {
			p.err = err
		}
		size = int64(k)
		p.known[d] = size
	}
	return size
}

// plan gives the results of the operator that runs at a step their memory. Source: onnxruntime core/framework/allocation_planner.cc.
func (p *peak) plan(at int, n *node) {
	for _, v := range n.out {
		if v == nil {
			continue
		}
		p.vague[v] = n.op == "Dequantize" || n.op != "Reshape" && slices.ContainsFunc(n.in, func(x *Value) bool { return p.vague[x] })
		b := p.place(n, v)
		if b == nil && !p.vague[v] && !p.placed[v] {
			b = p.reused(v)
		}
		if b == nil {
			b = &buffer{bytes: p.bytes(v), first: at, placed: p.placed[v]}
			p.all = append(p.all, b)
		}
		b.users++
		b.value, b.last = v, at
		p.buffers[v] = b
	}
	for _, v := range n.in {
		if b := p.buffers[v]; b != nil {
			b.last = at
		}
		if p.left[v]--; p.left[v] == 0 {
			p.leave(v)
		}
	}
	for _, v := range n.out {
		if v != nil && p.left[v] == 0 {
			p.leave(v)
		}
	}
}

// leave marks a value as no longer read.
func (p *peak) leave(v *Value) {
	b := p.buffers[v]
	if b == nil { // an input, a weight or a constant
		return
	}
	if b.users--; b.users == 0 {
		p.free = append(p.free, b)
	}
}

// reused returns a free buffer of a value's very shape, as far as the planner knows shapes: sizes that are numbers or symbols.
func (p *peak) reused(v *Value) *buffer {
	for _, d := range v.Shape {
		if !d.Known() && !isName(d.expr) {
			return nil
		}
	}
	for i := len(p.free) - 1; i >= 0; i-- {
		if b := p.free[i]; !p.vague[b.value] && b.value.DType == v.DType && b.value.Shape.Equal(v.Shape) {
			p.free = slices.Delete(p.free, i, i+1)
			return b
		}
	}
	return nil
}

func isName(s string) bool {
	return !strings.ContainsAny(s, "+-*/() ")
}

// lay takes the buffers from the arena and gives them back, step by step.
func (p *peak) lay(g *Graph, order []int) {
	starts, ends := make([][]*buffer, len(order)), make([][]*buffer, len(order))
	for _, b := range p.all {
		starts[b.first] = append(starts[b.first], b)
		if b.users == 0 {
			ends[b.last] = append(ends[b.last], b)
		}
	}
	for at, i := range order {
		for _, b := range starts[at] {
			if !b.placed {
				b.span = p.arena.take(b.bytes)
			}
		}
		var scratch []span
		for _, bytes := range p.scratch(&g.nodes[i]) {
			scratch = append(scratch, p.arena.take(bytes))
		}
		for _, s := range scratch {
			s.free()
		}
		for _, b := range ends[at] {
			if !b.placed {
				b.span.free()
			}
		}
	}
}

// scratch lists the temporary buffers of an operator: attention lays out queries, keys and values by head first, and where a bias or the order
// hides keys it holds all products; GELU and the norm by the root of the mean square compute beside their operand; linear layers pack some of their
// rows; convolutions transform some of their tiles.
func (p *peak) scratch(n *node) []int64 {
	if p.gpu {
		return p.scratchOnGPU(n)
	}
	switch n.op {
	case "MultiHeadAttention":
		if len(n.in) == 1 {
			return []int64{p.bytes(n.in[0])}
		}
		q, k := n.in[0], n.in[1]
		out := []int64{p.bytes(q), p.bytes(k), p.bytes(n.in[2])}
		if len(n.in) > 3 || n.number("unidirectional") != 0 {
			out = append(out, p.bytes(&Value{DType: q.DType, Shape: Shape{q.Dim(0), D(int(n.number("num_heads"))), q.Dim(1), k.Dim(1)}}))
		}
		return out
	case "Gelu", "RMSNormalization":
		return []int64{p.bytes(n.in[0])}
	case "Linear":
		const packedRows, fewRows, depth = 128 * 12, 64 * 12, 1280 // linear.c
		x := n.in[1]
		width := x.Dim(-1).N
		if n.number("narrow") == 1 {
			const strip, group, columns = 12, 12 * (256 + 4), 256 // int8.h
			strips := (p.bytes(x)/int64(4*width) + strip - 1) / strip
			return []int64{min(strips, packedRows/strip) * int64((width+columns-1)/columns) * group}
		}
		rows := packedRows
		if width > depth {
			rows = fewRows
		}
		return []int64{min(p.bytes(x)*3/2, int64(4*rows*width))} // parts of numbers, on CPUs with AMX, take half as much again
	case "Conv3x3":
		return p.tiles(n)
	}
	return nil
}

// tiles lists the temporary buffers of a 3x3 convolution: by Winograd's algorithm the transformed tiles in hand, and for each of two
// threads the transformed weights and the products of a group of channels; with AMX in bfloat16 the pixels in hand and the weights of
// two threads, if they are more. Source of the numbers: engine/ort/conv.c.
func (p *peak) tiles(n *node) []int64 {
	out := p.winograd(n)
	if plain := p.pixels(n); n.number("narrow") != 0 && total(plain) > total(out) {
		return plain
	}
	return out
}

func total(bytes []int64) (sum int64) {
	for _, b := range bytes {
		sum += b
	}
	return sum
}

// pixels are the buffers of engine/ort/convbf16.c.
func (p *peak) pixels(n *node) []int64 {
	const step, pixel, zeros, tap, most = 32, 64, 34, 2048, 24 << 20
	x := n.in[1]
	steps, row := (p.size(x.Dim(1))+step-1)/step, p.size(x.Dim(3))+1
	inHand := min(p.size(x.Dim(0))*(p.size(x.Dim(2))+1)-1, max(1, most/(steps*row*pixel)-2))
	taps := steps * 9 * tap
	return []int64{steps * pixel * ((inHand+2)*row + zeros), taps, taps}
}

func (p *peak) winograd(n *node) []int64 {
	const width, rows, most, panels, weights, threads = 32, 12 * 4, 24 << 20, 288, 768 << 10, 2
	x := n.in[1]
	batch, in, high, wide := p.size(x.Dim(0)), p.size(x.Dim(1)), p.size(x.Dim(2)), p.size(x.Dim(3))
	divided := func(side int64) (places, all int64) {
		return (side + 2) * (side + 2), (batch*((high+side-1)/side)*((wide+side-1)/side) + width - 1) / width
	}
	cost := func(places, all int64) int64 { return places * (all*12 + 3) }
	places, all := divided(4)
	if few, many := divided(2); cost(places, all) >= cost(few, many) {
		places, all = few, many
	}
	panel := 4 * places * in * width
	hand := min(all, panels/places, max(1, most/max(1, panel)))
	transformed := max(weights, 4*places*rows*((hand+1)/2*128)) // the larger of the two rules for it
	group := 4*places*hand*rows*width + min(transformed, 4*places*in*rows)
	out := []int64{hand * panel}
	for range threads {
		out = append(out, group)
	}
	return out
}

// number returns an attribute that is a whole number, 0 without it.
func (n *node) number(name string) int64 {
	for _, a := range n.attrs {
		if v, ok := a.val.(int64); ok && a.name == name {
			return v
		}
	}
	return 0
}

// aliases are the operators whose result is the operand, in another shape. inPlace are those that may write their result over an
// operand of its size that nothing else reads.
var (
	aliases = map[string]bool{"Reshape": true, "Squeeze": true, "Unsqueeze": true, "Identity": true, "Flatten": true}
	inPlace = map[string]bool{
		"Add": true, "Sub": true, "Mul": true, "Div": true, "Cast": true, "Clip": true, "Sigmoid": true, "Tanh": true, "Relu": true, "LeakyRelu": true,
		"Exp": true, "Neg": true, "Sqrt": true, "Erf": true, "Gelu": true, "Softmax": true, "Abs": true, "Reciprocal": true,
	}
)

// place returns the buffer of the operand whose memory a result takes, or nil if the result has its own memory. The operator GroupNorm may
// write over its operand, but runs that were measured take memory for its result.
func (p *peak) place(n *node, out *Value) *buffer {
	if aliases[n.op] && len(n.in) > 0 && p.buffers[n.in[0]] != nil {
		return p.buffers[n.in[0]]
	}
	operands := n.in
	if p.gpu {
		if !inPlaceOnGPU[n.op] {
			return nil
		}
		operands = n.in[:1]
	}
	switch {
	case p.gpu:
	case n.op == "Conv3x3" && len(n.in) > 3: // the sum
		operands = n.in[3:]
	case !inPlace[n.op]:
		return nil
	}
	if p.vague[out] {
		return nil
	}
	for _, v := range operands {
		b := p.buffers[v]
		if b != nil && b.users == 1 && p.left[v] == 1 && b.bytes == p.bytes(out) {
			return b
		}
	}
	return nil
}
