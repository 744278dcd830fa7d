package residency

import (
	"context"
	"fmt"
	"sync"

	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
	"comfygo/engine/weights"
)

// gpuStore holds the weights on one GPU. Sessions share them, by the key of their source: graphs of one model for several sizes, or
// with a ControlNet, are over one copy.
type gpuStore struct {
	mu    sync.Mutex // held while weights are copied, because missing weights are known only then
	known map[string]*gpuWeight
	bytes int64
}

// gpuWeight is one weight in one form.
type gpuWeight struct {
	region *gpuRegion
	at     int
}

// gpuRegion is one allocation, of the weights that one graph was the first to want.
type gpuRegion struct {
	*ort.Region
	bytes int64
	keys  []string
	refs  int
}

// gpuSet is what one session uses.
type gpuSet struct {
	store   *gpuStore
	weights map[string]*gpuWeight // by initializer
	regions map[*gpuRegion]bool
}

// gpuAlign is what weights are aligned to: CUDA's kernels read 16 bytes at once, its own allocations begin at multiples of this.
const gpuAlign = 256

func onGPU(n int) int { return (n + gpuAlign - 1) &^ (gpuAlign - 1) }

// takes returns the bytes of a graph's weights that are not loaded yet.
func (s *gpuStore) takes(list []onnx.Initializer) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := int64(0)
	for _, size := range s.missing(list, 0) {
		n += int64(size)
	}
	return n
}

// missing are the keys of weights of some size that are not there, with their sizes.
func (s *gpuStore) missing(list []onnx.Initializer, atLeast int) map[string]int {
	out := map[string]int{}
	for _, in := range list {
		src, ok := in.Source.(nn.Source)
		if !ok || src.Size() < atLeast {
			continue
		}
		if key := src.Key(); s.known[key] == nil {
			out[key] = src.Size()
		}
	}
	return out
}

// total is the memory of all weights.
func (s *gpuStore) total() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}

// claim returns the loaded weights of a graph, which stay now, and lists the missing ones. Small ones are stored in the model.
func (s *gpuStore) claim(list []onnx.Initializer) (*gpuSet, []onnx.Initializer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set := &gpuSet{store: s, weights: map[string]*gpuWeight{}, regions: map[*gpuRegion]bool{}}
	return set, set.use(list)
}

// use takes the loaded weights of a list, and returns the rest.
func (w *gpuSet) use(list []onnx.Initializer) []onnx.Initializer {
	var rest []onnx.Initializer
	for _, in := range list {
		src, ok := in.Source.(nn.Source)
		var known *gpuWeight
		if ok {
			known = w.store.known[src.Key()]
		}
		if known == nil {
			rest = append(rest, in)
			continue
		}
		w.weights[in.Name] = known
		if !w.regions[known.region] {
			w.regions[known.region] = true
			known.region.refs++
		}
	}
	return rest
}

// add copies the missing weights of a list from their bytes in host.
func (w *gpuSet) add(ctx context.Context, lib *ort.Runtime, d ort.Device, list []onnx.Initializer, host *weightSet) error {
	s := w.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if missing := s.missing(list, inlineBelow); len(missing) > 0 {
		if err := s.load(ctx, lib, d, list, missing, host); err != nil {
			return err
		}
	}
	w.use(list)
	return nil
}

func (s *gpuStore) load(ctx context.Context, lib *ort.Runtime, d ort.Device, list []onnx.Initializer, missing map[string]int, host *weightSet) error {
	total := 0
	for _, size := range missing {
		total += onGPU(size)
	}
	memory, err := lib.NewRegion(d, total)
	if err != nil {
		return err
	}
	r := &gpuRegion{Region: memory, bytes: int64(total)}
	made := map[string]*gpuWeight{}
	at := 0
	for _, in := range list {
		src := in.Source.(nn.Source)
		key := src.Key()
		if missing[key] == 0 || made[key] != nil {
			continue
		}
		if err = ctx.Err(); err != nil {
			err = context.Cause(ctx)
		} else {
			err = write(memory, at, src, host.data[in.Name])
		}
		if err != nil {
			memory.Close()
			return fmt.Errorf("loading weight %s: %w", in.Name, err)
		}
		made[key] = &gpuWeight{region: r, at: at}
		r.keys = append(r.keys, key)
		at += onGPU(src.Size())
	}
	for key, w := range made {
		s.known[key] = w
	}
	s.bytes += r.bytes
	return nil
}

// write copies one weight: data, or the stored tensors that it consists of, whose pages are released afterwards.
func write(to *ort.Region, at int, src nn.Source, data []byte) error {
	parts, ok := inParts(src)
	if !ok {
		return to.Write(at, data)
	}
	for _, e := range parts {
		if err := e.Probe(0, len(e.Data)); err != nil {
			return fmt.Errorf("reading %v of %s: %w", e, e.File, err)
		}
		if err := to.Write(at, e.Data); err != nil {
			return err
		}
		at += len(e.Data)
		e.Release()
	}
	return nil
}

// inParts returns the stored tensors whose bytes, one after another, are the weight.
func inParts(src nn.Source) ([]weights.Entry, bool) {
	if e, ok := src.InPlace(); ok {
		return []weights.Entry{e}, true
	}
	if s, ok := src.(nn.Stack); ok {
		return s.InParts()
	}
	return nil, false
}

// unmade are the weights of a list that have to be made on the host before they can be copied, or go into the model.
func unmade(list []onnx.Initializer) []onnx.Initializer {
	var out []onnx.Initializer
	for _, in := range list {
		src, ok := in.Source.(nn.Source)
		if ok && src.Size() >= inlineBelow {
			if _, stored := inParts(src); stored {
				continue
			}
		}
		out = append(out, in)
	}
	return out
}

// release gives the set's weights back; no session may use them any more.
func (w *gpuSet) release() {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	for r := range w.regions {
		delete(w.regions, r)
		if r.refs--; r.refs > 0 {
			continue
		}
		for _, k := range r.keys {
			delete(w.store.known, k)
		}
		w.store.bytes -= r.bytes
		r.Close()
	}
}
