package residency

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"math"
	"strings"
	"sync"
	"sync/atomic"

	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
	"comfygo/engine/residency/cache"
)

// Key identifies a session: its content and its device.
type Key struct {
	// Files identifies the weight files, joined.
	Files string
	// Part is the graph among those of the files, Variant its variant.
	Part, Variant string
	// Adapters is the structure of the adapters that the graph computes; their factors and strengths are parameters.
	Adapters string
	// Exchange reports that weights which adapters change are parameters, too.
	Exchange bool
	Device   ort.Device
	Target   nn.Target
}

// Network is the first word of Part, by which progress and metrics call the network.
func (k Key) Network() string {
	name, _, _ := strings.Cut(k.Part, " ")
	return name
}

// Config describes how sessions are made.
type Config struct {
	// Library returns the opened ONNX Runtime library.
	Library func() (*ort.Runtime, error)
	// Threads is the number of threads of one operator, and of goroutines that prepare weights.
	Threads int
	// TF32 allows CUDA's reduced-precision float32 products.
	TF32 bool
	// Budget returns the bytes that idle and running sessions of a device may hold; 0 means no bound.
	Budget func(d ort.Device) int64
	// Available returns the available bytes of a device's memory; nil turns all checks off. A negative result means unknown.
	Available func(d ort.Device) int64
	// Streaming is when the weights of networks are copied to a GPU in each step.
	Streaming Streaming
	// Pinned is the number of bytes of the host's memory that copies of streamed weights may take, pinned.
	Pinned int64
	// Graphs captures the steps of networks on CUDA and launches each as one graph.
	Graphs bool
	// Others, if set, has other processes let go of models that they hold. It is called when evicting our own did not suffice.
	Others func()
	// Watch, if set, is called when a network begins to load or run; the function that it returns is called at the end. It may
	// be called from several goroutines.
	Watch func(ctx context.Context, loading bool, network string) func(error)
	// Log must not be nil.
	Log *slog.Logger
}

// Sessions holds the sessions of all devices. It is safe for concurrent use.
type Sessions struct {
	cfg     Config
	weights *Store
	// open makes the session of a graph whose memory was charged: openSession, except for tests.
	open func(ctx context.Context, key Key, shrink bool, g *onnx.Graph) (session, error)

	// pinned are the bytes of pinned copies.
	pinned atomic.Int64

	mu      sync.Mutex
	devices map[ort.Device]*shelf
	closed  bool
}

// shelf holds the sessions of one device.
type shelf struct {
	*cache.Cache[Key, *Network]
	device ort.Device

	// gpu holds the weights of a GPU.
	gpu gpuStore
	// streaming is held while a streamed network runs: they share an arena.
	streaming sync.Mutex

	mu sync.Mutex
	// running is the sum of the estimates of the runs that are going on, peak the highest that there was.
	running, peak int64
	// streamed are the bytes of weights that were copied to the device in steps, lastStreamed those of the last step.
	streamed, lastStreamed int64
	// streamedWeights are the bytes of the device that weights of streamed networks have.
	streamedWeights int64
	// rings are the bytes of it that weights pass through.
	rings int64
}

// New returns a holder without sessions.
func New(cfg Config) *Sessions {
	s := &Sessions{cfg: cfg, weights: NewStore(), devices: map[ort.Device]*shelf{}}
	s.open = s.openSession
	return s
}

func (s *Sessions) shelf(d ort.Device) *shelf {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.devices[d]
	if sh == nil {
		budget := int64(math.MaxInt64)
		if s.cfg.Budget != nil {
			if b := s.cfg.Budget(d); b > 0 {
				budget = b
			}
		}
		sh = &shelf{Cache: cache.New[Key](budget, (*Network).Close), device: d, gpu: s.newGPUStore(d)}
		s.devices[d] = sh
		if s.closed {
			sh.Close()
		}
	}
	return sh
}

func (s *Sessions) newGPUStore(d ort.Device) gpuStore {
	return gpuStore{known: map[string]*gpuWeight{}, unpin: s.unpin, pin: func(size int) *ort.Pinned {
		if s.cfg.Library == nil {
			return nil
		}
		lib, err := s.cfg.Library()
		if err != nil {
			return nil
		}
		return s.pin(lib, d, size)
	}}
}

func (s *Sessions) shelves() []*shelf {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*shelf, 0, len(s.devices))
	for _, sh := range s.devices {
		out = append(out, sh)
	}
	return out
}

// Use runs f with the session of key, which is made from the graph of a unless it is ready. The session is
// not evicted while f runs. shrink makes the session release the memory of a run after it, for networks that run once. If
// the device runs out of memory, all idle sessions of the device are evicted and the call is retried once.
func (s *Sessions) Use(ctx context.Context, key Key, shrink bool, a Adapted, f func(*Network) error) error {
	err := s.use(ctx, key, shrink, a, f, tryFirst)
	for next := trySecond; next <= s.tries(key.Device) && ort.OutOfMemory(err) && ctx.Err() == nil; next++ {
		s.cfg.Log.Warn("the device ran out of memory; evicting idle models and trying again", "device", key.Device.String(), "network", key.Network(), "error", err)
		s.shelf(key.Device).EvictAll()
		s.askOthers()
		if again := s.use(ctx, key, shrink, a, f, next); !errors.Is(again, errUncut) {
			err = again
		}
	}
	if ort.OutOfMemory(err) && ctx.Err() == nil {
		return &MemoryError{What: "running " + key.Network() + " on " + key.Device.String(), Present: s.available(key.Device), Cause: err}
	}
	return err
}

