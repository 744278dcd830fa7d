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
	Captured() int
	Close()
}

// Network is a graph that is ready to run.
type Network struct {
	// stored keeps the files of the weights mapped. It holds the stored entries and not the sources that the graph was
	// written with: those of computed weights hold adapters and caches that are of no use once the session is made.
	stored  []weights.Entry
	session session
	watch   func(ctx context.Context) func(error) // is called at the start of a run; its result is called at the end

	// parameters are the parameters of the graph. store and threads make their values, charge enters what these take into the
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
	// results is the measured size in bytes that the session keeps from run to run.
	results atomic.Int64

	// prompt, if set, computes the values that depend only on inputs that stay the same from run to run; its outputs are inputs
	// of session.
	prompt session
	// graphs reports that steps are captured.
	graphs bool

	// streamed, when set, runs the network in place of the sessions. onGPU are the bytes of a GPU that it was charged with.
	streamed *streamed
	onGPU    int64
	// estimate, on a GPU, knows the memory of runs; room evicts networks that are idle until the bytes are free.
	estimate *estimate
	room     func(bytes int64)
	// onHost, on the CPU, knows the memory of runs that callers do not enter into the ledger; check fails for bytes that do not fit.
	onHost *hostEstimate
	check  func(bytes int64) error
	// retire has the network closed after its last use, and made anew for the next.
	retire func()
	// running is told the bytes that a run takes for its time.
	running func(bytes int64)
	// moved is told the bytes of weights that a run copied to a GPU.
	moved func(bytes int64)

	mu    sync.Mutex
	steps []*steps // the one that was used last at the end

	factorsMu sync.Mutex
	kept      *factors // of the last run
}

// Run computes outputs from inputs that differ from run to run. a are the adapters that the graph was written for, or
// others of the same structure. The error wraps ErrOtherGraph when their graph is another one after all.
func (n *Network) Run(ctx context.Context, a Adapted, inputs map[string]ort.Value, outputs ...string) (map[string]ort.Value, error) {
	if n.streamed != nil {
		return n.runStreamed(ctx, a, inputs, outputs)
	}
	if n.prompt != nil {
		return n.Step(ctx, a, inputs, outputs...)
	}
	done, err := n.reserve(inputs)
	if err != nil {
		return nil, err
	}
	defer done()
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

// chargeResults charges the memory that the session keeps for its next run to the ledger.
func (n *Network) chargeResults() {
	now := n.session.Kept()
	if delta := now - n.results.Swap(now); delta != 0 {
		n.adjust(delta)
	}
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
	for _, s := range n.steps {
		n.closeSteps(s)
	}
	n.steps = nil
	if n.streamed != nil {
		n.streamed.Close()
		n.drop(n.kept)
		runtime.KeepAlive(n.stored)
		return
	}
	n.session.Close()
	if n.prompt != nil {
		n.prompt.Close()
	}
	n.drop(n.kept)
	runtime.KeepAlive(n.stored)
}

// stored lists the stored entries of a graph's weights.
func stored(inits []onnx.Initializer) []weights.Entry {
	var out []weights.Entry
	for _, in := range inits {
		if src, ok := in.Source.(nn.Source); ok {
			out = append(out, src.Entries()...)
		}
	}
	return out
}
