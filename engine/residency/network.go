package residency

import (
	"bytes"
	"context"
	"crypto/sha256"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
	"comfygo/engine/weights"
)

// session is what a Network needs of *ort.Session.
type session interface {
	Inputs() []ort.Info
	Run(ctx context.Context, inputs map[string]ort.Value, outputs []string) (map[string]ort.Value, error)
	NewBinding(outputs ...string) (*ort.Binding, error)
	Kept() int64
	Close()
}

// Network is a graph that is ready to run.
type Network struct {
	// stored keeps the files of the weights mapped. It holds the stored entries and not the sources that the graph was
	// written with: those of computed weights hold adapters and caches that are of no use once the session is made.
	stored  []weights.Entry
	session session
	watch   func(ctx context.Context) func(error) // is told of a run, and of its end

	// parameters are those of the graph. store and threads make their values, charge enters what these take into the
	// ledger and returns it, adjust changes what the network is charged with.
	parameters []onnx.Parameter
	store      *Store
	threads    int
	charge     func([]onnx.Initializer) (int64, error)
	adjust     func(delta int64)
	// computed are the sources of the parameters that are weights, from the graph that the session was made of, until the first run;
	// shape identifies that graph.
	computed *computed
	shape    [sha256.Size]byte
	// results is what the session was seen to keep from run to run, in bytes.
	results atomic.Int64

	mu      sync.Mutex
	binding *ort.Binding
	bound   map[string]ort.Value
	// boundFactors and boundStrengths are what the binding's parameters hold; nil when they have to be bound.
	boundFactors   *factors
	boundStrengths []float32

	factorsMu sync.Mutex
	kept      *factors // of the last run
}

// Run computes outputs from inputs that differ from run to run. a are the adapters that the graph was written for, or
// others of the same structure. The error wraps ErrOtherGraph when their graph is another one after all.
func (n *Network) Run(ctx context.Context, a Adapted, inputs map[string]ort.Value, outputs ...string) (map[string]ort.Value, error) {
	if len(n.parameters) > 0 {
		f, err := n.factorsFor(ctx, a)
		if err != nil {
			return nil, err
		}
		defer n.drop(f)
		strengths, err := n.strengths(a)
		if err != nil {
			return nil, err
		}
		inputs = maps.Clone(inputs)
		maps.Copy(inputs, f.values)
		maps.Copy(inputs, strengths)
	}
	end := n.watch(ctx)
	out, err := n.session.Run(ctx, inputs, outputs)
	end(err)
	n.chargeResults()
	return out, err
}

// chargeResults enters what the session keeps for its next run into the ledger.
func (n *Network) chargeResults() {
	now := n.session.Kept()
	if delta := now - n.results.Swap(now); delta != 0 {
		n.adjust(delta)
	}
}

// Step is Run for a network that is run again and again: inputs whose bytes are those of the run before stay where
// they are, which on a GPU saves their way there, and so do the factors of adapters. Steps of one network exclude each other.
func (n *Network) Step(ctx context.Context, a Adapted, inputs map[string]ort.Value, output string) (ort.Value, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.binding == nil {
		b, err := n.session.NewBinding(output)
		if err != nil {
			return ort.Value{}, err
		}
		n.binding, n.bound = b, map[string]ort.Value{}
	}
	for name, v := range inputs {
		if same(n.bound[name], v) {
			continue
		}
		// A copy, so that a caller who works on in its own memory changes neither this run nor the comparison.
		v.Data = aligned(v.Data)
		delete(n.bound, name)
		if err := n.binding.Set(name, v); err != nil {
			return ort.Value{}, err
		}
		n.bound[name] = v
	}
	if err := n.bindAdapters(ctx, a); err != nil {
		return ort.Value{}, err
	}
	end := n.watch(ctx)
	res, err := n.binding.Run(ctx)
	end(err)
	n.chargeResults()
	return res[output], err
}

// aligned copies bytes to memory on which elements of any type are aligned.
func aligned(b []byte) []byte {
	words := make([]uint64, (len(b)+7)/8)
	c := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), len(b))
	copy(c, b)
	return c
}

func same(a, b ort.Value) bool {
	return a.DType == b.DType && slices.Equal(a.Shape, b.Shape) && bytes.Equal(a.Data, b.Data)
}

// Close ends the session, which gives its weights back.
func (n *Network) Close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.binding != nil {
		n.binding.Close()
	}
	n.session.Close()
	n.drop(n.boundFactors)
	n.drop(n.kept)
	runtime.KeepAlive(n.stored)
}

// stored lists the stored entries that a graph's weights are made of.
func stored(inits []onnx.Initializer) []weights.Entry {
	var out []weights.Entry
	for _, in := range inits {
		if src, ok := in.Source.(nn.Source); ok {
			out = append(out, src.Entries()...)
		}
	}
	return out
}
