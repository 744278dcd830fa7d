// The operator Linear of domain "comfygo": y = x * transpose(w) + bias + sum for a weight in the type of its file, which is
// converted panel by panel while it is used. See gemm.h for the blocks.
#include "linear.h"

enum {
  DEPTH = 1280,    // columns of x that are multiplied at a time: the panels of a group stay in the second-level cache
  STRIPS = 128,    // strips that are packed at a time, which bounds the memory for them
  FEW_STRIPS = 64,  // the same when sums have to wait for further columns of x
  FEW_ROWS = 64    // fewer rows are multiplied in float32, where packing the weight costs more than the products
};

// strip packs one strip: packed is [depth blocks][strips][block depth][CG_MR].
static void strip(void *arg, size_t s) {
  const cg_linear *l = arg;
  float *packed = l->packed;
  size_t row = l->from + s * CG_MR, rows = cg_least(CG_MR, l->rows - row);
  for (size_t at = 0; at < l->depth; at += DEPTH) {
    size_t n = cg_least(DEPTH, l->depth - at);
    l->simd->gemm.pack_strip(l->x + row * l->depth + at, l->depth, rows, n, packed + (at * l->strips + s * n) * CG_MR);
  }
}

cg_group cg_group_of(const cg_linear *l, size_t task) {
  cg_group g = {0};
  size_t own = l->k->gated ? CG_GROUP / 2 : CG_GROUP;
  for (size_t i = 0; i < own && (task * own + i) * CG_NR < l->cols; i++) {
    g.col[i] = (task * own + i) * CG_NR;
    g.cols[i] = cg_least(CG_NR, l->cols - g.col[i]);
    g.row[i] = g.col[i];
    g.panels++;
  }
  for (size_t i = 0, n = g.panels; l->k->gated && i < n; i++) {
    g.cols[n + i] = g.cols[i];
    g.row[n + i] = l->cols + g.row[i];
    g.panels++;
  }
  return g;
}

void cg_finish_strip(const cg_linear *l, const cg_group *g, size_t strip, size_t height, const float *tiles, size_t step) {
  size_t row = l->from + strip * height, rows = cg_least(height, l->rows - row);
  size_t own = l->k->gated ? g->panels / 2 : g->panels;
  for (size_t i = 0; i < own; i++) {
    const float *bias = l->bias ? l->bias + g->row[i] : NULL;
    float *y = l->y + row * l->cols + g->col[i];
    if (l->k->gated) {
      const float *gate_bias = l->bias ? l->bias + g->row[own + i] : NULL;
      l->simd->gemm.finish_gated(tiles + i * step, tiles + (own + i) * step, rows, g->cols[i], bias, gate_bias, y, l->cols);
    } else {
      const float *sum = l->sum ? l->sum + row * l->cols + g->col[i] : NULL;
      l->simd->gemm.finish(tiles + i * step, rows, g->cols[i], bias, sum, y, l->cols);
    }
  }
}

// panels computes the columns of one task.
static void panels(void *arg, size_t task) {
  cg_linear *l = arg;
  cg_group g = cg_group_of(l, task);
  size_t block = cg_least(DEPTH, l->depth), size = l->type == CG_F32 ? 4 : 2;
  int whole = l->depth <= DEPTH;  // a tile is complete at once
  size_t waiting = whole ? 1 : l->strips, step = waiting * CG_MR * CG_NR;
  float *panel = cg_alloc(l->k, (g.panels * block * CG_NR + g.panels * step) * sizeof(float));
  if (panel == NULL) {
    l->failed = 1;
    return;
  }
  float *tiles = panel + g.panels * block * CG_NR;
  for (size_t at = 0; at < l->depth; at += DEPTH) {
    size_t n = cg_least(DEPTH, l->depth - at);
    for (size_t i = 0; i < g.panels; i++) {
      l->simd->gemm.pack_panel(l->w + (g.row[i] * l->depth + at) * size, l->type, l->depth, g.cols[i], n, panel + i * n * CG_NR);
    }
    for (size_t s = 0; s < l->strips; s++) {
      float *t = tiles + (whole ? 0 : s) * CG_MR * CG_NR;
      for (size_t i = 0; i < g.panels; i++) {
        l->simd->gemm.tile((const float *)l->packed + (at * l->strips + s * n) * CG_MR, panel + i * n * CG_NR, n, t + i * step, at > 0);
      }
      if (at + n == l->depth) cg_finish_strip(l, &g, s, CG_MR, t, step);
    }
  }
  cg_free(l->k, panel);
}

static cg_form plain(const cg_linear *l) {
  return (cg_form){CG_MR, l->depth <= DEPTH ? STRIPS : FEW_STRIPS, CG_MR * l->depth * sizeof(float), strip, panels};
}

