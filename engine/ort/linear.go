package ort

// #include "gemm.h"
// #include "int8.h"
import "C"

// HasLinear reports that this CPU runs the engine's own operators for linear layers, convolutions and norms (Linear, Conv3x3
// and GroupNorm of domain comfygo): it has AVX-512.
func (r *Runtime) HasLinear() bool { return C.cg_gemm_available() != 0 }

// HasInt8 reports that this CPU multiplies 8-bit integers in the operator Linear: it has AVX-512 with VNNI.
func HasInt8() bool { return C.cg_int8_available() != 0 }
