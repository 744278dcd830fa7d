// The transforms of 3x3 convolutions with stride one by Winograd's algorithm (Lavin and Gray 2016, section 4.1). F(2x2,3x3)
// takes 16 products of channels for an output tile of 2x2 instead of 36, F(4x4,3x3) 36 for one of 4x4 instead of 144. Values of
// a tile's places are apart, so that each place is a product of matrices (gemm.h).
//
// F(4x4,3x3) evaluates at 0, 5/8, -5/8, 3/2, -3/2 and infinity: the root mean square error of float32 is then 1.0e-6 of the
// result's, against 2.2e-6 with the usual 0, 1, -1, 2, -2; F(2x2,3x3) has 0.35e-6 and the plain sum 0.24e-6 (320 channels,
// normally distributed values). All constants but those of the weights are exact. No ONNX Runtime in here.
#ifndef COMFYGO_ORT_WINOGRAD_H
#define COMFYGO_ORT_WINOGRAD_H

#include <stddef.h>

// The sides of an output tile, of its input and their greatest number of places.
enum { CG_TILE2 = 2, CG_TILE4 = 4, CG_BORDER = 2, CG_MOST_ROWS = CG_TILE4 + CG_BORDER, CG_MOST_PLACES = CG_MOST_ROWS * CG_MOST_ROWS };

// cg_winograd are the kernels of the transforms; see simd.h. In all of them, side is CG_TILE2 or CG_TILE4, the side of an output
// tile.
typedef struct {
  // weights transforms channels input channels of rows (at most CG_MR) output channels into strips [channels][CG_MR], one for
  // each place; w is the first tap of a weight [O][I][3][3], whose rows are ld taps apart, step is the distance of the places in
  // dst.
  void (*weights)(int side, const void *w, int type, size_t ld, size_t rows, size_t channels, float *dst, size_t step);

  // input transforms n (at most 16) neighbouring tiles; rows are the side+2 rows of the image from the first tile's left border
  // on, each with 16*side+16 readable values. Place p goes to dst + p*step.
  void (*input)(int side, const float *const *rows, size_t n, float *dst, size_t step);

  // output transforms the products of CG_NR tiles, place p at m + p*step, into side rows of side*CG_NR pixels.
  void (*output)(int side, const float *m, size_t step, float *rows);

  // add3 computes y = a + bias + sum over n values; sum may be NULL.
  void (*add3)(const float *a, float bias, const float *sum, float *y, size_t n);
} cg_winograd;

#endif
