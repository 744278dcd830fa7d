// The operator Linear with products in tiles of bfloat16: strips of x and panels of the weight are split into parts while they
// are packed. An infinity cannot be split, so that rows with one are left to the plain form.
#include "linear.h"

enum {
  DEPTH = 1280,     // columns of x that are multiplied at a time: the panels of a group stay in the second-level cache
  STRIPS = 32,      // strips of CG_PARTS parts that are packed at a time: as much memory as the plain form takes
  FEW_STRIPS = 16,  // the same when sums have to wait for further columns of x
  TILES = CG_TR * CG_NR
};

static int bfloat16(const cg_linear *l) { return l->k->narrow == CG_NARROW_BF16; }
static int strip_parts(const cg_linear *l) { return bfloat16(l) ? 1 : CG_PARTS; }
static int panel_parts(const cg_linear *l) { return bfloat16(l) ? 1 : cg_parts(l->type); }

// strip packs one strip: packed is [depth blocks][strips][steps of a block].
static void strip(void *arg, size_t s) {
  cg_linear *l = arg;
  size_t row = l->from + s * CG_TR, rows = cg_least(CG_TR, l->rows - row), bytes = cg_step_bytes(strip_parts(l));
  for (size_t at = 0; at < l->depth; at += DEPTH) {
    size_t n = cg_least(DEPTH, l->depth - at), before = cg_steps(at) * l->strips + s * cg_steps(n);
    int finite = l->k->tiles->strip(l->x + row * l->depth + at, l->depth, rows, n, strip_parts(l), (char *)l->packed + before * bytes);
    if (!finite && !bfloat16(l)) l->odd = 1;
  }
}

// multiply computes the tiles of a strip from columns at to at+n, whose panels are packed.
static void multiply(const cg_linear *l, const cg_group *g, size_t strip, size_t at, size_t n, const char *panels, float *tiles, size_t step) {
  size_t steps = cg_steps(n), rows = cg_least(CG_TR, l->rows - l->from - strip * CG_TR);
  const char *packed = (const char *)l->packed + (cg_steps(at) * l->strips + strip * steps) * cg_step_bytes(strip_parts(l));
  for (size_t i = 0; i < g->panels; i++) {
    const char *panel = panels + i * steps * cg_step_bytes(panel_parts(l));
    l->k->tiles->tile(packed, strip_parts(l), panel, panel_parts(l), steps, rows, tiles + i * step, at > 0);
  }
}

// panels computes the columns of one task.
static void panels(void *arg, size_t task) {
  cg_linear *l = arg;
  cg_group g = cg_group_of(l, task);
  size_t block = cg_least(DEPTH, l->depth), size = l->type == CG_F32 ? 4 : 2, bytes = cg_steps(block) * cg_step_bytes(panel_parts(l));
  int whole = l->depth <= DEPTH;  // a tile is complete at once
  size_t step = (whole ? 1 : l->strips) * TILES;
  char *packed = cg_alloc(l->k, g.panels * (bytes + step * sizeof(float)));
  if (packed == NULL) {
    l->failed = 1;
    return;
  }
  float *tiles = (float *)(packed + g.panels * bytes);
  l->k->tiles->begin();
  for (size_t at = 0; at < l->depth; at += DEPTH) {
    size_t n = cg_least(DEPTH, l->depth - at);
    for (size_t i = 0; i < g.panels; i++) {
      l->k->tiles->panel(l->w + (g.row[i] * l->depth + at) * size, l->type, l->depth, g.cols[i], n, panel_parts(l),
                         packed + i * cg_steps(n) * cg_step_bytes(panel_parts(l)));
    }
    for (size_t s = 0; s < l->strips; s++) {
      float *t = tiles + (whole ? 0 : s * TILES);
      multiply(l, &g, s, at, n, packed, t, step);
      if (at + n == l->depth) cg_finish_strip(l, &g, s, CG_TR, t, step);
    }
  }
  l->k->tiles->end();
  cg_free(l->k, packed);
}

cg_form cg_form_tiles(const cg_linear *l) {
  size_t strips = (l->depth <= DEPTH ? STRIPS : FEW_STRIPS) * (size_t)(CG_PARTS / strip_parts(l));
  return (cg_form){CG_TR, strips, cg_steps(l->depth) * cg_step_bytes(strip_parts(l)), strip, panels};
}
