package ort

// #include "widen.h"
import "C"

import (
	"runtime"
	"unsafe"

	"comfygo/engine/dtype"
)

// CanWiden reports that Widen, Block and Transpose read weights of this type.
func CanWiden(t dtype.DType) bool { return t == dtype.F16 || t == dtype.BF16 || t == dtype.F32 }

// Widen converts len(dst) elements of src, which must be of a type that CanWiden takes, to float32.
func Widen(dst []float32, src []byte, t dtype.DType) {
	need(len(src) >= len(dst)*t.Size())
	if len(dst) > 0 {
		C.cg_widen(unsafe.Pointer(unsafe.SliceData(src)), C.int(onnxTypes[t]), (*C.float)(unsafe.SliceData(dst)), C.size_t(len(dst)))
	}
}

// Block converts output channels row*block to row*block+block-1 of a convolution weight [o,i,k] (k is kernel height times width)
// into the layout of blocked convolutions, [i/block][k][block of i][block of o], or [i][k][block of o] when i is less than a
// block. dst is that block row alone; output channels beyond o become zeros.
func Block(dst []float32, src []byte, t dtype.DType, o, i, k, block, row int) {
	need(len(dst) == block*i*k && len(src) >= o*i*k*t.Size() && row >= 0 && row*block < o && (i < block || i%block == 0))
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(unsafe.SliceData(src))
	pin.Pin(unsafe.SliceData(dst))
	first := row * block
	c := C.cg_conv{
		src: unsafe.Pointer(&src[first*i*k*t.Size()]), _type: C.int(onnxTypes[t]), dst: (*C.float)(unsafe.SliceData(dst)),
		o: C.size_t(o - first), i: C.size_t(i), k: C.size_t(k), b: C.size_t(block),
	}
	C.cg_block(&c, 0)
}

// Transpose converts rows from to from+rows-1 of a matrix [n,k] into those columns of dst [k,n].
func Transpose(dst []float32, src []byte, t dtype.DType, n, k, from, rows int) {
	need(len(dst) == n*k && len(src) >= n*k*t.Size() && from >= 0 && rows >= 0 && from+rows <= n)
	if len(dst) > 0 {
		C.cg_transpose(unsafe.Pointer(unsafe.SliceData(src)), C.int(onnxTypes[t]), (*C.float)(unsafe.SliceData(dst)),
			C.size_t(n), C.size_t(k), C.size_t(from), C.size_t(rows))
	}
}

// need keeps code without bounds checks from being called with slices that are too short.
func need(ok bool) {
	if !ok {
		panic("ort: slices do not fit the weight")
	}
}

// limitVectors restricts the operators of domain comfygo to portable code (1), AVX2 (2) or AVX-512 without AMX and AVX512-BF16 (3), so that
// one machine can test what others run; 4 and 5 compute what AMX and AVX512-BF16 do in portable code, 0 is the best there is.
func limitVectors(level int) { C.cg_level = C.int(level) }
