// Package onnx builds ONNX graphs in memory: every value knows its element type and shape while the
// graph is being written, so a wrong weight or a wrong reshape is an error at the line that makes it.
//
// Sizes that are known only at run time are expressions over symbols (Dim). One graph then serves every size, rather than
// one graph a size with a cache: sessions cost seconds and, on a GPU, their own copy of all weights, while dynamic shapes
// measured no slower than fixed ones (a U-Net step: 4.09 against 4.18 CPU seconds), and CUDA graphs are captured by size
// within a session. A family that wants fixed sizes gives numbers instead of symbols; operators treat both alike. What an
// operator needs at run time, such as the shape of a Reshape with several unknown sizes, is computed in the graph from the
// inputs' shapes, and only where no constant will do.
//
// A graph imports BaseOpset. Operators that need a newer version raise it, and so does bfloat16 where its kernels came
// later; operators that have no bfloat16 kernel compute in float32 between two casts.
//
// The package knows the ONNX format, but not models, weight files or the runtime of the graph. Weights are named and
// described here; their bytes stay where they are (see Initializer.Source). Builder methods panic with a *BuildError on
// misuse; Build recovers it into an ordinary error.
package onnx

import (
	"fmt"
	"slices"
	"strconv"

	"comfygo/engine/dtype"
)

// Domains of the operators that are not part of ONNX itself.
const (
	DomainONNX      = ""
	DomainMicrosoft = "com.microsoft"
	DomainNchwc     = "com.microsoft.nchwc"
	DomainComfygo   = "comfygo"
)

// BaseOpset is the version of ONNX's operators that a graph imports unless one of its operators needs a newer one.
// It is not the newest: ONNX Runtime's CUDA kernels lag behind some schemas (InstanceNormalization has none from 22 on).
const BaseOpset = 21

// Value is an edge of a graph.
type Value struct {
	Name  string
	DType dtype.DType
	Shape Shape
}

// Rank returns the number of dimensions.
func (v *Value) Rank() int { return len(v.Shape) }

// Dim returns dimension i; negative i counts from the end.
func (v *Value) Dim(i int) Dim {
	if i < 0 {
		i += len(v.Shape)
	}
	return v.Shape[i]
}

// Initializer is a weight of the graph. Its bytes are not part of the model: the maker of the session
// provides them under Name, taken from Source, which this package never looks into.
type Initializer struct {
	Name   string
	DType  dtype.DType
	Shape  []int
	Source any
}

// Parameter is an input whose value outlives one run, such as a factor of a LoRA: the caller of the session provides it, taken from
// Source, which this package never looks into. Unlike an initializer it can be exchanged, and its shape may have symbols.
type Parameter struct {
	*Value
	Source any
}

type attr struct {
	name string
	val  any // int64, float32, string, []int64
}

type node struct {
	op, domain string
	in         []*Value // nil for an omitted one
	out        []*Value
	attrs      []attr
}

type constant struct {
	name  string
	dtype dtype.DType
	dims  []int
	raw   []byte
}

// Graph is a graph under construction. It is not safe for concurrent use.
type Graph struct {
	Name    string
	nodes   []node
	inputs  []*Value
	outputs []*Value
	inits   []Initializer
	params  []Parameter
	consts  []constant
	byConst map[string]*Value
	byInit  map[string]*Value
	byDim   map[Dim]*Value
	byMask  map[string]*Value
	last    map[*Value]*Value // the channels-last forms of images
	domains map[string]bool
	counts  []count // of NonZero
	opset   int
	flash   bool // see PreferFlash
	scope   string
	next    int
}

// BuildError is what builder methods panic with.
type BuildError struct {
	Graph, Scope, Op, Message string
}

// Error returns the graph, the place and the operator at which building failed, and the reason.
func (e *BuildError) Error() string {
	return fmt.Sprintf("building graph %s: %s at %q: %s", e.Graph, e.Op, e.Scope, e.Message)
}

// Build runs f on a new graph. A *BuildError that f panics with comes back as the error.
func Build(name string, f func(g *Graph) error) (g *Graph, err error) {
	g = &Graph{
		Name: name, opset: BaseOpset,
		byConst: map[string]*Value{}, byInit: map[string]*Value{}, byDim: map[Dim]*Value{}, byMask: map[string]*Value{}, domains: map[string]bool{},
	}
	defer func() {
		if r := recover(); r != nil {
			be, ok := r.(*BuildError)
			if !ok {
				panic(r)
			}
			g, err = nil, be
		}
	}()
	if err := f(g); err != nil {
		return nil, err
	}
	return g, nil
}

func (g *Graph) fail(op, format string, a ...any) {
	panic(&BuildError{Graph: g.Name, Scope: g.scope, Op: op, Message: fmt.Sprintf(format, a...)})
}

