// Conversion of stored weights to float32, as fast as memory allows. No ONNX Runtime in here.
#ifndef COMFYGO_ORT_WIDEN_H
#define COMFYGO_ORT_WIDEN_H

#include <stddef.h>
#include <stdint.h>

// Element types, by ONNX's numbers.
enum { CG_F32 = 1, CG_F16 = 10, CG_BF16 = 16 };

// cg_level overrides the instruction set: 0 best, 1 portable code (and no kernels of simd.h), 2 at most AVX2, 3 at most AVX-512
// without AMX and AVX512-BF16, CG_EMULATED and CG_EMULATED_VECTORS as 3 with AMX or AVX512-BF16 in portable code.
enum { CG_EMULATED = 4, CG_EMULATED_VECTORS = 5 };
extern int cg_level;

// cg_widen converts n elements.
void cg_widen(const void *src, int type, float *dst, size_t n);

// A convolution weight [o][i][k] (k = kernel height x width) on its way to MLAS's blocked order
// [o/b][i/b][k][b of i][b of o], or [o/b][i][k][b of o] when i < b. Missing rows of o become zeros.
typedef struct {
  const void *src;
  int type;
  float *dst;
  size_t o, i, k, b;
} cg_conv;

// cg_block converts block row n of a convolution weight: output channels n*b to n*b+b-1.
void cg_block(const cg_conv *w, size_t n);

// cg_transpose converts rows from to from+rows-1 of a matrix [n][k] into those columns of dst [k][n].
void cg_transpose(const void *src, int type, float *dst, size_t n, size_t k, size_t from, size_t rows);

#endif
