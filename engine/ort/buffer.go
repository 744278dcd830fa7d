package ort

// #include "gpu.h"
// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	"comfygo/engine/dtype"
)

// Buffer is a tensor in a GPU's memory that this program owns, at an address that stays.
type Buffer struct {
	r      *Runtime
	device Device
	info   Info
	size   int
	ptr    unsafe.Pointer
	value  *C.OrtValue
}

// errNoBuffers reports that Buffers are unavailable: the provider's CUDA runtime library cannot be called.
var errNoBuffers = errors.New("the CUDA runtime library cannot be called")

// buffers reports that Buffers can be made. A session on a GPU must have been made before.
func (r *Runtime) buffers() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gpu == nil {
		opened := C.cg_gpu_open() == 0
		r.gpu = &opened
	}
	return *r.gpu
}

// memoryOf describes a GPU's memory to the library.
func (r *Runtime) memoryOf(d Device) (*C.OrtMemoryInfo, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if info := r.gpus[d.Index]; info != nil {
		return info, nil
	}
	var info *C.OrtMemoryInfo
	if err := r.check(C.cg_gpu_memory(r.api, C.int(d.Index), &info)); err != nil {
		return nil, err
	}
	r.gpus[d.Index] = info
	return info, nil
}

// newBuffer takes memory for a tensor.
func (r *Runtime) newBuffer(d Device, t dtype.DType, shape []int) (*Buffer, error) {
	if !r.buffers() {
		return nil, errNoBuffers
	}
	size, ok := sizeOf(t, shape)
	if !ok {
		return nil, fmt.Errorf("a value of type %v and shape %v", t, shape)
	}
	kind, err := onnxType(t)
	if err != nil {
		return nil, err
	}
	info, err := r.memoryOf(d)
	if err != nil {
		return nil, err
	}
	b := &Buffer{r: r, device: d, info: Info{DType: t, Shape: append([]int(nil), shape...)}, size: size}
	if err := cudaError(C.cg_gpu_alloc(C.int(d.Index), C.size_t(max(size, 1)), &b.ptr), "taking %d bytes of memory of %v", size, d); err != nil {
		return nil, err
	}
	var dims [maxRank]C.int64_t
	for i, n := range shape {
		dims[i] = C.int64_t(n)
	}
	if err := r.check(C.cg_tensor(r.api, info, b.ptr, C.size_t(size), &dims[0], C.size_t(len(shape)), C.int(kind), &b.value)); err != nil {
		b.free()
		return nil, err
	}
	return b, nil
}

// cudaError is an error of the CUDA runtime library; nil for code 0.
func cudaError(code C.int, format string, args ...any) error {
	if code == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), &Error{Code: int(code), Message: C.GoString(C.cg_gpu_message(code))})
}

// holds reports whether the buffer holds values of this type and shape.
func (b *Buffer) holds(t dtype.DType, shape []int) bool {
	if b == nil || b.info.DType != t || len(b.info.Shape) != len(shape) {
		return false
	}
	for i, n := range shape {
		if b.info.Shape[i] != n {
			return false
		}
	}
	return true
}

// write copies data there.
func (b *Buffer) write(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	return cudaError(C.cg_gpu_write(C.int(b.device.Index), b.ptr, unsafe.Pointer(unsafe.SliceData(data)), C.size_t(len(data))), "copying %d bytes to %v", len(data), b.device)
}

// read copies the content to the host.
func (b *Buffer) read() (Value, error) {
	v := Value{DType: b.info.DType, Shape: append([]int(nil), b.info.Shape...)}
	if b.size == 0 {
		return v, nil
	}
	v.Data = words(b.size)
	return v, cudaError(C.cg_gpu_read(C.int(b.device.Index), unsafe.Pointer(unsafe.SliceData(v.Data)), b.ptr, C.size_t(b.size)), "copying %d bytes from %v", b.size, b.device)
}

// free gives the memory back; nothing may use it any more.
func (b *Buffer) free() {
	if b == nil {
		return
	}
	if b.value != nil {
		C.cg_release_value(b.r.api, b.value)
		b.value = nil
	}
	if b.ptr != nil {
		_ = C.cg_gpu_free(C.int(b.device.Index), b.ptr) // fails only for memory that is not CUDA's, or after another CUDA error
		b.ptr = nil
	}
}
