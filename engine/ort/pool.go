package ort

// #include "gpu.h"
// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"unsafe"
)

// pool is an arena of a GPU's memory that sessions share.
type pool struct {
	users int
}

// SharePool makes an arena of a GPU's memory for sessions with SessionSpec.Pooled, which must not run at the same time. The returned
// function gives it back, when the sessions are closed; the arena is freed with the last of its users.
func (r *Runtime) SharePool(d Device) (release func(), err error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	defer r.leave()
	info, err := r.memoryOf(d)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.pools[d.Index]
	if p == nil {
		index := C.CString(strconv.Itoa(d.Index))
		defer C.free(unsafe.Pointer(index))
		if err := r.check(C.cg_share_gpu(r.api, r.env, info, index)); err != nil {
			return nil, fmt.Errorf("sharing memory of %v: %w", d, err)
		}
		p = &pool{}
		r.pools[d.Index] = p
	}
	p.users++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if p.users--; p.users > 0 {
			return
		}
		delete(r.pools, d.Index)
		if err := r.check(C.cg_unshare_gpu(r.api, r.env, info)); err != nil {
			r.cfg.Log.Warn("giving back shared memory", "device", d.String(), "error", err)
		}
	}, nil
}

// Placed is a tensor of a run of Session.RunPlaced: on a GPU at an offset of On, or on the host if that is nil.
type Placed struct {
	Value
	On *Region
	At int
}

// RunPlaced computes outputs from inputs where both lie: on the session's GPU, in memory of the caller. An input may lie on the host.
func (s *Session) RunPlaced(ctx context.Context, in, out map[string]Placed) error {
	s.use.RLock()
	defer s.use.RUnlock()
	return wrap(s.runPlaced(ctx, in, out), "running graph %s", s.name)
}

func (s *Session) runPlaced(ctx context.Context, in, out map[string]Placed) error {
	if s.closed {
		return ErrClosed
	}
	call := &call{r: s.r}
	defer call.free()
	for _, info := range s.inputs {
		v, ok := in[info.Name]
		if !ok {
			return fmt.Errorf("input %v is missing", info)
		}
		value, err := call.placed(info, v)
		if err != nil {
			return fmt.Errorf("input %s: %w", info.Name, err)
		}
		call.in = append(call.in, value)
		call.names = append(call.names, s.names[info.Name])
	}
	outNames := make([]*C.char, len(s.outputs))
	for i, info := range s.outputs {
		v, ok := out[info.Name]
		if !ok || v.On == nil {
			return fmt.Errorf("output %v has no place", info)
		}
		value, err := call.placed(info, v)
		if err != nil {
			return fmt.Errorf("output %s: %w", info.Name, err)
		}
		call.out = append(call.out, value)
		outNames[i] = s.names[info.Name]
	}
	return s.guarded(ctx, notCaptured, func(o *C.OrtRunOptions) *C.OrtStatus {
		return C.cg_run(s.r.api, s.ptr, o, unsafe.SliceData(call.names), unsafe.SliceData(call.in), C.size_t(len(call.in)),
			unsafe.SliceData(outNames), C.size_t(len(outNames)), unsafe.SliceData(call.out))
	})
}

// placed wraps a tensor for the library.
func (c *call) placed(info Info, v Placed) (*C.OrtValue, error) {
	if err := info.accepts(v.Value); err != nil {
		return nil, err
	}
	if v.On == nil {
		return c.r.native(v.Value, &c.pin)
	}
	return c.r.inRegion(v.On, v.At, v.Value)
}

// inRegion is a tensor in a region; its Data is not used.
func (r *Runtime) inRegion(on *Region, at int, v Value) (*C.OrtValue, error) {
	info, err := r.memoryOf(on.device)
	if err != nil {
		return nil, err
	}
	kind, err := onnxType(v.DType)
	if err != nil {
		return nil, err
	}
	size, ok := sizeOf(v.DType, v.Shape)
	if !ok || at < 0 || at+size > on.size {
		return nil, errOutside
	}
	if on.ptr == nil {
		return nil, errors.New("its region is closed")
	}
	var dims [maxRank]C.int64_t
	for i, n := range v.Shape {
		dims[i] = C.int64_t(n)
	}
	var out *C.OrtValue
	err = r.check(C.cg_tensor(r.api, info, unsafe.Add(on.ptr, at), C.size_t(size), &dims[0], C.size_t(len(v.Shape)), C.int(kind), &out))
	return out, err
}
