package engine

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"

	"comfygo/device"
	"comfygo/engine/dtype"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
	"comfygo/engine/ort/cache"
)

// Config says where and how models run.
type Config struct {
	// Library finds the ONNX Runtime library when the first model needs it.
	Library func() (string, error)
	// Device is where models run; the zero value is the CPU.
	Device ort.Device
	// Threads bounds the processors one network uses; 0 means the physical cores.
	Threads int
	// Lean keeps the weights of all networks mapped from the file instead of preparing them in memory, the VAE's too.
	Lean bool
	// Prepared lays the U-Net's weights out in memory, in float32 on the CPU: steps are up to a fifth faster, loading
	// takes several times as long and the memory is twice that of the file. Without it they stay mapped and are widened
	// just before their use, which at 512x512 and above costs a few percent of a step. Lean wins over it.
	Prepared bool
	// UNet, VAE and Text are the compute types on CUDA; Invalid picks float16 for U-Net and text, float32 for the VAE.
	// The CPU computes in float32.
	UNet, VAE, Text dtype.DType
	// VAEOnCPU and TextOnCPU keep these networks off the card.
	VAEOnCPU, TextOnCPU bool
	// TF32 allows CUDA's reduced-precision float32 products.
	TF32 bool
	// Budget bounds the bytes of weights held ready, beyond what the running network needs; 0 means no bound.
	Budget int64
	// Available returns the bytes of memory that can be had now; nil turns the checks before large runs off.
	Available func() int64
	// Embeddings finds the file of a textual-inversion embedding by name.
	Embeddings func(name string) (path string, ok bool)
	// Watch, if set, is told when the loading or the running of a network begins; the function that it returns is called at its end. It may
	// be called from several goroutines.
	Watch func(ctx context.Context, w Work) func(error)
	// Log must not be nil.
	Log *slog.Logger
}

// Work is something that takes its time: the loading of a network, or one run of it.
type Work struct {
	// Loading is false for a run.
	Loading bool
	// Network is the kind of network: "unet", "vae", "clip" and so on.
	Network string
}

// Runtime loads models and runs them. It is safe for concurrent use. Nothing heavy happens before the first load.
type Runtime struct {
	cfg      Config
	files    *fileTable
	weights  *weightStore
	sessions *cache.Cache[string, *network]

	openOnce sync.Mutex
	lib      *ort.Runtime
	block    int
}

// New returns a runtime; the ONNX Runtime library is not opened yet.
func New(cfg Config) *Runtime {
	if cfg.Budget <= 0 {
		cfg.Budget = math.MaxInt64
	}
	if cfg.Threads <= 0 {
		cfg.Threads = device.PhysicalCores()
	}
	rt := &Runtime{cfg: cfg, files: newFileTable(), weights: newWeightStore()}
	rt.sessions = cache.New[string](cfg.Budget, (*network).Close)
	return rt
}

// Open opens the ONNX Runtime library now rather than at the first load; it does nothing when it is open already.
func (rt *Runtime) Open() error {
	_, err := rt.library()
	return err
}

// library opens the ONNX Runtime library once; a failure is tried again the next time.
func (rt *Runtime) library() (*ort.Runtime, error) {
	rt.openOnce.Lock()
	defer rt.openOnce.Unlock()
	if rt.lib != nil {
		return rt.lib, nil
	}
	path, err := rt.cfg.Library()
	if err != nil {
		return nil, fmt.Errorf("finding the ONNX Runtime library: %w", err)
	}
	lib, err := ort.Open(ort.Config{Library: path, Log: rt.cfg.Log})
	if err != nil {
		return nil, fmt.Errorf("opening the ONNX Runtime library %s: %w", path, err)
	}
	rt.block = lib.NchwcBlock()
	rt.lib = lib
	return lib, nil
}

// place is where a network runs and what its graph is written for.
type place struct {
	device ort.Device
	target nn.Target
}

func (p place) String() string { return p.device.String() + " " + p.target.String() }

// placeOf opens the library and returns where a network runs; compute is its element type on CUDA.
func (rt *Runtime) placeOf(device ort.Device, compute dtype.DType) (place, error) {
	if _, err := rt.library(); err != nil {
		return place{}, err
	}
	if device.Kind != ort.CUDA {
		return place{device, nn.Target{Compute: dtype.F32, Block: rt.block, Lean: rt.cfg.Lean}}, nil
	}
	return place{device, nn.Target{CUDA: true, Compute: compute}}, nil
}

// or returns t, or otherwise when t is Invalid.
func or(t, otherwise dtype.DType) dtype.DType {
	if t == dtype.Invalid {
		return otherwise
	}
	return t
}

// FreeModels lets go of all networks that are not running, and their weights.
func (rt *Runtime) FreeModels() { rt.sessions.EvictAll() }

// Stats tells what the runtime holds.
type Stats struct {
	// Networks is the number of sessions held ready.
	Networks int
	// WeightBytes is the memory of prepared weights, without what is mapped from files.
	WeightBytes int64
	// Loads, Reuses and Evictions count networks since the start: made, found ready, and let go.
	Loads, Reuses, Evictions int64
	// Version is ONNX Runtime's version; empty while the library is not open.
	Version string
}

