// The operator Linear with products of 8-bit integers: strips of x and panels of the weight are rounded while they are packed.
#include "linear.h"

enum {
  GROUPS = 16,   // groups of columns that are multiplied at a time: the panels stay in the second-level cache
  STRIPS = 128,  // strips that are packed at a time, which bounds the memory for them
  TILE = CG_MR * CG_NR
};

// strip packs one strip: packed is [strips][groups].
static void strip(void *arg, size_t s) {
  const cg_linear *l = arg;
  size_t row = l->from + s * CG_MR, rows = cg_least(CG_MR, l->rows - row);
  l->k->simd8->strip(l->x + row * l->depth, l->depth, rows, l->depth, (cg_strip8 *)l->packed + s * cg_groups8(l->depth));
}

// panels computes the columns of one task.
static void panels(void *arg, size_t task) {
  cg_linear *l = arg;
  cg_group g = cg_group_of(l, task);
  size_t all = cg_groups8(l->depth), block = cg_least(GROUPS, all), size = l->type == CG_F32 ? 4 : 2;
  int whole = all <= GROUPS;  // a tile is complete at once
  size_t step = (whole ? 1 : l->strips) * TILE;
  cg_panel8 *panel = cg_alloc(l->k, g.panels * (block * sizeof(cg_panel8) + step * sizeof(float)));
  if (panel == NULL) {
    l->failed = 1;
    return;
  }
  float *tiles = (float *)(panel + g.panels * block);
  for (size_t at = 0; at < all; at += block) {
    size_t n = cg_least(block, all - at), from = at * CG_STEP, cols = cg_least(n * CG_STEP, l->depth - from);
    for (size_t i = 0; i < g.panels; i++) {
      l->k->simd8->panel(l->w + (g.row[i] * l->depth + from) * size, l->type, l->depth, g.cols[i], cols, panel + i * n);
    }
    for (size_t s = 0; s < l->strips; s++) {
      float *t = tiles + (whole ? 0 : s) * TILE;
      for (size_t i = 0; i < g.panels; i++) {
        l->k->simd8->tile((const cg_strip8 *)l->packed + s * all + at, panel + i * n, cols, t + i * step, at > 0);
      }
      if (at + n == all) cg_finish_strip(l, &g, s, CG_MR, t, step);
    }
  }
  cg_free(l->k, panel);
}

cg_form cg_form8(const cg_linear *l) { return (cg_form){CG_MR, STRIPS, cg_groups8(l->depth) * sizeof(cg_strip8), strip, panels}; }
