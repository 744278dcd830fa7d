// The operator Conv3x3 of domain "comfygo": a 3x3 convolution with stride one and a border of zeros, plus bias and sum, for
// a weight in the type of its file. winograd.h has the transforms and gemm.h the products.
#include "ops.h"

enum {
  GROUP = 4,               // strips of output channels that a task computes together
  MOST_INPUT = 24 << 20,   // bytes of transformed input at a time
  MOST_PRODUCTS = 288,     // panels of tiles at a time by places: their products go through the second-level cache
  MOST_WEIGHTS = 768 << 10,  // bytes of transformed weights at a time with AVX-512
  APART = 16               // values between places, so that they do not compete for the same sets of a cache
};

typedef struct {
  const cg_kernel *k;
  const cg_simd *simd;
  const float *x;
  const char *w;
  int type;
  const float *bias, *sum;
  float *y;
  size_t batch, in, out, height, width;
  size_t side, rows, places;           // the sides of an output tile and of its input
  size_t across, down, tiles;          // tiles of a row, of a column and of the whole batch
  size_t from, count, panels;          // the tiles that are in hand
  float *input;                        // [places][panels][in][CG_NR]
  size_t input_step;                   // between places
  int failed;
} conv;

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

// place of a tile: image, row and column in tiles.
typedef struct {
  size_t image, row, col;
} place;

static place place_of(const conv *c, size_t tile) {
  place p = {tile / (c->down * c->across), tile / c->across % c->down, tile % c->across};
  return p;
}

// borders copies the rows that a row of tiles reads, with the zeros around them: row i to rows + i*step.
static void borders(const conv *c, size_t channel, place p, float *rows, size_t step) {
  const float *plane = c->x + (p.image * c->in + channel) * c->height * c->width;
  for (size_t i = 0; i < c->rows; i++) {
    float *dst = rows + i * step;
    size_t y = c->side * p.row + i;  // one more than the row of the image
    if (y < 1 || y > c->height) {
      memset(dst, 0, step * sizeof(float));
      continue;
    }
    dst[0] = 0;
    memcpy(dst + 1, plane + (y - 1) * c->width, c->width * sizeof(float));
    memset(dst + 1 + c->width, 0, (step - 1 - c->width) * sizeof(float));
  }
}

// transform_input transforms the tiles in hand of one channel.
static void transform_input(void *arg, size_t channel) {
  conv *c = arg;
  size_t step = c->side * (c->across + 16) + 16;
  float *rows = cg_alloc(c->k, c->rows * step * sizeof(float));
  if (rows == NULL) {
    c->failed = 1;
    return;
  }
  size_t row_of = (size_t)-1;
  for (size_t done = 0; done < c->count;) {
    place p = place_of(c, c->from + done);
    if (p.image * c->down + p.row != row_of) {
      row_of = p.image * c->down + p.row;
      borders(c, channel, p, rows, step);
    }
    size_t lane = done % CG_NR, n = least(least(16, c->across - p.col), least(CG_NR - lane, c->count - done));
    const float *at[CG_MOST_ROWS];
    for (size_t i = 0; i < c->rows; i++) at[i] = rows + i * step + c->side * p.col;
    c->simd->winograd.input((int)c->side, at, n, c->input + (done / CG_NR * c->in + channel) * CG_NR + lane, c->input_step);
    done += n;
  }
  cg_free(c->k, rows);
}

// put writes the rows of pixels of a panel's tiles, [side][side*CG_NR], to the channel's plane.
static void put(const conv *c, size_t channel, size_t panel, const float *pixels) {
  size_t first = panel * CG_NR, n = least(CG_NR, c->count - first);
  float bias = c->bias ? c->bias[channel] : 0;
  for (size_t done = 0; done < n;) {
    place p = place_of(c, c->from + first + done);
    size_t run = least(c->across - p.col, n - done), wide = least(c->side * run, c->width - c->side * p.col);
    size_t high = least(c->side, c->height - c->side * p.row);
    size_t at = ((p.image * c->out + channel) * c->height + c->side * p.row) * c->width + c->side * p.col;
    for (size_t row = 0; row < high; row++, at += c->width) {
      c->simd->winograd.add3(pixels + (row * CG_NR + done) * c->side, bias, c->sum ? c->sum + at : NULL, c->y + at, wide);
    }
    done += run;
  }
}

