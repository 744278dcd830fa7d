package ort

// #include "memo.h"
// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"

	"comfygo/device"
)

// Session configuration keys of ONNX Runtime.
const (
	keyFolder   = "session.model_external_initializers_file_folder_path"
	keyPrepack  = "session.disable_prepacking"
	keySpinStop = "session.force_spinning_stop"
	keyShared   = "session.use_env_allocators"
	keySpin     = "session.intra_op.allow_spinning"
	keyShrink   = "memory.enable_memory_arena_shrinkage"
	keyGraph    = "gpu_graph_id"
	keyOnDevice = "session.disable_cpu_ep_fallback"
)

// mostKept is the default of SessionSpec.MostKept. The keys and values of SDXL's prompt take 100 MiB for two entries of 77
// tokens.
const mostKept = 512 << 20

// options are session options in the making, with the values they refer to.
type options struct {
	go_    *ort.SessionOptions
	ptr    *C.OrtSessionOptions
	values []*C.OrtValue
	memo   *C.cg_memo // of a session on the CPU
	pin    runtime.Pinner
}

// free gives everything back; the session must be closed, as it uses the values.
func (o *options) free(r *Runtime) {
	if o.go_ != nil {
		_ = o.go_.Destroy() // fails only when it was destroyed before
	}
	o.drop(r)
	C.cg_memo_free(o.memo)
	o.memo = nil
}

// drop lets go of the initializers' data.
func (o *options) drop(r *Runtime) {
	for _, v := range o.values {
		C.cg_release_value(r.api, v)
	}
	o.values = nil
	o.pin.Unpin()
}

func levelOf(l OptLevel) (ort.GraphOptimizationLevel, error) {
	switch l {
	case OptAll:
		return ort.GraphOptimizationLevelEnableAll, nil
	case OptExtended:
		return ort.GraphOptimizationLevelEnableExtended, nil
	case OptBasic:
		return ort.GraphOptimizationLevelEnableBasic, nil
	case OptOff:
		return ort.GraphOptimizationLevelDisableAll, nil
	}
	return 0, fmt.Errorf("optimization level %d does not exist", l)
}

// newOptions turns a spec into session options. On an error the caller frees what there is.
func (r *Runtime) newOptions(spec *SessionSpec) (*options, error) {
	o := &options{}
	var err error
	if o.go_, err = ort.NewSessionOptions(); err != nil {
		return o, err
	}
	p, err := handle(o.go_)
	if err != nil {
		return o, err
	}
	o.ptr = (*C.OrtSessionOptions)(p)
	if err := o.set(r, spec); err != nil {
		return o, err
	}
	if spec.Device.Kind == CUDA {
		if err := appendCUDA(o.go_, spec); err != nil {
			return o, err
		}
	} else if err := o.useCustomOps(r, spec); err != nil {
		return o, err
	}
	for i := range spec.Initializers {
		if err := o.add(r, spec.Device, &spec.Initializers[i]); err != nil {
			return o, fmt.Errorf("initializer %s: %w", spec.Initializers[i].Name, err)
		}
	}
	return o, nil
}

// useCustomOps registers the operators of domain comfygo, with a memo for the values that they keep.
func (o *options) useCustomOps(r *Runtime, spec *SessionSpec) error {
	most := spec.MostKept
	if most <= 0 {
		most = mostKept
	}
	if o.memo = C.cg_memo_new(C.size_t(most)); o.memo == nil {
		return errors.New("out of memory")
	}
	address := strconv.FormatUint(uint64(uintptr(unsafe.Pointer(o.memo))), 10)
	if err := o.go_.AddSessionConfigEntry(C.CG_MEMO_KEY, address); err != nil {
		return err
	}
	return r.check(C.cg_use_custom_ops(r.api, o.ptr, r.ops))
}

// set applies the settings of a spec other than device and weights.
func (o *options) set(r *Runtime, spec *SessionSpec) error {
	level, err := levelOf(spec.OptLevel)
	if err != nil {
		return err
	}
	threads := spec.Threads
	if threads <= 0 {
		threads = device.PhysicalCores()
	}
	entries := map[string]string{keyFolder: r.root(), keySpinStop: "1"}
	if !spec.Prepack && spec.Device.Kind == CPU { // CUDA's kernels note there how a weight lies, and copy none
		entries[keyPrepack] = "1"
	}
	if spec.Shrink && !spec.DisableArena && spec.Device.Kind == CPU {
		// Threads that wait for work while one of them copies took a third of a video decoder's CPU time.
		entries[keyShared], entries[keySpin] = "1", "0"
	}
	if spec.Pooled {
		entries[keyShared] = "1"
	}
	if spec.OnDevice && spec.Device.Kind != CPU {
		entries[keyOnDevice] = "1"
	}
	for k, v := range spec.Config {
		entries[k] = v
	}
	steps := []func() error{
		func() error { return o.go_.SetGraphOptimizationLevel(level) },
		func() error { return o.go_.SetIntraOpNumThreads(threads) },
		func() error { return o.go_.SetInterOpNumThreads(1) },
		func() error { return o.go_.SetCpuMemArena(!spec.DisableArena) },
		func() error { return o.go_.SetMemPattern(patterned(spec)) },
	}
	if spec.Profile != "" {
		steps = append(steps, func() error { return o.go_.EnableProfiling(spec.Profile) })
	}
	for k, v := range entries {
		steps = append(steps, func() error { return wrap(o.go_.AddSessionConfigEntry(k, v), "setting %s", k) })
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// patterned reports whether a session learns from its first run what one block of memory would hold all buffers. On CUDA the arena, which
// grows by the requested size, would hold that block beside the buffers of the first run: twice the memory.
func patterned(spec *SessionSpec) bool {
	return !spec.DisableArena && !spec.NoPattern && spec.Device.Kind != CUDA
}

// add passes one initializer in the form that the device supports.
func (o *options) add(r *Runtime, d Device, in *Initializer) error {
	if in.On != nil {
		return o.shared(r, in)
	}
	if d.Kind == CUDA && in.File != "" {
		return nil // the library reads the file itself
	}
	if in.Data == nil && len(in.Shape) > 0 {
		return fmt.Errorf("it has no data for %v", d)
	}
	v, err := r.native(in.value(), &o.pin)
	if err != nil {
		return err
	}
	o.values = append(o.values, v)
	name := C.CString(in.Name)
	defer C.free(unsafe.Pointer(name))
	if d.Kind == CUDA {
		return r.check(C.cg_add_external(r.api, o.ptr, name, v))
	}
	return r.check(C.cg_add_initializer(r.api, o.ptr, name, v))
}
