// What a group norm does with values in a row, for CPUs with AVX-512. The order of all sums is fixed. No ONNX Runtime in here.
#ifndef COMFYGO_ORT_NORM_H
#define COMFYGO_ORT_NORM_H

#include <stddef.h>

// cg_sum is the sum of x + shift over n values, cg_squares that of its square.
double cg_sum(const float *x, size_t n, float shift);
double cg_squares(const float *x, size_t n, float shift);

// cg_affine computes y = (x + shift) * scale + bias over n values, and of that v / (1 + exp(-v)) when silu is set. y may be x.
void cg_affine(const float *x, size_t n, float shift, float scale, float bias, int silu, float *y);

#endif