// multiply adds the products of some input channels, with the transformed weights [places][strips][depth][CG_MR], to the
// products of the tiles in hand, [places][strips][panels][CG_MR][CG_NR].
static void multiply(const conv *c, size_t strips, size_t from, size_t depth, const float *weights, size_t weight_step, float *products,
                     size_t product_step) {
  enum { TILE = CG_MR * CG_NR };
  for (size_t p = 0; p < c->places; p++) {
    for (size_t panel = 0; panel < c->panels; panel++) {
      const float *input = c->input + p * c->input_step + (panel * c->in + from) * CG_NR;
      for (size_t s = 0; s < strips; s++) {
        float *product = products + p * product_step + (s * c->panels + panel) * TILE;
        c->simd->gemm.tile(weights + p * weight_step + s * depth * CG_MR, input, depth, product, from > 0);
      }
    }
  }
}

// depth_of is how many input channels are multiplied at a time, in steps of 128, the length of a chain of sums (gemm_kernels.h). Their transformed weights
// stay in the second-level cache of CPUs with AVX-512. That of others is often smaller, and products that are fetched again
// for the next channels cost more than weights: these may be as large as the products.
static size_t depth_of(const conv *c) {
  enum { UNIT = 128 };
  size_t most = c->simd->lanes == 16 ? MOST_WEIGHTS / (c->places * GROUP * CG_MR * sizeof(float)) : (UNIT / 2) * c->panels + UNIT / 2;
  most = most / UNIT * UNIT;
  return least(most > UNIT ? most : UNIT, c->in);
}

// channels computes a group of output channels for the tiles in hand.
static void channels(void *arg, size_t task) {
  enum { TILE = CG_MR * CG_NR };
  conv *c = arg;
  size_t first = task * GROUP * CG_MR, strips = (least(GROUP * CG_MR, c->out - first) + CG_MR - 1) / CG_MR;
  size_t depth = depth_of(c), weight_step = strips * depth * CG_MR + APART, product_step = strips * c->panels * TILE + APART;
  size_t weight_size = c->type == CG_F32 ? 4 : 2;
  float *weights = cg_alloc(c->k, c->places * (weight_step + product_step) * sizeof(float));
  if (weights == NULL) {
    c->failed = 1;
    return;
  }
  float *products = weights + c->places * weight_step;
  for (size_t from = 0; from < c->in; from += depth) {
    size_t n = least(depth, c->in - from);
    for (size_t s = 0; s < strips; s++) {
      size_t row = first + s * CG_MR;
      const char *w = c->w + (row * c->in + from) * 9 * weight_size;
      c->simd->winograd.weights((int)c->side, w, c->type, c->in * 9, least(CG_MR, c->out - row), n, weights + s * n * CG_MR, weight_step);
    }
    multiply(c, strips, from, n, weights, weight_step, products, product_step);
  }
  float pixels[CG_TILE4 * CG_TILE4 * CG_NR];
  for (size_t s = 0; s < strips; s++) {
    for (size_t i = 0; i < CG_MR && first + s * CG_MR + i < c->out; i++) {
      for (size_t panel = 0; panel < c->panels; panel++) {
        c->simd->winograd.output((int)c->side, products + (s * c->panels + panel) * TILE + i * CG_NR, product_step, pixels);
        put(c, first + s * CG_MR + i, panel, pixels);
      }
    }
  }
  cg_free(c->k, weights);
}

// divide divides the images into tiles with this side.
static void divide(conv *c, size_t side) {
  c->side = side;
  c->rows = side + CG_BORDER;
  c->places = c->rows * c->rows;
  c->across = (c->width + side - 1) / side;
  c->down = (c->height + side - 1) / side;
  c->tiles = c->batch * c->down * c->across;
}

// cost estimates the cycles that a strip takes for one input channel: its products, whole panels of them, and the transform
// of its weights.
static size_t cost(const conv *c) { return c->places * ((c->tiles + CG_NR - 1) / CG_NR * CG_MR + 3); }

