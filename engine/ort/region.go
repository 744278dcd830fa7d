package ort

// #include "gpu.h"
// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"sync"
	"unsafe"
)

// Region is memory of a GPU that this program owns and sessions read weights from, where they lie: sessions over the same
// region share them.
type Region struct {
	r      *Runtime
	device Device
	size   int
	ptr    unsafe.Pointer
}

// Regions reports that sessions on a device can read their weights from a Region. It is known once CUDA has been tried.
func (r *Runtime) Regions(ctx context.Context, d Device) bool {
	return d.Kind == CUDA && r.CheckCUDA(ctx, d.Index) == nil && r.buffers()
}

// errOutside is the error for an initializer that is not within its region.
var errOutside = errors.New("it lies outside of its region")

// NewRegion allocates the given bytes of a GPU's memory. Close it after the sessions that read from it.
func (r *Runtime) NewRegion(d Device, size int) (*Region, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	defer r.leave()
	if d.Kind != CUDA || !r.buffers() {
		return nil, errNoBuffers
	}
	g := &Region{r: r, device: d, size: size}
	err := cudaError(C.cg_gpu_alloc(C.int(d.Index), C.size_t(max(size, 1)), &g.ptr), "taking %d MiB of memory of %v for weights", size>>20, d)
	if err != nil {
		return nil, err
	}
	return g, nil
}

// Write copies data to an offset of the region, which has to have room for it, and returns when it is there.
func (g *Region) Write(at int, data []byte) error {
	if len(data) == 0 {
		return nil
	}
	if at < 0 || at+len(data) > g.size {
		return errOutside
	}
	s, err := g.r.stager(g.device)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return cudaError(C.cg_gpu_stage(C.int(g.device.Index), s.ptr, unsafe.Add(g.ptr, at), unsafe.Pointer(unsafe.SliceData(data)), C.size_t(len(data))),
		"copying %d MiB of weights to %v", len(data)>>20, g.device)
}

// Push is Write from n bytes of pinned memory, which are not copied on the host.
func (g *Region) Push(at int, data *Pinned, from, n int) error {
	if n == 0 {
		return nil
	}
	if at < 0 || n < 0 || at+n > g.size || from < 0 || from+n > len(data.Data) {
		return errOutside
	}
	s, err := g.r.stager(g.device)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return cudaError(C.cg_gpu_push(C.int(g.device.Index), s.ptr, unsafe.Add(g.ptr, at), unsafe.Pointer(&data.Data[from]), C.size_t(n)),
		"copying %d MiB of weights to %v", n>>20, g.device)
}

// Read copies the bytes at an offset of the region to the host.
func (g *Region) Read(at int, to []byte) error {
	if len(to) == 0 {
		return nil
	}
	if at < 0 || at+len(to) > g.size {
		return errOutside
	}
	return cudaError(C.cg_gpu_read(C.int(g.device.Index), unsafe.Pointer(unsafe.SliceData(to)), unsafe.Add(g.ptr, at), C.size_t(len(to))),
		"copying %d bytes from %v", len(to), g.device)
}

// Size is the number of bytes.
func (g *Region) Size() int { return g.size }

// stager copies weights to one GPU.
type stager struct {
	mu  sync.Mutex // held while it copies
	ptr *C.cg_stager
}

// stager returns the stager of a GPU, which is made when it is first needed.
func (r *Runtime) stager(d Device) (*stager, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.stagers[d.Index]; s != nil {
		return s, nil
	}
	s := &stager{}
	if err := cudaError(C.cg_gpu_stager(C.int(d.Index), &s.ptr), "taking pinned memory for copies to %v", d); err != nil {
		return nil, err
	}
	r.stagers[d.Index] = s
	return s, nil
}

// Pinned is pinned memory of the host, from which a GPU copies by itself.
type Pinned struct {
	Data   []byte
	device Device
}

// NewPinned allocates pinned memory for copies to a GPU.
func (r *Runtime) NewPinned(d Device, size int) (*Pinned, error) {
	if d.Kind != CUDA || !r.buffers() {
		return nil, errNoBuffers
	}
	var p unsafe.Pointer
	if err := cudaError(C.cg_gpu_pin(C.int(d.Index), C.size_t(max(size, 1)), &p), "taking %d MiB of pinned memory", size>>20); err != nil {
		return nil, err
	}
	return &Pinned{Data: unsafe.Slice((*byte)(p), size), device: d}, nil
}

// Close gives the memory back. Closing twice does nothing.
func (p *Pinned) Close() {
	if p != nil && p.Data != nil {
		_ = C.cg_gpu_unpin(C.int(p.device.Index), unsafe.Pointer(unsafe.SliceData(p.Data))) // fails only after another error of CUDA's
		p.Data = nil
	}
}

// Memory returns the free memory of a GPU and all of it; ok is false as long as CUDA has not been tried on it, or cannot be used.
func (r *Runtime) Memory(d Device) (available, total int64, ok bool) {
	if d.Kind != CUDA || r.enter() != nil {
		return 0, 0, false
	}
	defer r.leave()
	var a, t C.size_t
	if !r.inUse(d) || C.cg_gpu_info(C.int(d.Index), &a, &t) != 0 {
		return 0, 0, false
	}
	return int64(a), int64(t), true
}

// inUse reports that CUDA has been tried on a GPU, with success.
func (r *Runtime) inUse(d Device) bool {
	r.mu.Lock()
	err, known := r.cuda[d.Index]
	r.mu.Unlock()
	return known && err == nil && r.buffers()
}

// Capability returns the compute capability of a GPU as two digits, such as 89; 0 as long as CUDA has not been tried on it.
func (r *Runtime) Capability(d Device) int {
	if d.Kind != CUDA || !r.inUse(d) {
		return 0
	}
	var v C.int
	if C.cg_gpu_capability(C.int(d.Index), &v) != 0 {
		return 0
	}
	return int(v)
}

// Close gives the memory back. Closing twice does nothing.
func (g *Region) Close() {
	if g != nil && g.ptr != nil {
		_ = C.cg_gpu_free(C.int(g.device.Index), g.ptr) // fails only after another error of CUDA's, which was reported
		g.ptr = nil
	}
}

// shared gives a session an initializer in a region.
func (o *options) shared(r *Runtime, in *Initializer) error {
	v, err := r.inRegion(in.On, in.At, Value{DType: in.DType, Shape: in.Shape})
	if err != nil {
		return err
	}
	o.values = append(o.values, v)
	name := C.CString(in.Name)
	defer C.free(unsafe.Pointer(name))
	return r.check(C.cg_add_initializer(r.api, o.ptr, name, v))
}