// Fail panics with a *BuildError that names the place, for layers with unsupported arguments.
func (g *Graph) Fail(op, format string, a ...any) { g.fail(op, format, a...) }

// At sets the place that errors and node names refer to, such as "input_blocks.1.0".
func (g *Graph) At(scope string) { g.scope = scope }

// Scope returns the place that At was given last.
func (g *Graph) Scope() string { return g.scope }

// Input declares a graph input.
func (g *Graph) Input(name string, t dtype.DType, shape ...Dim) *Value {
	v := &Value{Name: name, DType: t, Shape: shape}
	g.inputs = append(g.inputs, v)
	return v
}

// Parameter declares an input whose value comes from source; see Parameter.
func (g *Graph) Parameter(name string, t dtype.DType, source any, shape ...Dim) *Value {
	v := &Value{Name: name, DType: t, Shape: shape}
	g.params = append(g.params, Parameter{Value: v, Source: source})
	return v
}

// Output names v as a graph output. The value keeps its own name inside; an Identity carries the new one.
func (g *Graph) Output(name string, v *Value) {
	out := &Value{Name: name, DType: v.DType, Shape: v.Shape}
	g.push(node{op: "Identity", in: []*Value{v}, out: []*Value{out}})
	g.outputs = append(g.outputs, out)
}

// Weight declares an initializer whose bytes come from source at session time. The same name twice is the same weight.
func (g *Graph) Weight(name string, t dtype.DType, shape []int, source any) *Value {
	if v, ok := g.byInit[name]; ok {
		if v.DType != t || !v.Shape.Equal(Dims(shape...)) {
			g.fail("Weight", "%s declared as %s%v and as %s%v", name, v.DType, v.Shape, t, shape)
		}
		return v
	}
	v := &Value{Name: name, DType: t, Shape: Dims(shape...)}
	g.byInit[name] = v
	g.inits = append(g.inits, Initializer{Name: name, DType: t, Shape: append([]int(nil), shape...), Source: source})
	return v
}

// Exchangeable turns the weights for which is returns true into parameters: the caller of the session provides them for each
// run.
func (g *Graph) Exchangeable(is func(Initializer) bool) {
	fixed := g.inits[:0]
	for _, in := range g.inits {
		if is(in) {
			g.params = append(g.params, Parameter{Value: g.byInit[in.Name], Source: in.Source})
		} else {
			fixed = append(fixed, in)
		}
	}
	clear(g.inits[len(fixed):])
	g.inits = fixed
}

// Initializers lists the weights in the order in which they were declared.
func (g *Graph) Initializers() []Initializer { return g.inits }

// Parameters lists the parameters in the order in which they were declared.
func (g *Graph) Parameters() []Parameter { return g.params }

// Inputs lists the inputs that each run is given, without the parameters.
func (g *Graph) Inputs() []*Value { return g.inputs }

// Outputs lists the graph's outputs.
func (g *Graph) Outputs() []*Value { return g.outputs }

// Nodes returns the number of operators.
func (g *Graph) Nodes() int { return len(g.nodes) }

// Opset returns the version of ONNX's operators that the graph imports.
func (g *Graph) Opset() int { return g.opset }

// need raises the opset to the version in which an operator, or its kernel for an element type, appeared.
func (g *Graph) need(version int) { g.opset = max(g.opset, version) }

// Node is an operator of a graph as Walk shows it. An omitted input is nil.
type Node struct {
	Op, Domain string
	In, Out    []*Value
}

// Walk calls f for each operator in the order of execution.
func (g *Graph) Walk(f func(Node)) {
	for i := range g.nodes {
		n := &g.nodes[i]
		f(Node{Op: n.op, Domain: n.domain, In: n.in, Out: n.out})
	}
}

// ComputesShapes reports whether the graph computes sizes, from the shapes of its inputs or from values. ONNX Runtime does that on the
// CPU, whatever the device.
func (g *Graph) ComputesShapes() bool {
	return slices.ContainsFunc(g.nodes, func(n node) bool { return n.op == "Shape" || n.op == "NonZero" })
}

func (g *Graph) push(n node) {
	g.present(n.in)
	g.domains[n.domain] = true
	g.nodes = append(g.nodes, n)
}

// op appends an operator with one output.
func (g *Graph) op(domain, op string, t dtype.DType, shape Shape, in []*Value, attrs ...attr) *Value {
	return g.ops(domain, op, []*Value{{DType: t, Shape: shape}}, in, attrs...)[0]
}

// ops appends an operator with the given outputs, which get their names here. A nil input is an omitted one.
func (g *Graph) ops(domain, op string, out, in []*Value, attrs ...attr) []*Value {
	for _, v := range out {
		g.next++
		v.Name = "v" + strconv.Itoa(g.next)
	}
	g.push(node{op: op, domain: domain, in: in, out: out, attrs: attrs})
	return out
}
