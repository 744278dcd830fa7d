// The transforms of 3x3 convolutions with stride one by Winograd's algorithm F(2x2,3x3) (Lavin and Gray 2016, section 4.1),
// for CPUs with AVX-512: an output tile of 2x2 takes 16 products of channels instead of 36. Values of a tile's 16
// places are apart, so that each place is a product of matrices (gemm.h). No ONNX Runtime in here.
#ifndef COMFYGO_ORT_WINOGRAD_H
#define COMFYGO_ORT_WINOGRAD_H

#include <stddef.h>

enum { CG_PLACES = 16 };

// cg_winograd_weights transforms rows (at most CG_MR) of a weight [O][channels][3][3] into strips [channels][CG_MR], one for
// each place; step is the distance of the places in dst.
void cg_winograd_weights(const void *w, int type, size_t rows, size_t channels, float *dst, size_t step);

// cg_winograd_input transforms n (at most 16) neighbouring tiles; rows are the four rows of the image from the first tile's
// left border on, each with 34 readable values. Place p goes to dst + p*step.
void cg_winograd_input(const float *const rows[4], size_t n, float *dst, size_t step);

// cg_winograd_output transforms the products of CG_NR tiles, place p at m + p*step, into two rows of 2*CG_NR pixels.
void cg_winograd_output(const float *m, size_t step, float *even, float *odd);

// cg_add3 computes y = a + bias + sum over n values; sum may be NULL.
void cg_add3(const float *a, float bias, const float *sum, float *y, size_t n);

#endif
