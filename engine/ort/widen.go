package ort

// #include "widen.h"
import "C"

// limitVectors restricts the operators of domain comfygo to portable code (1) or AVX2 (2), so that one machine can test
// what others run; 0 is the best there is.
func limitVectors(level int) { C.cg_level = C.int(level) }