// form is the form that a layer is computed in.
static cg_form form(const cg_linear *l) {
  if (l->k->narrow == CG_NARROW_INT8 && l->rows >= FEW_ROWS && l->k->simd8) return cg_form8(l);
  int parts = l->k->narrow == CG_NARROW_BF16 ? 1 : CG_PARTS;
  return l->k->tiles && l->k->tiles->parts >= parts ? cg_form_tiles(l) : plain(l);
}

// compute computes the rows from l->from on, at most the strips of a form.
static OrtStatus *compute(OrtKernelContext *ctx, cg_linear *l, const cg_form *f, size_t rows) {
  const cg_kernel *k = l->k;
  size_t own = (size_t)CG_NR * (k->gated ? CG_GROUP / 2 : CG_GROUP), tasks = (l->cols + own - 1) / own;
  l->strips = (rows + f->height - 1) / f->height;
  OrtStatus *st = k->api->KernelContext_ParallelFor(ctx, f->strip, l->strips, 0, l);
  if (st == NULL && !l->odd) st = k->api->KernelContext_ParallelFor(ctx, f->panels, tasks, 0, l);
  if (st == NULL && l->failed) st = k->api->CreateStatus(ORT_FAIL, "comfygo: out of memory");
  return st;
}

static OrtStatus *multiply(const cg_kernel *k, OrtKernelContext *ctx, cg_linear *l) {
  cg_form f = form(l), p = plain(l);
  size_t most = cg_least(f.strips, (l->rows + f.height - 1) / f.height), rows = most * f.height;
  // The plain form, which takes over where numbers are odd, packs the same rows into no more memory.
  l->packed = cg_alloc(k, most * f.strip_bytes);
  if (l->packed == NULL) return k->api->CreateStatus(ORT_FAIL, "comfygo: out of memory");
  OrtStatus *st = NULL;
  for (l->from = 0; l->from < l->rows && st == NULL; l->from += rows) {
    size_t n = cg_least(rows, l->rows - l->from);
    st = compute(ctx, l, &f, n);
    if (st == NULL && l->odd) {
      l->odd = 0;
      st = compute(ctx, l, &p, n);
    }
  }
  cg_free(k, l->packed);
  return st;
}

static OrtStatus *wrong(const cg_kernel *k) {
  return k->api->CreateStatus(ORT_INVALID_ARGUMENT,
                              "comfygo: Linear wants a weight [N,K], x [..,K] in float32, a bias [N] and a sum of the result's shape");
}

OrtStatus *cg_compute_linear(cg_kernel *k, OrtKernelContext *ctx) {
  cg_input w, x, bias, sum;
  OrtStatus *st = cg_get_input(k, ctx, 0, &w);
  if (st == NULL) st = cg_get_input(k, ctx, 1, &x);
  if (st == NULL) st = cg_get_input(k, ctx, 2, &bias);
  if (st == NULL) st = cg_get_input(k, ctx, 3, &sum);
  if (st) return st;
  if (w.rank != 2 || x.rank < 1 || x.type != CG_F32 || !cg_is_weight(w.type) || x.dims[x.rank - 1] != w.dims[1] ||
      (bias.data && (bias.type != CG_F32 || bias.count != (size_t)w.dims[0])) || (k->gated && w.dims[0] % 2) ||
      k->simd == NULL) {
    return wrong(k);
  }
  cg_linear l = {.k = k, .simd = k->simd, .x = x.data, .w = w.data, .type = w.type, .bias = bias.data, .sum = sum.data};
  l.depth = (size_t)w.dims[1];
  l.cols = (size_t)(k->gated ? w.dims[0] / 2 : w.dims[0]);
  x.dims[x.rank - 1] = (int64_t)l.cols;
  l.rows = 1;
  for (size_t i = 0; i + 1 < x.rank; i++) l.rows *= (size_t)x.dims[i];
  if (sum.data && (sum.type != CG_F32 || sum.count != l.rows * l.cols || k->gated)) return wrong(k);
  void *y = NULL;
  if ((st = cg_get_output(k, ctx, x.dims, x.rank, &y))) return st;
  l.y = y;
  if (l.rows * l.cols == 0) return NULL;
  if (l.depth == 0) return wrong(k);
  int keep = k->remember && !l.sum;
  size_t bytes = l.rows * l.depth * sizeof(float), size = l.rows * l.cols * sizeof(float);
  if (keep && cg_recall(k->memo, &k->kept, l.x, bytes, l.y, size)) return NULL;
  st = multiply(k, ctx, &l);
  if (keep && st == NULL) cg_remember(k->memo, &k->kept, l.x, bytes, l.y, size);
  return st;
}
