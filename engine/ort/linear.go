package ort

// #include "int8.h"
// #include "simd.h"
// #include "tiles.h"
import "C"

// Kernels names the instructions of this CPU that the engine's own operators for linear layers, convolutions and norms (Linear,
// Conv3x3 and GroupNorm of domain comfygo) use: "AMX with AVX-512", "AVX512-BF16 with AVX-512", "AVX-512", "AVX2" (with FMA and
// F16C), or "" if it runs none of them.
func Kernels() string {
	s, t := C.cg_simd_of_cpu(), C.cg_tiles_of_cpu()
	switch {
	case s == nil:
		return ""
	case t != nil:
		return C.GoString(t.name) + " with " + vectors(s)
	}
	return vectors(s)
}

// vectors names the instructions of vector kernels.
func vectors(s *C.cg_simd) string {
	if s.lanes == 16 {
		return "AVX-512"
	}
	return "AVX2"
}

// DisableAMX keeps operators of sessions that are made from now on from AMX.
func DisableAMX() { C.cg_disable_tiles() }

// HasLinear reports that this CPU runs the engine's own operators (see Kernels).
func (r *Runtime) HasLinear() bool { return Kernels() != "" }

// HasInt8 reports that this CPU multiplies 8-bit integers in the operator Linear.
func HasInt8() bool { return C.cg_int8_of_cpu() != nil }

// HasBfloat16 reports that this CPU multiplies numbers of bfloat16 in the operators Linear and Conv3x3, faster than those of float32.
func HasBfloat16() bool { return C.cg_tiles_of_cpu() != nil }

// Int8Kernels names the instructions of this CPU that multiply 8-bit integers: "AVX-512 VNNI", "AVX-VNNI", "AVX2" or "".
func Int8Kernels() string {
	if k := C.cg_int8_of_cpu(); k != nil {
		return C.GoString(k.name)
	}
	return ""
}
