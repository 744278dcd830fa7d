package residency

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
	"comfygo/engine/weights"
)

// Store holds the forms of weights that graphs want and files do not have: wide, transposed, blocked, computed from
// several files. Graphs share them, by the key of their source. Bytes live outside Go's heap, in regions that are unmapped
// when their last user is gone.
type Store struct {
	mu    sync.Mutex
	known map[string]*prepared
	bytes atomic.Int64
}

// prepared is one weight in one form.
type prepared struct {
	data   []byte
	region *region
}

// region is one allocation that holds the weights which one graph was the first to want.
type region struct {
	store *Store
	mem   []byte
	keys  []string
	refs  int
	done  chan struct{} // closed when the bytes are complete, or err is set
	err   error
}

// weightSet is what one graph uses: bytes by initializer, and the regions that must stay.
type weightSet struct {
	data    map[string][]byte
	regions map[*region]bool
	store   *Store
}

// NewStore returns an empty store.
func NewStore() *Store { return &Store{known: map[string]*prepared{}} }

// Bytes is the memory of all prepared weights.
func (s *Store) Bytes() int64 { return s.bytes.Load() }

// prepare returns the bytes of all initializers of a graph. Weights that serve as they lie are those of the mapped files;
// the others are made on the given number of goroutines.
func (s *Store) prepare(ctx context.Context, inits []onnx.Initializer, threads int) (*weightSet, error) {
	return s.prepareIn(ctx, nil, inits, threads)
}

// prepareIn is prepare with memory from giveUp, which it takes over: allocating new memory costs as much as computing its
// content.
func (s *Store) prepareIn(ctx context.Context, spare []byte, inits []onnx.Initializer, threads int) (*weightSet, error) {
	set := &weightSet{data: map[string][]byte{}, regions: map[*region]bool{}, store: s}
	fresh, fills, err := s.claim(set, inits, &spare)
	if spare != nil {
		free(spare)
	}
	if err != nil {
		return nil, err
	}
	if fresh != nil {
		fresh.err = runTasks(ctx, fills, threads)
		if fresh.err != nil {
			s.forget(fresh)
		}
		close(fresh.done)
	}
	for r := range set.regions {
		select {
		case <-r.done:
		case <-ctx.Done():
			set.release()
			return nil, context.Cause(ctx)
		}
		if r.err != nil {
			set.release()
			return nil, r.err
		}
	}
	return set, nil
}

// missing returns the additional bytes that preparing a graph's weights would take.
func (s *Store) missing(inits []onnx.Initializer) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := map[string]bool{}
	var n int64
	for _, in := range inits {
		src, ok := in.Source.(nn.Source)
		if !ok {
			continue
		}
		if _, stored := src.InPlace(); stored {
			continue
		}
		if key := src.Key(); s.known[key] == nil && !seen[key] {
			seen[key] = true
			n += int64(align(src.Size()))
		}
	}
	return n
}

// fill is the making of one weight.
type fill struct {
	src  nn.Source
	data []byte
}

// claim finds the weights that exist already and lays out a region for those that do not.
// spare is memory that the region may be in; it is nil afterwards if so.
func (s *Store) claim(set *weightSet, inits []onnx.Initializer, spare *[]byte) (*region, []fill, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var missing []onnx.Initializer
	total := 0
	for _, in := range inits {
		src, ok := in.Source.(nn.Source)
		if !ok {
			return nil, nil, fmt.Errorf("preparing weight %s: its source is a %T", in.Name, in.Source)
		}
		if e, ok := src.InPlace(); ok {
			set.data[in.Name] = e.Data
			continue
		}
		if p, ok := s.known[src.Key()]; ok {
			set.data[in.Name] = p.data
			set.use(p.region)
			continue
		}
		missing = append(missing, in)
		total += align(src.Size())
	}
	if len(missing) == 0 {
		return nil, nil, nil
	}
	var mem []byte
	var err error
	if len(*spare) == total {
		mem, *spare = *spare, nil
	} else {
		mem, err = allocate(total)
	}
	if err != nil {
		set.releaseLocked()
		return nil, nil, fmt.Errorf("allocating %d MiB for weights: %w", total>>20, err)
	}
	s.bytes.Add(int64(total))
	r := &region{store: s, mem: mem, done: make(chan struct{})}
	set.use(r)
	var fills []fill
	at := 0
	for _, in := range missing {
		src := in.Source.(nn.Source)
		key := src.Key()
		p, twice := s.known[key]
		if !twice {
			p = &prepared{data: mem[at : at+src.Size() : at+src.Size()], region: r}
			at += align(src.Size())
			s.known[key] = p
			r.keys = append(r.keys, key)
			fills = append(fills, fill{src, p.data})
		}
		set.data[in.Name] = p.data
	}
	return r, fills, nil
}

// align rounds up to a cache line, which the runtime's kernels like best.
func align(n int) int { return (n + 63) &^ 63 }

func (w *weightSet) use(r *region) {
	if !w.regions[r] {
		w.regions[r] = true
		r.refs++
	}
}

// release gives the set's regions back; the bytes must not be used any more.
func (w *weightSet) release() {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	w.releaseLocked()
}

func (w *weightSet) releaseLocked() {
	if spare := w.giveUpLocked(); spare != nil {
		free(spare)
	}
}

// giveUp is release, except that it returns the memory of one region that only the set used, or nil if there is no such region.
func (w *weightSet) giveUp() []byte {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	return w.giveUpLocked()
}

func (w *weightSet) giveUpLocked() (spare []byte) {
	for r := range w.regions {
		delete(w.regions, r)
		if r.refs--; r.refs == 0 {
			for _, k := range r.keys {
				delete(w.store.known, k)
			}
			w.store.bytes.Add(-int64(len(r.mem)))
			if spare != nil {
				free(spare)
			}
			spare = r.mem
		}
	}
	return spare
}

// forget makes later graphs prepare a failed region's weights anew.
func (s *Store) forget(r *region) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range r.keys {
		delete(s.known, k)
	}
	r.keys = nil
}

// kernels convert weights with the CPU's vector instructions.
var kernels = nn.Kernels{Reads: ort.CanWiden, Widen: ort.Widen, Block: ort.Block, Transpose: ort.Transpose}

// runTasks makes the weights on several goroutines and releases the pages of the files once they have been read.
func runTasks(ctx context.Context, fills []fill, threads int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	type task struct {
		run  func() error
		left *atomic.Int32
		src  nn.Source
	}
	queue := make(chan task, 4*threads)
	var wg sync.WaitGroup
	for range threads {
		wg.Go(func() {
			for t := range queue {
				if ctx.Err() != nil {
					continue
				}
				if err := t.run(); err != nil {
					cancel(err)
					continue
				}
				if t.left.Add(-1) == 0 {
					for _, e := range t.src.Entries() {
						e.Release()
					}
				}
			}
		})
	}
	for _, f := range fills {
		if ctx.Err() != nil {
			break
		}
		tasks := f.src.Tasks(f.data, kernels)
		for _, e := range f.src.Entries() {
			tasks = append(tasks, func() error { return weights.Scan(e) })
		}
		left := &atomic.Int32{}
		left.Store(int32(len(tasks)))
		for _, t := range tasks {
			queue <- task{run: t, left: left, src: f.src}
		}
	}
	close(queue)
	wg.Wait()
	return context.Cause(ctx)
}