// The tries to run a network: as it is, after idle networks were evicted, and block by block.
const (
	tryFirst = iota
	trySecond
	tryStreamed
)

// tries is the last try on a device.
func (s *Sessions) tries(d ort.Device) int {
	if d.Kind == ort.CUDA && s.cfg.Streaming != StreamNever && s.cfg.Library != nil {
		return tryStreamed
	}
	return trySecond
}

func (s *Sessions) use(ctx context.Context, key Key, shrink bool, a Adapted, f func(*Network) error, try int) error {
	sh := s.shelf(key.Device)
	n, done, err := sh.Get(ctx, key, 0, func(ctx context.Context) (*Network, error) {
		end := s.watch(ctx, true, key.Network())
		n, err := s.make(ctx, sh, key, shrink, a, try)
		end(err)
		return n, err
	})
	if err != nil {
		return err
	}
	defer done()
	return f(n)
}

func (s *Sessions) watch(ctx context.Context, loading bool, network string) func(error) {
	if s.cfg.Watch == nil {
		return func(error) {}
	}
	return s.cfg.Watch(ctx, loading, network)
}

// make writes the graph of a network, charges its memory and makes its session.
func (s *Sessions) make(ctx context.Context, sh *shelf, key Key, shrink bool, a Adapted, try int) (*Network, error) {
	g, err := a.Build()
	if err != nil {
		return nil, err
	}
	var changed *computed
	var shape [sha256.Size]byte
	if key.Exchange {
		if changed, shape, err = exchange(g, a.digest()); err != nil {
			return nil, err
		}
	}
	list := g.Initializers()
	if key.Device.Kind == ort.CUDA {
		n, err := s.makeStreamed(ctx, sh, key, g, a, try)
		if n != nil || err != nil {
			return n, err
		}
	}
	if err := s.charge(sh, key, list); err != nil {
		return nil, err
	}
	var once *onnx.Graph
	ctl := g.Interface()
	if key.Target.CUDA && a.Steady != nil {
		once = g.CutSteady(a.Steady)
	}
	main, err := s.open(ctx, key, shrink, g)
	if err != nil {
		return nil, err
	}
	var prompt session
	if once != nil {
		if prompt, err = s.open(ctx, key, shrink, once); err != nil {
			main.Close()
			return nil, err
		}
	}
	s.cfg.Log.Debug("network ready", "graph", g.Name, "device", key.Device.String(), "operators", g.Nodes(), "weights", len(list))
	network := key.Network()
	n := &Network{
		stored: stored(list), session: main, prompt: prompt, graphs: s.cfg.Graphs && key.Device.Kind == ort.CUDA, parameters: g.Parameters(), store: s.weights, threads: s.cfg.Threads,
		watch: func(ctx context.Context) func(error) { return s.watch(ctx, false, network) },
	}
	mine := func(held *Network) bool { return held == n }
	n.retire = func() { sh.Doom(key) }
	n.computed, n.shape = changed, shape
	n.charge = func(list []onnx.Initializer) (int64, error) {
		bytes := s.takes(key.Device, list)
		sh.ChargeMore(key, bytes, mine)
		if err := s.room(sh, key, bytes); err != nil {
			n.adjust(-bytes)
			return 0, err
		}
		return bytes, nil
	}
	n.adjust = func(delta int64) { sh.ChargeMore(key, delta, mine) }
	if key.Device.Kind != ort.CUDA && a.Doing != "" {
		n.onHost = newHostEstimate(g)
		n.check = func(bytes int64) error { return s.Check(key.Device, a.Doing, bytes) }
		n.running = func(bytes int64) { s.reserve(sh, bytes) }
	}
	if key.Device.Kind == ort.CUDA {
		n.estimate = newEstimate(ctl, g, once, shrink)
		n.running = func(bytes int64) { s.reserve(sh, bytes) }
		sh.Cost(key, reloadSeconds(list))
		n.room = func(bytes int64) { s.makeRoom(sh, bytes) }
	}
	return n, nil
}

