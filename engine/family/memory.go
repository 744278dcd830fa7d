package family

import (
	"math"
	"sync"

	"comfygo/engine/nn"
	"comfygo/engine/onnx"
)

// Product multiplies sizes, stopping at the largest number there is instead of wrapping around.
func Product(ns ...int) int64 {
	p := int64(1)
	for _, n := range ns {
		if n > 0 && p > math.MaxInt64/int64(n) {
			return math.MaxInt64
		}
		p *= int64(n)
	}
	return p
}

// Activations estimates the bytes that runs of a network's graphs take beside the weights. The zero value is ready; a network
// keeps one, since it remembers graphs and sizes.
type Activations struct {
	mu     sync.Mutex
	graphs map[string]*onnx.Graph
	known  map[string]int64
}

// Of estimates a run of g for the given values of the symbols of its inputs' shapes (onnx.Graph.Peak). A graph that cannot be written takes nothing,
// because running it returns the error; the same applies to a graph with a symbol without a value.
func (a *Activations) Of(g Graph, symbols map[string]int) int64 {
	name := Digest(g.Part, g.Variant)
	key := Digest(name, symbols)
	a.mu.Lock()
	defer a.mu.Unlock()
	if n, ok := a.known[key]; ok {
		return n
	}
	graph := a.graph(name, g)
	if graph == nil {
		return 0
	}
	live, err := graph.Peak(symbols)
	if err != nil {
		return 0
	}
	n := live + onnx.SessionBytes
	if len(a.known) >= mostKnown {
		clear(a.known)
	}
	a.known[key] = n
	return n
}

// mostKnown bounds the sizes that are remembered, and mostGraphs the graphs.
const mostKnown, mostGraphs = 256, 4

// graph returns the graph as it is written for the CPU, or nil if it cannot be written.
func (a *Activations) graph(name string, g Graph) *onnx.Graph {
	if graph, ok := a.graphs[name]; ok {
		return graph
	}
	target, err := nn.TargetFor(nn.TargetOptions{Linear: true, MapWeights: true})
	if err != nil {
		return nil
	}
	graph, err := g.Build(Spec{Target: target})
	if err != nil {
		graph = nil
	}
	if a.graphs == nil || len(a.graphs) >= mostGraphs {
		a.graphs = map[string]*onnx.Graph{}
	}
	if a.known == nil {
		a.known = map[string]int64{}
	}
	a.graphs[name] = graph
	return graph
}
