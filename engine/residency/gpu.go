package residency

import (
	"context"
	"fmt"
	"slices"
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
	// copies are pinned copies of evicted weights by key, for weights that take work on the host to make; held lists them, the
	// oldest first. pin and unpin allocate their memory.
	copies map[string]gpuCopy
	held   []*ort.Pinned
	pin    func(size int) *ort.Pinned
	unpin  func(*ort.Pinned)
}

// gpuCopy is a weight in pinned memory.
type gpuCopy struct {
	*ort.Pinned
	at int
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
	// made reports that a weight had to be made on the host.
	made bool
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
		_, stored := inParts(src)
		r.made = r.made || !stored
		c, kept := s.copies[key]
		switch {
		case ctx.Err() != nil:
			err = context.Cause(ctx)
		case kept:
			err = memory.Push(at, c.Pinned, c.at, src.Size())
		default:
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
		w.store.keep(r)
		for _, k := range r.keys {
			delete(w.store.known, k)
		}
		w.store.bytes -= r.bytes
		r.Close()
	}
}

// keep copies the weights of a region that is evicted to pinned memory, if they took work to make. The oldest copies make room within the
// budget.
func (s *gpuStore) keep(r *gpuRegion) {
	if !r.made || s.pin == nil || len(r.keys) == 0 {
		return
	}
	if _, kept := s.copies[r.keys[0]]; kept {
		return
	}
	p := s.pin(int(r.bytes))
	for p == nil && len(s.held) > 0 {
		s.forget(s.held[0])
		p = s.pin(int(r.bytes))
	}
	if p == nil {
		return
	}
	if err := r.Read(0, p.Data); err != nil {
		s.unpin(p)
		return
	}
	if s.copies == nil {
		s.copies = map[string]gpuCopy{}
	}
	s.held = append(s.held, p)
	for _, k := range r.keys {
		s.copies[k] = gpuCopy{p, s.known[k].at}
	}
}

// forget frees pinned memory.
func (s *gpuStore) forget(p *ort.Pinned) {
	for k, c := range s.copies {
		if c.Pinned == p {
			delete(s.copies, k)
		}
	}
	s.held = slices.DeleteFunc(s.held, func(h *ort.Pinned) bool { return h == p })
	s.unpin(p)
}

// forgetAll frees all pinned copies.
func (s *gpuStore) forgetAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.held) > 0 {
		s.forget(s.held[0])
	}
}

// uncopied are the initializers of a list without a copy.
func (s *gpuStore) uncopied(list []onnx.Initializer) []onnx.Initializer {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []onnx.Initializer
	for _, in := range list {
		src, ok := in.Source.(nn.Source)
		if ok && src.Size() >= inlineBelow {
			if _, kept := s.copies[src.Key()]; kept {
				continue
			}
		}
		out = append(out, in)
	}
	return out
}
