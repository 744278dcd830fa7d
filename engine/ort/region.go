package ort

// #include "gpu.h"
// #include "shim.h"
import "C"

import (
	"context"
	"errors"
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
	g.r.uploads.Lock()
	defer g.r.uploads.Unlock()
	return cudaError(C.cg_gpu_upload(C.int(g.device.Index), unsafe.Add(g.ptr, at), unsafe.Pointer(unsafe.SliceData(data)), C.size_t(len(data))),
		"copying %d MiB of weights to %v", len(data)>>20, g.device)
}

// Close gives the memory back. Closing twice does nothing.
func (g *Region) Close() {
	if g.ptr != nil {
		_ = C.cg_gpu_free(C.int(g.device.Index), g.ptr) // fails only after another error of CUDA's, which was reported
		g.ptr = nil
	}
}

// shared gives a session an initializer in a region.
func (o *options) shared(r *Runtime, in *Initializer) error {
	info, err := r.memoryOf(in.On.device)
	if err != nil {
		return err
	}
	kind, err := onnxType(in.DType)
	if err != nil {
		return err
	}
	size, ok := sizeOf(in.DType, in.Shape)
	if !ok || in.At < 0 || in.At+size > in.On.size {
		return errOutside
	}
	var dims [maxRank]C.int64_t
	for i, n := range in.Shape {
		dims[i] = C.int64_t(n)
	}
	var v *C.OrtValue
	if err := r.check(C.cg_tensor(r.api, info, unsafe.Add(in.On.ptr, in.At), C.size_t(size), &dims[0], C.size_t(len(in.Shape)), C.int(kind), &v)); err != nil {
		return err
	}
	o.values = append(o.values, v)
	name := C.CString(in.Name)
	defer C.free(unsafe.Pointer(name))
	return r.check(C.cg_add_initializer(r.api, o.ptr, name, v))
}
