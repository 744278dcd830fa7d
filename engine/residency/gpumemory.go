package residency

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"sync"

	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
)

// Streaming is when the weights of networks are copied to a GPU in each step.
type Streaming int

// The rules. A network is streamed when its weights and activations do not fit.
const (
	StreamLarge Streaming = iota
	// StreamNever refuses networks that do not fit.
	StreamNever
	// StreamHalf streams networks that would take more than half of the memory, and keeps that much of their weights.
	StreamHalf
	// StreamAll keeps no weights of networks that have blocks.
	StreamAll
)

// residentBytes returns the bytes of weights of a streamed network that stay on a GPU with have free bytes and room for them.
func (s *Sessions) residentBytes(have, room int64) int64 {
	switch s.cfg.Streaming {
	case StreamAll:
		return 0
	case StreamHalf:
		return min(room, have/2)
	}
	return max(room, 0)
}

// withFactors returns the shapes of the inputs of the first run of a graph, with those of the parameters for its adapters: their ranks are
// symbols of the graph.
func withFactors(g *onnx.Graph, a Adapted) (map[string][]int, error) {
	params := g.Parameters()
	if len(params) == 0 || a.Sizes == nil {
		return a.Sizes, nil
	}
	sizes := maps.Clone(a.Sizes)
	for _, p := range params {
		f, ok := p.Source.(nn.Factor)
		if !ok {
			continue
		}
		shape, err := f.Shape(a)
		if err != nil {
			return nil, err
		}
		sizes[p.Name] = shape
	}
	return sizes, nil
}

// makeStreamed makes a network that is streamed. It is nil for one that need not be.
func (s *Sessions) makeStreamed(ctx context.Context, sh *shelf, key Key, g *onnx.Graph, a Adapted, try int) (*Network, error) {
	if s.cfg.Streaming == StreamNever || s.cfg.Library == nil {
		return nil, nil
	}
	sizes, err := withFactors(g, a)
	if err != nil {
		return nil, err
	}
	if lib, err := s.cfg.Library(); err == nil {
		lib.Regions(ctx, key.Device) // the memory is known once CUDA has been tried
	}
	have := s.available(key.Device)
	if have < 0 && try < tryStreamed {
		return nil, nil
	}
	need := s.takes(key.Device, g.Initializers())
	if symbols, ok := g.Interface().Symbols(sizes); ok {
		var arena onnx.GPUArena
		if arena.Run(g.Planner(), onnx.GPURun{Symbols: symbols}) == nil {
			need += arena.Bytes()
		}
	}
	if need > have {
		sh.Free(need - have)
		have = s.available(key.Device)
	}
	limit := have
	switch s.cfg.Streaming {
	case StreamHalf:
		limit = have / 2
	case StreamAll:
		limit = 0
	}
	if need <= limit && try < tryStreamed {
		return nil, nil
	}
	if need > have {
		sh.Free(math.MaxInt64)
		have = s.available(key.Device)
	}
	c, err := s.newStreamed(ctx, sh, key, g, sizes, have)
	switch {
	case errors.Is(err, errUncut) && try < tryStreamed:
		return nil, nil
	case err != nil:
		return nil, err
	}
	list := g.Initializers()
	n := &Network{
		stored: stored(list), streamed: c, parameters: g.Parameters(), store: s.weights, threads: s.cfg.Threads, onGPU: c.bytes(),
		watch: func(ctx context.Context) func(error) { return s.watch(ctx, false, key.Network()) },
	}
	weights := int64(c.resident.Size() + c.ringMem.Size())
	ring := int64(c.ringMem.Size())
	sh.Charge(key, n.onGPU)
	sh.mu.Lock()
	sh.streamedWeights += weights
	sh.rings += ring
	sh.mu.Unlock()
	mine := func(held *Network) bool { return held == n }
	n.adjust = func(delta int64) { sh.ChargeMore(key, delta, mine) }
	n.charge = func([]onnx.Initializer) (int64, error) { return 0, nil } // adapters' factors are among the values of a run
	n.moved = func(bytes int64) {
		sh.mu.Lock()
		defer sh.mu.Unlock()
		sh.streamed += bytes
		sh.lastStreamed = bytes
	}
	c.closed = func() {
		sh.mu.Lock()
		defer sh.mu.Unlock()
		sh.streamedWeights -= weights
		sh.rings -= ring
	}
	return n, nil
}

