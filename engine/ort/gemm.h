// Products of float32 matrices in blocks: what the operators Linear and Conv3x3 share. The left matrix is packed into strips of
// CG_MR rows, [K][CG_MR], the right one into panels of CG_NR columns, [K][CG_NR]; a tile of the result is [CG_MR][CG_NR]. Loads
// are unaligned. No ONNX Runtime in here.
#ifndef COMFYGO_ORT_GEMM_H
#define COMFYGO_ORT_GEMM_H

#include <stddef.h>
#include <stdint.h>

enum { CG_MR = 12, CG_NR = 32 };

// cg_gemm are the kernels of products; see simd.h.
typedef struct {
  // pack_strip packs rows (at most CG_MR) of a float32 matrix with leading dimension ld; missing rows become zeros.
  void (*pack_strip)(const float *a, size_t ld, size_t rows, size_t k, float *dst);

  // pack_panel packs rows (at most CG_NR) of a weight [N,K] of an element type of widen.h as columns of a panel.
  void (*pack_panel)(const void *w, int type, size_t ld, size_t rows, size_t k, float *dst);

  // tile computes a tile from a strip and a panel; add adds to what the tile holds.
  void (*tile)(const float *strip, const float *panel, size_t k, float *tile, int add);

  // finish writes a tile to rows x cols of y: y = tile + bias (a value a column) + sum. bias and sum may be NULL; sum has the
  // layout of y and may be y.
  void (*finish)(const float *tile, size_t rows, size_t cols, const float *bias, const float *sum, float *y, size_t ld);

  // finish_gated is finish for a gated layer: y = (tile + bias) * gelu(gate + gate_bias), with the exact GELU.
  void (*finish_gated)(const float *tile, const float *gate, size_t rows, size_t cols, const float *bias, const float *gate_bias,
                       float *y, size_t ld);
} cg_gemm;

#endif
