package onnx

// GPUArena simulates what ONNX Runtime's arena on a GPU grows to by the runs of graphs, one after another. It extends by the bytes of
// the request (arena_extend_strategy kSameAsRequested), and memory patterns are off. The zero value is an empty arena.
type GPUArena struct {
	arena arena
}

// GPURun describes where the values of a run lie.
type GPURun struct {
	// Symbols are the values of the symbols of the graph's shapes.
	Symbols map[string]int
	// Copied reports that inputs and outputs are on the host, and copied to the GPU and from it through the arena. Otherwise they have
	// memory of their own.
	Copied bool
}

// Run simulates a run of a graph. Weights and constants do not count.
func (a *GPUArena) Run(g *Graph, run GPURun) error {
	g = g.resolved()
	a.arena.exact = true
	p := peak{symbols: run.Symbols, known: map[Dim]int64{}, buffers: map[*Value]*buffer{}, left: map[*Value]int{}, vague: map[*Value]bool{}, gpu: true, placed: map[*Value]bool{}, arena: a.arena}
	for i := range g.nodes {
		for _, v := range g.nodes[i].in {
			p.left[v]++
		}
	}
	var inputs []span
	for _, v := range g.inputs {
		if run.Copied {
			inputs = append(inputs, p.arena.take(p.bytes(v)))
		}
	}
	for _, v := range g.outputs {
		p.left[v]++
		p.placed[v] = !run.Copied
	}
	for _, n := range g.nodes { // the library removes such nodes
		if n.op == "Identity" && p.placed[n.out[0]] {
			p.placed[n.in[0]] = true
		}
	}
	order := g.order()
	for at, i := range order {
		p.plan(at, &g.nodes[i])
	}
	p.lay(g, order)
	for _, s := range inputs {
		s.free()
	}
	for _, b := range p.all { // outputs, which the caller takes
		if b.users > 0 && b.span.in != nil {
			b.span.free()
		}
	}
	a.arena = p.arena
	return p.err
}

// Bytes is the memory that the arena has taken.
func (a *GPUArena) Bytes() int64 {
	n := int64(0)
	for _, r := range a.arena.regions {
		for _, c := range r.chunks {
			n += c.size
		}
	}
	return n
}

// Planner returns the graph without its weights, to simulate runs with: it refers to no source.
func (g *Graph) Planner() *Graph {
	return &Graph{Name: g.Name, nodes: g.nodes, inputs: g.inputs, outputs: g.outputs, counts: g.counts}
}

// The operators of CUDA that may write their result over their operand.
var inPlaceOnGPU = map[string]bool{
	"Clip": true, "Sigmoid": true, "Tanh": true, "Relu": true, "Exp": true, "Neg": true, "Sqrt": true, "Erf": true, "Gelu": true, "Abs": true, "Reciprocal": true,
	"QuickGelu": true, "FastGelu": true,
}

// scratchOnGPU lists the temporary buffers of an operator on CUDA. Group norms hold sums of each group; attention with a bias or by the
// memory-efficient kernel in half precision holds its result in float32.
func (p *peak) scratchOnGPU(n *node) []int64 {
	return nil
}
