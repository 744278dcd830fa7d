// What a group norm does with values in a row. The order of all sums is fixed. No ONNX Runtime in here.
#ifndef COMFYGO_ORT_NORM_H
#define COMFYGO_ORT_NORM_H

#include <stddef.h>

// cg_norm are the kernels of group norms; see simd.h.
typedef struct {
  // sum is the sum of x + shift over n values, squares that of its square.
  double (*sum)(const float *x, size_t n, float shift);
  double (*squares)(const float *x, size_t n, float shift);

  // affine computes y = (x + shift) * scale + bias over n values, and of that v / (1 + exp(-v)) when silu is set. y may be x.
  void (*affine)(const float *x, size_t n, float shift, float scale, float bias, int silu, float *y);
} cg_norm;

#endif