// choose takes the larger tiles unless the images are so small that these leave panels empty.
static void choose(conv *c) {
  divide(c, CG_TILE2);
  size_t small = cost(c);
  divide(c, CG_TILE4);
  if (cost(c) >= small) divide(c, CG_TILE2);
}

static OrtStatus *convolve(OrtKernelContext *ctx, conv *c) {
  const OrtApi *api = c->k->api;
  size_t all = (c->tiles + CG_NR - 1) / CG_NR, bytes = c->places * c->in * CG_NR * sizeof(float);
  size_t most = least(MOST_PRODUCTS / c->places, bytes > MOST_INPUT ? 1 : MOST_INPUT / bytes);
  size_t parts = (all + most - 1) / most;
  most = (all + parts - 1) / parts;
  c->input = cg_alloc(c->k, c->places * (most * c->in * CG_NR + APART) * sizeof(float));
  if (c->input == NULL) return api->CreateStatus(ORT_FAIL, "comfygo: out of memory");
  OrtStatus *st = NULL;
  for (c->from = 0; c->from < c->tiles && st == NULL; c->from += most * CG_NR) {
    c->count = least(most * CG_NR, c->tiles - c->from);
    c->panels = (c->count + CG_NR - 1) / CG_NR;
    c->input_step = c->panels * c->in * CG_NR + APART;
    if (c->count % CG_NR) memset(c->input, 0, c->places * c->input_step * sizeof(float));
    st = api->KernelContext_ParallelFor(ctx, transform_input, c->in, 0, c);
    if (st == NULL) st = api->KernelContext_ParallelFor(ctx, channels, (c->out + GROUP * CG_MR - 1) / (GROUP * CG_MR), 0, c);
    if (st == NULL && c->failed) st = api->CreateStatus(ORT_FAIL, "comfygo: out of memory");
  }
  cg_free(c->k, c->input);
  return st;
}

static OrtStatus *wrong(const cg_kernel *k) {
  return k->api->CreateStatus(ORT_INVALID_ARGUMENT,
                              "comfygo: Conv3x3 wants a weight [O,I,3,3], x [B,I,H,W] in float32, a bias [O] and a sum [B,O,H,W]");
}

OrtStatus *cg_compute_conv(const cg_kernel *k, OrtKernelContext *ctx) {
  cg_input w, x, bias, sum;
  OrtStatus *st = cg_get_input(k, ctx, 0, &w);
  if (st == NULL) st = cg_get_input(k, ctx, 1, &x);
  if (st == NULL) st = cg_get_input(k, ctx, 2, &bias);
  if (st == NULL) st = cg_get_input(k, ctx, 3, &sum);
  if (st) return st;
  if (w.rank != 4 || x.rank != 4 || x.type != CG_F32 || !cg_is_weight(w.type) || x.dims[1] != w.dims[1] || w.dims[2] != 3 ||
      w.dims[3] != 3 || (bias.data && (bias.type != CG_F32 || bias.count != (size_t)w.dims[0])) || k->simd == NULL) {
    return wrong(k);
  }
  x.dims[1] = w.dims[0];
  size_t count = (size_t)(x.dims[0] * x.dims[1] * x.dims[2] * x.dims[3]);
  if (sum.data && (sum.type != CG_F32 || sum.count != count)) return wrong(k);
  void *y = NULL;
  if ((st = cg_get_output(k, ctx, x.dims, x.rank, &y))) return st;
  conv c = {.k = k, .simd = k->simd, .x = x.data, .w = w.data, .type = w.type, .bias = bias.data, .sum = sum.data, .y = y};
  c.batch = (size_t)x.dims[0];
  c.in = (size_t)w.dims[1];
  c.out = (size_t)w.dims[0];
  c.height = (size_t)x.dims[2];
  c.width = (size_t)x.dims[3];
  if (count == 0) return NULL;
  if (c.in == 0) return wrong(k);
  if (k->narrow == CG_NARROW_BF16 && k->tiles) {
    cg_images images = {k, c.x, c.w, c.type, c.bias, c.sum, c.y, c.batch, c.in, c.out, c.height, c.width};
    return cg_convolve_bf16(&images, ctx);
  }
  choose(&c);
  return convolve(ctx, &c);
}
