package ort

// #include "int8.h"
// #include "simd.h"
import "C"

// Kernels names the instructions of this CPU that the engine's own operators for linear layers, convolutions and norms (Linear,
// Conv3x3 and GroupNorm of domain comfygo) use: "AVX-512", "AVX2" (with FMA and F16C), or "" if it runs none of them.
func Kernels() string {
	switch s := C.cg_simd_of_cpu(); {
	case s == nil:
		return ""
	case s.lanes == 16:
		return "AVX-512"
	}
	return "AVX2"
}

// HasLinear reports that this CPU runs the engine's own operators (see Kernels).
func (r *Runtime) HasLinear() bool { return Kernels() != "" }

// HasInt8 reports that this CPU multiplies 8-bit integers in the operator Linear.
func HasInt8() bool { return C.cg_int8_of_cpu() != nil }

// Int8Kernels names the instructions of this CPU that multiply 8-bit integers: "AVX-512 VNNI", "AVX-VNNI", "AVX2" or "".
func Int8Kernels() string {
	if k := C.cg_int8_of_cpu(); k != nil {
		return C.GoString(k.name)
	}
	return ""
}
