package ort

// #include "gemm.h"
import "C"

// HasLinear reports that this CPU runs the engine's own operators for linear layers, convolutions and norms (Linear, Conv3x3
// and GroupNorm of domain comfygo): it has AVX-512.
func (r *Runtime) HasLinear() bool { return C.cg_gemm_available() != 0 }
