// Products of float32 matrices in 8-bit integers: what the operator Linear uses where a graph allows it. Rows of both matrices are
// cut into groups of CG_STEP columns, each with a scale of its own, by which the largest magnitude becomes 127, or 63 for strips
// on CPUs without VNNI. Tiles are those of gemm.h. No ONNX Runtime in here.
#ifndef COMFYGO_ORT_INT8_H
#define COMFYGO_ORT_INT8_H

#include <stddef.h>
#include <stdint.h>

#include "gemm.h"

enum { CG_STEP = 256 };

// cg_strip8 is a group of columns of a strip: numbers plus an offset, four columns of a row beside each other, and the scales of
// the rows. A row with a number that is not finite has a scale that is not one.
typedef struct {
  uint8_t q[CG_STEP / 4][CG_MR][4];
  float scale[CG_MR];
} cg_strip8;

// cg_panel8 is a group of columns of a weight, whose rows are the columns of a panel: numbers, scales, and the offset times the
// sum of the numbers, which the products are too large by.
typedef struct {
  int8_t q[CG_STEP / 4][CG_NR][4];
  float scale[CG_NR];
  int32_t excess[CG_NR];
} cg_panel8;

// cg_groups8 is the number of groups that k columns make.
static inline size_t cg_groups8(size_t k) { return (k + CG_STEP - 1) / CG_STEP; }

// cg_int8 are the kernels of products in 8-bit integers.
typedef struct {
  const char *name;  // of the instructions

  // strip packs rows (at most CG_MR) of a float32 matrix; what is missing becomes zeros.
  void (*strip)(const float *a, size_t ld, size_t rows, size_t k, cg_strip8 *dst);

  // panel packs rows (at most CG_NR) of a weight [N,K] of an element type of widen.h as columns of a panel.
  void (*panel)(const void *w, int type, size_t ld, size_t rows, size_t k, cg_panel8 *dst);

  // tile computes a tile from k columns of a strip and a panel; add adds to what the tile holds.
  void (*tile)(const cg_strip8 *strip, const cg_panel8 *panel, size_t k, float *tile, int add);
} cg_int8;

// The kernels for AVX-512 VNNI, AVX-VNNI and AVX2. Those of VNNI give the same bits.
extern const cg_int8 cg_int8_vnni512, cg_int8_vnni256, cg_int8_avx2;

// cg_int8_of_cpu returns the fastest kernels that this CPU runs, those for AVX2 at level 2 of widen.h, NULL if it runs none.
const cg_int8 *cg_int8_of_cpu(void);

#endif
