// What the operators of domain "comfygo" share: kernels, their inputs and their memory.
#ifndef COMFYGO_ORT_OPS_H
#define COMFYGO_ORT_OPS_H

#include "int8.h"
#include "memo.h"
#include "shim.h"
#include "simd.h"
#include "tiles.h"
#include "widen.h"

enum { CG_MAX_RANK = 8 };

// How an operator may multiply (attribute narrow): as exactly as float32, in 8-bit integers, in bfloat16, and in a convolution in
// bfloat16 with a few times the error of plain sums.
enum { CG_NARROW_NOT, CG_NARROW_INT8, CG_NARROW_BF16, CG_NARROW_COARSE };

// cg_kernel is an operator of a graph.
typedef struct {
  const OrtApi *api;
  OrtAllocator *arena;
  const cg_simd *simd;  // NULL on a CPU without the vectors that Linear, Conv3x3 and GroupNorm need
  const cg_int8 *simd8;  // for Linear in 8-bit integers, NULL likewise
  const cg_tiles *tiles;  // for Linear and Conv3x3 in tiles, NULL likewise
  int kind;
  // The attributes of the operators that have them.
  int64_t block, gated, remember, narrow;
  int64_t format, cols, first;  // of Dequantize
  int64_t groups, silu;         // of GroupNorm
  float epsilon;
  cg_memo *memo;                // of the session, for Linear with remember
  cg_kept *kept;
} cg_kernel;

// cg_input is an input; data is NULL for one that is omitted.
typedef struct {
  int type;
  int64_t dims[CG_MAX_RANK];
  size_t rank, count;
  void *data;
} cg_input;

OrtStatus *cg_get_input(const cg_kernel *k, OrtKernelContext *ctx, size_t i, cg_input *in);
OrtStatus *cg_get_output(const cg_kernel *k, OrtKernelContext *ctx, const int64_t *dims, size_t rank, void **data);

// cg_is_weight reports that weights may have the type.
int cg_is_weight(int type);

// cg_alloc takes memory from the session's arena, NULL when there is none; cg_free gives it back.
void *cg_alloc(const cg_kernel *k, size_t bytes);
void cg_free(const cg_kernel *k, void *p);

OrtStatus *cg_compute_linear(cg_kernel *k, OrtKernelContext *ctx);
OrtStatus *cg_compute_conv(const cg_kernel *k, OrtKernelContext *ctx);
// cg_images are a 3x3 convolution.
typedef struct {
  const cg_kernel *k;
  const float *x;
  const char *w;
  int type;
  const float *bias, *sum;
  float *y;
  size_t batch, in, out, height, width;
} cg_images;

// cg_convolve_bf16 computes it with operands that are rounded to bfloat16.
OrtStatus *cg_convolve_bf16(const cg_images *images, OrtKernelContext *ctx);

OrtStatus *cg_compute_norm(const cg_kernel *k, OrtKernelContext *ctx);

#endif
