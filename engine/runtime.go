package engine

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"comfygo/device"
	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all" // the families that can be run
	"comfygo/engine/ort"
	"comfygo/engine/residency"
	"comfygo/engine/weights"
)

// Config configures where and how models run.
type Config struct {
	// Library finds the ONNX Runtime library when the first model needs it.
	Library func() (string, error)
	// Device is where models run; the zero value is the CPU.
	Device ort.Device
	// GPUs is the number of GPUs that networks can be put on; at least Device is one.
	GPUs int
	// Threads bounds the CPUs one network uses; 0 means the physical cores.
	Threads int
	// Lean keeps the weights of all networks mapped from the file instead of preparing them in memory, the VAE's too.
	Lean bool
	// Prepared lays the U-Net's weights out in memory, in float32 on the CPU: steps are up to a fifth faster, loading
	// takes several times as long and the memory is twice that of the file. Without it they stay mapped and are widened
	// just before their use, which at 512x512 and above costs a few percent of a step. Lean takes precedence over it.
	Prepared bool
	// Int8 has the linear layers of diffusion models and ControlNets multiply in 8-bit integers, on CPUs for which ort.HasInt8
	// returns true.
	Int8 bool
	// NoAMX keeps linear layers from AMX, in the whole process and for good.
	NoAMX bool
	// UNet, VAE and Text are the compute types on CUDA; Invalid picks float16 for U-Net and text, float32 for the VAE.
	// The CPU computes in float32, but for BF16 where ort.HasBfloat16 returns true: linear layers and 3x3 convolutions then round
	// what they multiply to bfloat16.
	UNet, VAE, Text dtype.DType
	// VAEOnCPU and TextOnCPU keep these networks off the GPU.
	VAEOnCPU, TextOnCPU bool
	// TF32 allows CUDA's reduced-precision float32 products.
	TF32 bool
	// Graphs has steps on CUDA captured, size by size, and launched as one graph each.
	Graphs bool
	// Budget bounds the bytes of weights held ready, beyond what the running network needs; 0 means no bound.
	Budget int64
	// Available returns the bytes of the host's memory that can be had now; nil turns the checks before large runs off.
	Available func() int64
	// OwnMemory returns the memory of the process itself, without mapped files; nil is what Linux tells.
	OwnMemory func() (bytes int64, ok bool)
	// Others, if set, has other processes let go of models that they hold, when memory does not suffice; it waits for that, within a bound.
	Others func()
	// DeviceMemory returns the free bytes of a GPU's memory; where it is nil, or returns -1, CUDA tells them once it is in use.
	DeviceMemory func(index int) int64
	// DeviceReserve is the number of bytes of each GPU's memory that are left to others.
	DeviceReserve int64
	// Streaming is when the weights of networks are copied to a GPU in each step.
	Streaming residency.Streaming
	// Pinned is the number of bytes of the host's memory that copies of streamed weights may take, pinned.
	Pinned int64
	// Families are the model families; nil means those that are linked.
	Families *family.Registry
	// Embeddings finds the file of a textual-inversion embedding by name.
	Embeddings func(name string) (path string, ok bool)
	// Watch, if set, is called when a network begins to load or run; the function that it returns is called at the end. It may be called
	// from several goroutines.
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
	files    *residency.Files[*family.File]
	sessions *residency.Sessions

	openOnce sync.Mutex
	lib      *ort.Runtime
	refused  *LibraryError
	block    int
	linear   bool
	skipped  *sync.Map // the adapter files and models whose unused layers were logged
}

// New returns a runtime; the ONNX Runtime library is not opened yet.
func New(cfg Config) *Runtime {
	if cfg.Budget <= 0 {
		cfg.Budget = math.MaxInt64
	}
	if cfg.Threads <= 0 {
		cfg.Threads = device.PhysicalCores()
	}
	if cfg.Families == nil {
		cfg.Families = family.Default
	}
	if cfg.NoAMX {
		ort.DisableAMX()
	}
	rt := &Runtime{cfg: cfg, skipped: &sync.Map{}}
	rt.files = residency.NewFiles(func(src weights.Source) (*family.File, error) { return family.Open(cfg.Families, src), nil })
	rt.sessions = residency.New(residency.Config{
		Library: rt.library, Threads: cfg.Threads, TF32: cfg.TF32, Graphs: cfg.Graphs, Log: cfg.Log, Watch: rt.watch,
		Streaming: cfg.Streaming, Pinned: cfg.Pinned,
		Budget: rt.budget, Available: rt.available, Others: cfg.Others,
	})
	return rt
}