// makeRoom evicts idle networks of a GPU until the bytes are free, those first that were used longest ago and are quick to load.
func (s *Sessions) makeRoom(sh *shelf, bytes int64) {
	if have := s.available(sh.device); have >= 0 && bytes > have {
		sh.Free(bytes - have)
		if bytes > s.available(sh.device) {
			s.askOthers()
		}
	}
}

// estimate is what runs of a network take on a GPU beside its weights, by simulation.
type estimate struct {
	mu     sync.Mutex
	ctl    onnx.Interface
	graphs []*onnx.Graph // of its sessions
	arenas []onnx.GPUArena
	// copied reports that inputs and outputs come through the arena, which shrinks after each run.
	copied bool
	known  map[string]int64
	bytes  int64
}

// newEstimate is the estimate for a network whose inputs are those of ctl.
func newEstimate(ctl onnx.Interface, g, once *onnx.Graph, shrinks bool) *estimate {
	e := &estimate{ctl: ctl, graphs: []*onnx.Graph{g.Planner()}, copied: shrinks, known: map[string]int64{}}
	if once != nil {
		e.graphs = append(e.graphs, once.Planner())
	}
	e.arenas = make([]onnx.GPUArena, len(e.graphs))
	return e
}

// of returns the bytes by which a run with inputs of the given shapes lets the arenas of a network grow, which its sessions keep; those that
// it takes in all where they shrink after the run. It is 0 where that is unknown.
func (e *estimate) of(inputs map[string][]int) int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	key := fmt.Sprint(inputs)
	if n, ok := e.known[key]; ok {
		return n
	}
	const most = 64
	if len(e.known) >= most {
		clear(e.known)
	}
	e.known[key] = 0
	symbols, ok := e.ctl.Symbols(inputs)
	if !ok {
		return 0
	}
	sum := int64(0)
	for i, g := range e.graphs {
		if e.copied {
			e.arenas[i] = onnx.GPUArena{}
		}
		if e.arenas[i].Run(g, onnx.GPURun{Symbols: symbols, Copied: e.copied}) != nil {
			return 0
		}
		sum += e.arenas[i].Bytes()
	}
	if e.copied {
		e.known[key] = sum
		return sum
	}
	grown := sum - e.bytes
	e.bytes = sum
	return grown
}

// reserve makes room for a run and charges the network with what stays of it; the returned function ends the charge for the rest. It fails
// for a run that does not fit into the memory of the host.
func (n *Network) reserve(inputs map[string]ort.Value) (done func(), err error) {
	if n.estimate == nil && n.onHost == nil {
		return func() {}, nil
	}
	shapes := make(map[string][]int, len(inputs))
	for name, v := range inputs {
		shapes[name] = v.Shape
	}
	if n.onHost != nil {
		bytes := n.onHost.of(shapes)
		if err := n.check(bytes); err != nil {
			return nil, err
		}
		n.running(bytes)
		return func() { n.running(-bytes) }, nil
	}
	bytes := n.estimate.of(shapes)
	if bytes > 0 {
		n.room(bytes)
	}
	if !n.estimate.copied {
		n.adjust(bytes)
		return func() {}, nil
	}
	n.running(bytes)
	return func() { n.running(-bytes) }, nil
}

// reloadSeconds estimates what making a network's session on a GPU again costs: weights that are stored as the graph wants them are read
// and copied, others are made on the host first.
func reloadSeconds(list []onnx.Initializer) float64 {
	const session, copied, made = 0.5, 4e9, 5e8 // seconds, bytes a second
	cost := session
	for _, in := range list {
		src, ok := in.Source.(nn.Source)
		if !ok {
			continue
		}
		rate := made
		if _, stored := inParts(src); stored {
			rate = copied
		}
		cost += float64(src.Size()) / rate
	}
	return cost
}
