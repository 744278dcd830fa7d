package ort

// #include "shim.h"
import "C"

import (
	"fmt"
	"runtime"
	"unsafe"

	"comfygo/engine/dtype"
)

// maxRank bounds the dimensions of a tensor.
const maxRank = 16

// Value is a dense tensor on the host. Data holds the elements row-major in the machine's byte order.
type Value struct {
	DType dtype.DType
	Shape []int
	Data  []byte
}

// NewValue makes a value of zeros.
func NewValue(t dtype.DType, shape ...int) Value {
	n := t.Size()
	for _, d := range shape {
		n *= d
	}
	return Value{DType: t, Shape: shape, Data: words(n)}
}

// Floats makes a float32 value over data, which is not copied.
func Floats(data []float32, shape ...int) Value {
	return Value{DType: dtype.F32, Shape: shape, Data: bytesOf(data)}
}

// Ints makes an int64 value over data, which is not copied.
func Ints(data []int64, shape ...int) Value {
	return Value{DType: dtype.I64, Shape: shape, Data: bytesOf(data)}
}

// Int32s makes an int32 value over data, which is not copied.
func Int32s(data []int32, shape ...int) Value {
	return Value{DType: dtype.I32, Shape: shape, Data: bytesOf(data)}
}

// Float32s returns the elements of a float32 value. The slice shares memory with v when alignment allows.
func (v Value) Float32s() ([]float32, error) { return elements[float32](v, dtype.F32) }

// Int64s returns the elements of an int64 value. The slice shares memory with v when alignment allows.
func (v Value) Int64s() ([]int64, error) { return elements[int64](v, dtype.I64) }

// check reports whether the shape is sound and holds exactly the bytes of Data.
func (v Value) check() error {
	if v.DType.Size() == 0 {
		return fmt.Errorf("a value of type %v", v.DType)
	}
	if len(v.Shape) > maxRank {
		return fmt.Errorf("a value with %d dimensions", len(v.Shape))
	}
	n, ok := sizeOf(v.DType, v.Shape)
	if !ok {
		return fmt.Errorf("a value of shape %v", v.Shape)
	}
	if n != len(v.Data) {
		return fmt.Errorf("a value of type %v and shape %v with %d bytes of data", v.DType, v.Shape, len(v.Data))
	}
	return nil
}

// sizeOf returns the number of bytes of a value, or false if the type or the shape is invalid.
func sizeOf(t dtype.DType, shape []int) (int, bool) {
	n := t.Size()
	if n == 0 || len(shape) > maxRank {
		return 0, false
	}
	for _, d := range shape {
		if d < 0 || (d > 0 && n > int(^uint(0)>>1)/d) {
			return 0, false
		}
		n *= d
	}
	return n, true
}

// words returns memory of the given bytes, aligned for elements of any type.
func words(size int) []byte {
	return bytesOf(make([]uint64, (size+7)/8))[:size:size]
}

func bytesOf[T any](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(s[0])))
}

func elements[T any](v Value, want dtype.DType) ([]T, error) {
	if err := v.check(); err != nil {
		return nil, fmt.Errorf("reading elements: %w", err)
	}
	if v.DType != want {
		return nil, fmt.Errorf("reading elements: the value is %v, not %v", v.DType, want)
	}
	n := len(v.Data) / want.Size()
	if n == 0 {
		return nil, nil
	}
	p := unsafe.Pointer(unsafe.SliceData(v.Data))
	if uintptr(p)%unsafe.Alignof(*new(T)) == 0 {
		return unsafe.Slice((*T)(p), n), nil
	}
	out := make([]T, n)
	copy(bytesOf(out), v.Data)
	return out, nil
}

// nothing is the data of an empty tensor: the library requires an address even then.
var nothing [1]byte

// native makes an OrtValue over v's memory, which pin keeps in place and alive.
func (r *Runtime) native(v Value, pin *runtime.Pinner) (*C.OrtValue, error) {
	if err := v.check(); err != nil {
		return nil, err
	}
	kind, err := onnxType(v.DType)
	if err != nil {
		return nil, err
	}
	p := unsafe.Pointer(&nothing[0])
	if len(v.Data) > 0 {
		p = unsafe.Pointer(unsafe.SliceData(v.Data))
	}
	pin.Pin(p)
	var dims [maxRank]C.int64_t
	for i, d := range v.Shape {
		dims[i] = C.int64_t(d)
	}
	var out *C.OrtValue
	err = r.check(C.cg_tensor(r.api, r.host, p, C.size_t(len(v.Data)), &dims[0], C.size_t(len(v.Shape)), C.int(kind), &out))
	return out, err
}

// toGo copies an OrtValue on the host into Go's memory.
func (r *Runtime) toGo(value *C.OrtValue) (Value, error) {
	var (
		kind       C.int
		dims       [maxRank]C.int64_t
		rank, size C.size_t
		data       unsafe.Pointer
	)
	if err := r.check(C.cg_describe(r.api, value, &kind, &dims[0], maxRank, &rank, &data, &size)); err != nil {
		return Value{}, err
	}
	v := Value{DType: fromONNX(int(kind)), Shape: shapeOf(dims[:rank])}
	if size > 0 {
		v.Data = words(int(size))
		copy(v.Data, unsafe.Slice((*byte)(data), int(size)))
	}
	return v, v.check()
}

func shapeOf(dims []C.int64_t) []int {
	shape := make([]int, len(dims))
	for i, d := range dims {
		shape[i] = int(d)
	}
	return shape
}