// file is an open weight file with its parts.
type file = residency.File[*family.File]

// watch notifies Config.Watch that work begins.
func (rt *Runtime) watch(ctx context.Context, loading bool, network string) func(error) {
	if rt.cfg.Watch == nil {
		return func(error) {}
	}
	return rt.cfg.Watch(ctx, Work{Loading: loading, Network: network})
}

// budget is the number of bytes of weights that may be held ready on a device: Config.Budget is the host's. A GPU's sessions
// are bounded by its memory alone.
func (rt *Runtime) budget(d ort.Device) int64 {
	if d.Kind == ort.CUDA {
		return 0
	}
	return rt.cfg.Budget
}

// available is the memory of a device that can be had now, -1 when that is not known.
func (rt *Runtime) available(d ort.Device) int64 {
	if d.Kind == ort.CUDA {
		return rt.freeOn(d)
	}
	if rt.cfg.Available == nil {
		return -1
	}
	return rt.cfg.Available()
}

// freeOn is available for a GPU.
func (rt *Runtime) freeOn(d ort.Device) int64 {
	free := int64(-1)
	if rt.cfg.DeviceMemory != nil {
		free = rt.cfg.DeviceMemory(d.Index)
	}
	if free < 0 {
		rt.openOnce.Lock()
		lib := rt.lib
		rt.openOnce.Unlock()
		if lib == nil {
			return -1
		}
		var known bool
		if free, _, known = lib.Memory(d); !known {
			return -1
		}
	}
	return max(free-rt.cfg.DeviceReserve, 0)
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
		err = fmt.Errorf("opening the ONNX Runtime library %s: %w", path, err)
		rt.refused = &LibraryError{Path: path, At: time.Now(), Err: err}
		return nil, err
	}
	rt.refused = nil
	rt.block, rt.linear = lib.NchwcBlock(), lib.HasLinear()
	rt.lib = lib
	rt.cfg.Log.Debug("models on the CPU use the engine's own kernels", "kernels", ort.Kernels(), "int8", ort.Int8Kernels())
	return lib, nil
}

// LibraryError reports that the ONNX Runtime library was found and could not be opened.
type LibraryError struct {
	Path string
	At   time.Time // of the attempt
	Err  error
}

func (e *LibraryError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *LibraryError) Unwrap() error { return e.Err }

// Library reports whether the ONNX Runtime library is open, and how the last attempt to open it failed; nil if none failed.
func (rt *Runtime) Library() (open bool, failed *LibraryError) {
	rt.openOnce.Lock()
	defer rt.openOnce.Unlock()
	return rt.lib != nil, rt.refused
}

// FreeModels evicts all networks that are not running, and their weights.
func (rt *Runtime) FreeModels() {
	rt.sessions.Free()
	ort.TrimMemory()
}

// Stats describes what the runtime holds.
type Stats struct {
	// Networks is the number of sessions held ready.
	Networks int
	// WeightBytes is the memory of prepared weights, without mapped files.
	WeightBytes int64
	// Loads, Reuses and Evictions count networks since the start: made, found ready, and evicted.
	Loads, Reuses, Evictions int64
	// Devices are the ledger's accounts.
	Devices []residency.Account
	// Version is ONNX Runtime's version; empty while the library is not open.
	Version string
}

// Stats returns the figures of this moment.
func (rt *Runtime) Stats() Stats {
	s := Stats{Devices: rt.sessions.Accounts()}
	for _, a := range s.Devices {
		s.Networks += a.Sessions
		s.WeightBytes += a.Weights
		s.Loads += a.Loads
		s.Reuses += a.Reuses
		s.Evictions += a.Evictions
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
