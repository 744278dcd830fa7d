// The kernels of the engine's own operators, for each width of vectors that they are written for.
#ifndef COMFYGO_ORT_SIMD_H
#define COMFYGO_ORT_SIMD_H

#include "gemm.h"
#include "norm.h"
#include "winograd.h"

typedef struct {
  int lanes;  // float32 values of a vector
  cg_gemm gemm;
  cg_winograd winograd;
  cg_norm norm;
} cg_simd;

// cg_simd8 runs on CPUs with AVX2, FMA and F16C, cg_simd16 on those with AVX-512. All results are the same to the bit.
extern const cg_simd cg_simd8, cg_simd16;

// cg_simd_of_cpu returns the widest kernels that this CPU runs and cg_level (widen.h) allows, NULL if it runs none.
const cg_simd *cg_simd_of_cpu(void);

#endif
