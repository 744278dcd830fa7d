package residency

import (
	"fmt"
	"math/bits"
	"sync"

	"comfygo/engine/onnx"
)

// hostEstimate is what runs of a network take on the host beside its weights, by simulation.
type hostEstimate struct {
	mu    sync.Mutex
	ctl   onnx.Interface
	graph *onnx.Graph
	known map[string]int64
}

func newHostEstimate(g *onnx.Graph) *hostEstimate {
	return &hostEstimate{ctl: g.Interface(), graph: g.Planner(), known: map[string]int64{}}
}

// of returns the bytes that a run with inputs of the given shapes takes, at most a sixteenth too many; 0 where that is unknown.
func (e *hostEstimate) of(inputs map[string][]int) int64 {
	symbols, ok := e.ctl.Symbols(inputs)
	if !ok {
		return 0
	}
	rounded := make(map[string]int, len(symbols))
	for name, n := range symbols {
		rounded[name] = coarse(n)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	key := fmt.Sprint(rounded)
	if n, ok := e.known[key]; ok {
		return n
	}
	n, err := e.graph.Peak(rounded)
	if err != nil { // sizes that have to be multiples of others are not rounded
		key = fmt.Sprint(symbols)
		if n, ok := e.known[key]; ok {
			return n
		}
		if n, err = e.graph.Peak(symbols); err != nil {
			return 0
		}
	}
	n += onnx.SessionBytes
	const most = 64
	if len(e.known) >= most {
		clear(e.known)
	}
	e.known[key] = n
	return n
}

// coarse rounds a size up by at most a sixteenth, so that a text that grows token by token is simulated a few times only.
func coarse(n int) int {
	const exact = 5 // leading bits that are kept
	if drop := bits.Len(uint(max(n, 0))) - exact; drop > 0 {
		return (n + 1<<drop - 1) >> drop << drop
	}
	return n
}
