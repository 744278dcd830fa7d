package ort

// #cgo CFLAGS: -O3 -I${SRCDIR}/include
// #cgo !windows LDFLAGS: -ldl
// #include "gpu.h"
// #include "hostalloc.h"
// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"
)

// EnvDump names the environment variable with a folder for the models of sessions that could not be made.
const EnvDump = "COMFYGO_DUMP_GRAPHS"

// Config reports which library to load and how.
type Config struct {
	// Library is the path of libonnxruntime. The providers of a CUDA build are in the same folder.
	Library string
	// CUDADirs are folders to look for NVIDIA's libraries in, before the usual ones.
	CUDADirs []string
	// Verbose lets the library print its own warnings and errors; they also come back as Go errors.
	Verbose bool
	// Log receives messages about CUDA and dumped graphs. nil means slog.Default.
	Log *slog.Logger
	// Dump is the folder of EnvDump; by default the variable's value.
	Dump string
}

// Runtime is the loaded library. A process has at most one at a time. Its methods may be called concurrently.
type Runtime struct {
	cfg    Config
	api    *C.OrtApi
	env    *C.OrtEnv
	host   *C.OrtMemoryInfo
	ops    *C.OrtCustomOpDomain
	shared bool   // whether the allocator of the host is registered
	temp   string // folder of the empty file that represents data in memory

	use    sync.RWMutex // held for reading by calls into the library, for writing by Close
	closed bool

	mu        sync.Mutex
	sessions  map[*Session]struct{}
	locations map[string]string

	cuda    map[int]error // what probing a CUDA device said
	gpus    map[int]*C.OrtMemoryInfo
	stagers map[int]*stager
	gpu     *bool // whether Buffers can be made; nil until that is known
	pools   map[int]*pool
	block   func() int
}

// open guards the library's process-wide state.
var open struct {
	sync.Mutex
	is bool
}

// Open loads the library. It fails when another Runtime is open, when the file cannot be loaded, and when the
// version is too old for the interface that the engine uses.
func Open(cfg Config) (*Runtime, error) {
	open.Lock()
	defer open.Unlock()
	if open.is {
		return nil, errors.New("opening ONNX Runtime: it is open already")
	}
	boundMemory()
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Dump == "" {
		cfg.Dump = os.Getenv(EnvDump)
	}
	r := &Runtime{cfg: cfg, sessions: map[*Session]struct{}{}, locations: map[string]string{}, cuda: map[int]error{}, gpus: map[int]*C.OrtMemoryInfo{}, stagers: map[int]*stager{}, pools: map[int]*pool{}}
	r.block = sync.OnceValue(r.probeBlock)
	if err := r.load(); err != nil {
		return nil, fmt.Errorf("opening ONNX Runtime %s: %w", cfg.Library, errors.Join(err, r.unload()))
	}
	open.is = true
	return r, nil
}

func (r *Runtime) load() error {
	path, err := filepath.Abs(r.cfg.Library)
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); err != nil {
		return err
	}
	level := ort.WithLogLevelFatal()
	if r.cfg.Verbose {
		level = ort.WithLogLevelWarning()
	}
	ort.SetSharedLibraryPath(path)
	if err := ort.InitializeEnvironment(level); err != nil {
		return err
	}
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	var msg [512]C.char
	if r.api = C.cg_attach(name, &msg[0], C.size_t(len(msg))); r.api == nil {
		return errors.New(C.GoString(&msg[0]))
	}
	if err := r.check(C.cg_env(r.api, &r.env)); err != nil {
		return err
	}
	if err := r.check(C.cg_share_host(r.api, r.env)); err != nil {
		return wrap(err, "registering an allocator")
	}
	r.shared = true
	if err := r.check(C.cg_host_memory(r.api, &r.host)); err != nil {
		return err
	}
	if err := r.check(C.cg_custom_ops(r.api, &r.ops)); err != nil {
		return err
	}
	if r.temp, err = os.MkdirTemp("", "comfygo-ort-"); err != nil {
		return err
	}
	if r.temp, err = filepath.EvalSymlinks(r.temp); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.temp, "memory"), nil, 0o600)
}

// unload gives back what load took, as far as it came.
func (r *Runtime) unload() error {
	var errs []error
	if r.ops != nil {
		C.cg_release_custom_ops(r.api, r.ops)
	}
	if r.host != nil {
		C.cg_release_memory(r.api, r.host)
	}
	for i, s := range r.stagers {
		C.cg_gpu_stager_end(C.int(i), s.ptr)
	}
	for _, info := range r.gpus {
		C.cg_release_memory(r.api, info)
	}
	if r.shared {
		errs = append(errs, r.check(C.cg_unshare_host(r.api, r.env)))
	}
	if r.env != nil {
		C.cg_release_env(r.api, r.env)
	}
	if ort.IsInitialized() {
		errs = append(errs, ort.DestroyEnvironment())
	}
	if r.temp != "" {
		errs = append(errs, os.RemoveAll(r.temp))
	}
	return wrap(errors.Join(errs...), "closing ONNX Runtime")
}

// Close closes all sessions, waiting for their runs and for sessions in the making, and the library. Closing twice does
// nothing.
func (r *Runtime) Close() error {
	r.use.Lock()
	already := r.closed
	r.closed = true
	r.use.Unlock()
	if already {
		return nil
	}
	r.mu.Lock()
	left := slices.Collect(maps.Keys(r.sessions))
	r.mu.Unlock()
	for _, s := range left {
		s.Close()
	}
	open.Lock()
	defer open.Unlock()
	open.is = false
	return r.unload()
}

// enter begins a call into the library; leave must follow unless it failed.
func (r *Runtime) enter() error {
	r.use.RLock()
	if r.closed {
		r.use.RUnlock()
		return ErrClosed
	}
	return nil
}

func (r *Runtime) leave() { r.use.RUnlock() }

// Version returns the library's version, such as "1.31.1".
func (r *Runtime) Version() string { return ort.GetVersion() }

// Library returns the path of the loaded library.
func (r *Runtime) Library() string { return r.cfg.Library }

// Providers lists the execution providers that this build of the library knows, whether or not the machine can use them.
func (r *Runtime) Providers() ([]string, error) {
	if err := r.enter(); err != nil {
		return nil, fmt.Errorf("listing execution providers: %w", err)
	}
	defer r.leave()
	var names **C.char
	var n C.int
	if err := r.check(C.cg_providers(r.api, &names, &n)); err != nil {
		return nil, fmt.Errorf("listing execution providers: %w", err)
	}
	defer C.cg_release_providers(r.api, names, n)
	var out []string
	for _, p := range unsafe.Slice(names, int(n)) {
		out = append(out, C.GoString(p))
	}
	slices.Sort(out)
	return out, nil
}

// handle takes the pointer out of one of onnxruntime_go's option types, which hold just that in a field "o".
func handle[T any](v *T) (unsafe.Pointer, error) {
	t := reflect.TypeFor[T]()
	f, ok := t.FieldByName("o")
	if !ok || f.Offset != 0 || f.Type.Kind() != reflect.Pointer {
		return nil, fmt.Errorf("%v has another layout than this build knows", t)
	}
	return *(*unsafe.Pointer)(unsafe.Pointer(v)), nil
}