// openSession prepares the weights of a graph and makes its session.
func (s *Sessions) openSession(ctx context.Context, key Key, shrink bool, g *onnx.Graph) (session, error) {
	lib, err := s.cfg.Library()
	if err != nil {
		return nil, err
	}
	list := g.Initializers()
	var onGPU *gpuSet
	if lib.Regions(ctx, key.Device) {
		onGPU, list = s.shelf(key.Device).gpu.claim(list)
	}
	made := list
	if onGPU != nil {
		made = s.shelf(key.Device).gpu.uncopied(unmade(list))
	}
	set, err := s.weights.prepare(ctx, made, s.cfg.Threads)
	if err == nil && onGPU != nil {
		err = onGPU.add(ctx, lib, key.Device, list, set)
		if err != nil {
			set.release()
		}
	}
	if err != nil {
		if onGPU != nil {
			onGPU.release()
		}
		return nil, err
	}
	// The level above this one only rewrites convolutions into the blocked layout, which the graph has already.
	spec := ort.SessionSpec{Name: g.Name, Device: key.Device, Threads: s.cfg.Threads, OptLevel: ort.OptExtended, TF32: s.cfg.TF32, Shrink: shrink, Shape: g.Interface().Output, Release: set.release}
	spec.Flash = key.Target.Flash
	// Weights that are made during each run would be in memory twice by the pattern of the first run.
	spec.NoPattern = key.Target.Lean && !key.Target.CUDA
	// What computes sizes runs on the CPU by design; a graph without that has nothing to do there.
	spec.OnDevice = !g.ComputesShapes()
	if onGPU != nil {
		defer set.release() // the GPU has its own copy
		spec.Release = onGPU.release
	}
	if spec.Model, spec.Initializers, err = emit(lib, g, set, onGPU); err != nil {
		spec.Release()
		return nil, err
	}
	if s.cfg.Graphs && !shrink && key.Device.Kind == ort.CUDA {
		captured := spec
		captured.Graphs, captured.Release = true, nil
		ready, err := lib.NewSession(ctx, captured)
		if err == nil {
			return &owner{session: ready, release: spec.Release}, nil
		}
		if ort.OutOfMemory(err) || ctx.Err() != nil {
			spec.Release()
			return nil, err
		}
		s.cfg.Log.Debug("steps cannot be captured", "graph", g.Name, "error", err)
	}
	// From here on the session owns the weights: it releases them when it ends, or when it cannot be made.
	ready, err := lib.NewSession(ctx, spec)
	if err != nil {
		return nil, err // and not a session that is nil
	}
	return ready, nil
}

// owner is a session that releases its weights when it is closed.
type owner struct {
	session
	release func()
}

// Close implements session.
func (o *owner) Close() {
	o.session.Close()
	if o.release != nil {
		o.release()
		o.release = nil
	}
}

// takes returns the bytes of weights that are not loaded on a device yet.
func (s *Sessions) takes(d ort.Device, list []onnx.Initializer) int64 {
	if d.Kind != ort.CUDA {
		return s.weights.missing(list)
	}
	return s.shelf(d).gpu.takes(list)
}

// charge enters what a graph's weights take on its device into the ledger and makes room for them.
func (s *Sessions) charge(sh *shelf, key Key, list []onnx.Initializer) error {
	bytes := s.takes(key.Device, list)
	sh.Charge(key, bytes)
	return s.room(sh, key, bytes)
}

// room makes room for bytes that a network takes on its device.
func (s *Sessions) room(sh *shelf, key Key, bytes int64) error {
	if have := s.available(key.Device); have >= 0 && bytes > have {
		sh.Free(bytes - have)
		if bytes > s.available(key.Device) {
			s.askOthers()
		}
		if have = s.available(key.Device); bytes > have {
			return &MemoryError{What: "loading " + key.Network() + " on " + key.Device.String(), Needed: bytes, Present: have}
		}
	}
	return nil
}

// inlineBelow is the size under which weights are written into the model: the runtime's optimisers look into small
// constants while a session is made, before weights that lie elsewhere are there.
const inlineBelow = 1024

// emit writes the model and lists its initializers for the session; gpu, when set, returns their location on a GPU.
func emit(lib *ort.Runtime, g *onnx.Graph, set *weightSet, gpu *gpuSet) ([]byte, []ort.Initializer, error) {
	var inits []ort.Initializer
	model, err := g.Marshal(func(in onnx.Initializer) (onnx.Placement, error) {
		data, size := set.data[in.Name], in.Source.(nn.Source).Size()
		if size < inlineBelow {
			return onnx.Placement{Inline: data}, nil
		}
		init := ort.Initializer{Name: in.Name, DType: in.DType, Shape: in.Shape, Data: data}
		if e, ok := in.Source.(nn.Source).InPlace(); ok && e.Offset >= 0 {
			init.File, init.Offset = e.File, e.Offset
		}
		if gpu != nil {
			w := gpu.weights[in.Name]
			init.On, init.At = w.region.Region, w.at
		}
		location, err := lib.Location(init.File)
		inits = append(inits, init)
		return onnx.Placement{Location: location, Offset: init.Offset, Length: int64(size)}, err
	})
	return model, inits, err
}

// EvictAll evicts all sessions that are idle, and those in use at the end of their use.
func (s *Sessions) EvictAll() {
	for _, sh := range s.shelves() {
		sh.EvictAll()
	}
}

// Free is EvictAll, and frees the copies of evicted weights on the host.
func (s *Sessions) Free() {
	s.EvictAll()
	for _, sh := range s.shelves() {
		sh.gpu.forgetAll()
	}
}

// Close ends all sessions, waiting for those in use.
func (s *Sessions) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	for _, sh := range s.shelves() {
		sh.Close()
		sh.gpu.forgetAll()
	}
}