// Stats returns the figures of this moment.
func (rt *Runtime) Stats() Stats {
	held := rt.sessions.Stats()
	s := Stats{
		Networks: held.Entries, WeightBytes: rt.weights.bytes.Load(),
		Loads: held.Misses, Reuses: held.Hits, Evictions: held.Evictions,
	}
	rt.openOnce.Lock()
	defer rt.openOnce.Unlock()
	if rt.lib != nil {
		s.Version = rt.lib.Version()
	}
	return s
}

// Close ends all sessions and closes the library. Networks that are running are waited for.
func (rt *Runtime) Close() error {
	rt.sessions.Close()
	rt.openOnce.Lock()
	defer rt.openOnce.Unlock()
	if rt.lib == nil {
		return nil
	}
	err := rt.lib.Close()
	rt.lib = nil
	return err
}

// heldBytes is what a network over file keeps in memory beside the mapped file.
func (rt *Runtime) heldBytes(file *modelFile, kind string) int64 {
	part, _, _ := strings.Cut(kind, " ")
	if rt.cfg.Lean || part == "clip" || part == "unet" && !rt.cfg.Prepared {
		return 0
	}
	return file.wide[part]
}

// with runs f with the network of the given kind over file, which is made by build if it is not held ready. It is not
// evicted while f runs.
func (rt *Runtime) with(ctx context.Context, file *modelFile, kind string, p place, build func() (*onnx.Graph, error), f func(*network) error) error {
	key := file.id + kind + "|" + p.String()
	n, done, err := rt.sessions.Get(ctx, key, rt.heldBytes(file, kind), func(ctx context.Context) (*network, error) {
		end := rt.watch(ctx, true, kind)
		n, err := rt.makeNetwork(ctx, file, kind, p.device, build)
		end(err)
		return n, err
	})
	if err != nil {
		return err
	}
	defer done()
	return f(n)
}

// makeNetwork prepares the weights of a graph and makes its session.
func (rt *Runtime) makeNetwork(ctx context.Context, file *modelFile, kind string, device ort.Device, build func() (*onnx.Graph, error)) (*network, error) {
	lib, err := rt.library()
	if err != nil {
		return nil, err
	}
	g, err := build()
	if err != nil {
		return nil, fmt.Errorf("loading %s: %w", file.path, err)
	}
	set, err := rt.weights.prepare(ctx, g.Initializers(), rt.cfg.Threads)
	if err != nil {
		return nil, fmt.Errorf("loading %s: %w", file.path, err)
	}
	// Steps of a U-Net follow each other and want their memory again; the others run once for a picture.
	steps := strings.HasPrefix(kind, "unet")
	// The level above this one only rewrites convolutions into the blocked layout, which the graph has already.
	spec := ort.SessionSpec{Name: g.Name, Device: device, Threads: rt.cfg.Threads, OptLevel: ort.OptExtended, TF32: rt.cfg.TF32, Shrink: !steps, Release: set.release}
	if spec.Model, spec.Initializers, err = emit(lib, g, set); err != nil {
		set.release()
		return nil, fmt.Errorf("loading %s: %w", file.path, err)
	}
	// From here on the session owns the weights: it releases them when it ends, or when it cannot be made.
	session, err := lib.NewSession(ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("loading %s: %w", file.path, err)
	}
	rt.cfg.Log.Debug("network ready", "graph", g.Name, "file", file.path, "operators", g.Nodes(), "weights", len(g.Initializers()))
	return &network{file: file, weights: g.Initializers(), session: session, watch: func(ctx context.Context) func(error) { return rt.watch(ctx, false, kind) }}, nil
}

// watch tells who watches that work begins. The returned function must be called at its end.
func (rt *Runtime) watch(ctx context.Context, loading bool, kind string) func(error) {
	if rt.cfg.Watch == nil {
		return func(error) {}
	}
	name, _, _ := strings.Cut(kind, " ")
	return rt.cfg.Watch(ctx, Work{Loading: loading, Network: name})
}

// inlineBelow is the size under which weights are written into the model: the runtime's optimisers look into small
// constants while a session is made, before weights that lie elsewhere are there.
const inlineBelow = 1024

// emit writes the model and lists its initializers for the session.
func emit(lib *ort.Runtime, g *onnx.Graph, set *weightSet) ([]byte, []ort.Initializer, error) {
	var inits []ort.Initializer
	model, err := g.Marshal(func(in onnx.Initializer) (onnx.Placement, error) {
		data := set.data[in.Name]
		if len(data) < inlineBelow {
			return onnx.Placement{Inline: data}, nil
		}
		init := ort.Initializer{Name: in.Name, DType: in.DType, Shape: in.Shape, Data: data}
		if e, ok := in.Source.(nn.Source).InPlace(); ok && e.Offset >= 0 {
			init.File, init.Offset = e.File, e.Offset
		}
		location, err := lib.Location(init.File)
		inits = append(inits, init)
		return onnx.Placement{Location: location, Offset: init.Offset, Length: int64(len(data))}, err
	})
	return model, inits, err
}
