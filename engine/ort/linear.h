// What the forms of the operator Linear share: linear.c computes in float32, lineartiles.c in tiles of bfloat16, linear8.c
// multiplies in 8-bit integers.
#ifndef COMFYGO_ORT_LINEAR_H
#define COMFYGO_ORT_LINEAR_H

#include "ops.h"

enum { CG_GROUP = 4 };  // panels that a task computes together, so that a strip is read from the cache

// cg_linear is a layer that is being computed.
typedef struct {
  const cg_kernel *k;
  const cg_simd *simd;
  const float *x;
  const char *w;
  int type;
  const float *bias, *sum;
  float *y;
  size_t rows, depth, cols;  // of the result, and the length of the products
  size_t from, strips;       // the strips that are packed
  void *packed;
  int failed, odd;
} cg_linear;

// cg_group is the panels of one task: their first columns of y and rows of the weight, and, for a gated layer, the rows of
// the gates, whose panels come after.
typedef struct {
  size_t panels, col[CG_GROUP], cols[CG_GROUP], row[CG_GROUP];
} cg_group;

static inline size_t cg_least(size_t a, size_t b) { return a < b ? a : b; }

cg_group cg_group_of(const cg_linear *l, size_t task);

// cg_finish_strip writes the tiles of strip number strip of height rows, [panels][height][CG_NR] with step values between panels, to y.
void cg_finish_strip(const cg_linear *l, const cg_group *g, size_t strip, size_t height, const float *tiles, size_t step);

// cg_form is a way to compute a layer: the rows of a strip, how many strips are packed at a time, the bytes of a packed strip, and
// the tasks that pack a strip and compute the columns of a group. A task that finds no memory sets failed, one that packs a
// number which the form cannot multiply sets odd.
typedef struct {
  size_t height, strips, strip_bytes;
  void (*strip)(void *layer, size_t strip);
  void (*panels)(void *layer, size_t task);
} cg_form;

// cg_form8 is the form in 8-bit integers.
cg_form cg_form8(const cg_linear *l);

// cg_form_tiles is the form in tiles: as exact as float32, or with one part for each number.
cg_form cg_form_tiles(const cg_linear *l);

#endif
