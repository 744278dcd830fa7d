// The operator Conv3x3 of domain "comfygo": a 3x3 convolution with stride one and a border of zeros, plus bias and sum, for
// a weight in the type of its file. winograd.h has the transforms and gemm.h the products. In bfloat16 channels are multiplied
// in words of two (tiles.h): word q of a chunk of 16 channels has channels q and q+8.
#include "ops.h"

enum {
  GROUP = 4,               // strips of output channels that a task computes together
  MOST_INPUT = 24 << 20,   // bytes of transformed input at a time
  MOST_PRODUCTS = 288,     // panels of tiles at a time by places: their products go through the second-level cache
  MOST_WEIGHTS = 768 << 10,  // bytes of transformed weights at a time with AVX-512
  APART = 16,              // values between places, so that they do not compete for the same sets of a cache
  CHUNK = 16, WORDS = CHUNK / 2
};

typedef struct {
  const cg_kernel *k;
  const cg_simd *simd;
  const cg_tiles *words;  // multiplies in bfloat16, NULL in float32
  const float *x;
  const char *w;
  int type;
  const float *bias, *sum;
  float *y;
  size_t batch, in, out, height, width;
  size_t depth;                        // numbers or words of all input channels
  size_t side, rows, places;           // the sides of an output tile and of its input
  size_t across, down, tiles;          // tiles of a row, of a column and of the whole batch
  size_t from, count, panels;          // the tiles that are in hand
  float *input;                        // [places][panels][depth][CG_NR]
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

// run is a row of tiles of one panel, at the same place of each channel.
typedef struct {
  size_t col, lane, panel, n;
} run;

static run run_of(const conv *c, size_t done) {
  run r = {place_of(c, c->from + done).col, done % CG_NR, done / CG_NR, 0};
  r.n = least(least(16, c->across - r.col), least(CG_NR - r.lane, c->count - done));
  return r;
}

// transform_run transforms the tiles of a run, whose rows are given.
static void transform_run(const conv *c, const float *rows, size_t step, run r, float *dst, size_t apart) {
  const float *at[CG_MOST_ROWS];
  for (size_t i = 0; i < c->rows; i++) at[i] = rows + i * step + c->side * r.col;
  c->simd->winograd.input((int)c->side, at, r.n, dst, apart);
}

// transform_input transforms the tiles in hand of one channel, or of the two of a word.
static void transform_input(void *arg, size_t task) {
  enum { LANES = 16 };
  conv *c = arg;
  size_t step = c->side * (c->across + LANES) + LANES, apart = c->rows * step;
  size_t channel = c->words ? task / WORDS * CHUNK + task % WORDS : task;
  float *rows = cg_alloc(c->k, (c->words ? 2 : 1) * apart * sizeof(float)), two[2][CG_MOST_PLACES * LANES];
  if (rows == NULL) {
    c->failed = 1;
    return;
  }
  if (c->words) memset(two, 0, sizeof two);
  size_t row_of = (size_t)-1;
  for (size_t done = 0; done < c->count;) {
    place p = place_of(c, c->from + done);
    run r = run_of(c, done);
    float *dst = c->input + (r.panel * c->depth + task) * CG_NR + r.lane;
    int next = p.image * c->down + p.row != row_of;
    row_of = p.image * c->down + p.row;
    for (size_t i = 0; i < 2 && channel + i * WORDS < c->in; i++) {
      if (next) borders(c, channel + i * WORDS, p, rows + i * apart, step);
      if (!c->words) {
        transform_run(c, rows, step, r, dst, c->input_step);
        break;
      }
      transform_run(c, rows + i * apart, step, r, two[i], LANES);
    }
    if (c->words) c->words->words(two[0], two[1], c->places, r.n, LANES, (uint32_t *)dst, c->input_step);
    done += r.n;
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

// multiply adds the products of some input channels, or words of them, with the transformed weights [places][strips][depth][CG_MR], to the
// products of the tiles in hand, [places][strips][panels][CG_MR][CG_NR].
static void multiply(const conv *c, size_t strips, size_t from, size_t depth, const float *weights, size_t weight_step, float *products,
                     size_t product_step) {
  enum { TILE = CG_MR * CG_NR };
  for (size_t p = 0; p < c->places; p++) {
    for (size_t panel = 0; panel < c->panels; panel++) {
      const float *input = c->input + p * c->input_step + (panel * c->depth + from) * CG_NR;
      for (size_t s = 0; s < strips; s++) {
        float *product = products + p * product_step + (s * c->panels + panel) * TILE;
        const float *strip = weights + p * weight_step + s * depth * CG_MR;
        if (c->words) {
          c->words->block((const uint32_t *)strip, (const uint32_t *)input, depth, product, from > 0);
        } else {
          c->simd->gemm.tile(strip, input, depth, product, from > 0);
        }
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
  return least(most > UNIT ? most : UNIT, c->depth);
}

// strip_of transforms the weights of up to CG_MR output channels for n input channels, or words of them.
static void strip_of(const conv *c, size_t row, size_t from, size_t n, float *dst, size_t step) {
  enum { WIDE = CHUNK * CG_MR };
  size_t rows = least(CG_MR, c->out - row), first = c->words ? 2 * from : from;
  const char *w = c->w + (row * c->in + first) * 9 * (c->type == CG_F32 ? 4 : 2);
  if (!c->words) {
    c->simd->winograd.weights((int)c->side, w, c->type, c->in * 9, rows, n, dst, step);
    return;
  }
  float chunk[CG_MOST_PLACES * WIDE];
  for (size_t at = 0; at < n; at += WORDS, first += CHUNK, w += CHUNK * 9 * (c->type == CG_F32 ? 4 : 2)) {
    if (c->in - first < CHUNK) memset(chunk, 0, sizeof chunk);
    c->simd->winograd.weights((int)c->side, w, c->type, c->in * 9, rows, least(CHUNK, c->in - first), chunk, WIDE);
    c->words->words(chunk, chunk + WIDE / 2, c->places, WIDE / 2, WIDE, (uint32_t *)dst + at * CG_MR, step);
  }
}

// channels computes a group of output channels for the tiles in hand.
static void channels(void *arg, size_t task) {
  enum { TILE = CG_MR * CG_NR };
  conv *c = arg;
  size_t first = task * GROUP * CG_MR, strips = (least(GROUP * CG_MR, c->out - first) + CG_MR - 1) / CG_MR;
  size_t depth = depth_of(c), weight_step = strips * depth * CG_MR + APART, product_step = strips * c->panels * TILE + APART;
  float *weights = cg_alloc(c->k, c->places * (weight_step + product_step) * sizeof(float));
  if (weights == NULL) {
    c->failed = 1;
    return;
  }
  float *products = weights + c->places * weight_step;
  for (size_t from = 0; from < c->depth; from += depth) {
    size_t n = least(depth, c->depth - from);
    for (size_t s = 0; s < strips; s++) strip_of(c, first + s * CG_MR, from, n, weights + s * n * CG_MR, weight_step);
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
static size_t cost(const conv *c) {
  size_t panel = c->words ? CG_MR / 2 : CG_MR, weights = c->words ? 4 : 3;
  return c->places * ((c->tiles + CG_NR - 1) / CG_NR * panel + weights);
}

// choose takes the larger tiles unless the images are so small that these leave panels empty.
static void choose(conv *c) {
  divide(c, CG_TILE2);
  size_t small = cost(c);
  divide(c, CG_TILE4);
  if (cost(c) >= small) divide(c, CG_TILE2);
}

// choose_words takes products in bfloat16 where they are faster than what choose found. Numbers that are rounded after the transforms for
// 4x4 tiles have five times the error of plain sums of rounded ones, for 2x2 tiles 1.6 times; only where coarse allows it the larger are used.
static void choose_words(conv *c, int coarse) {
  conv best = *c;
  for (size_t side = CG_TILE2; side <= (coarse ? CG_TILE4 : CG_TILE2); side += CG_TILE4 - CG_TILE2) {
    c->words = c->k->tiles;
    divide(c, side);
    if (cost(c) < cost(&best)) best = *c;
  }
  *c = best;
}

static OrtStatus *convolve(OrtKernelContext *ctx, conv *c) {
  const OrtApi *api = c->k->api;
  size_t all = (c->tiles + CG_NR - 1) / CG_NR, bytes = c->places * c->depth * CG_NR * sizeof(float);
  size_t most = least(MOST_PRODUCTS / c->places, bytes > MOST_INPUT ? 1 : MOST_INPUT / bytes);
  size_t parts = (all + most - 1) / most;
  most = (all + parts - 1) / parts;
  c->input = cg_alloc(c->k, c->places * (most * c->depth * CG_NR + APART) * sizeof(float));
  if (c->input == NULL) return api->CreateStatus(ORT_FAIL, "comfygo: out of memory");
  OrtStatus *st = NULL;
  for (c->from = 0; c->from < c->tiles && st == NULL; c->from += most * CG_NR) {
    c->count = least(most * CG_NR, c->tiles - c->from);
    c->panels = (c->count + CG_NR - 1) / CG_NR;
    c->input_step = c->panels * c->depth * CG_NR + APART;
    if (c->count % CG_NR) memset(c->input, 0, c->places * c->input_step * sizeof(float));
    st = api->KernelContext_ParallelFor(ctx, transform_input, c->depth, 0, c);
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
  int narrow = k->narrow == CG_NARROW_BF16 || k->narrow == CG_NARROW_COARSE;
  if (narrow && k->tiles && k->tiles->convolve) {
    cg_images images = {k, c.x, c.w, c.type, c.bias, c.sum, c.y, c.batch, c.in, c.out, c.height, c.width};
    return cg_convolve_bf16(&images, ctx);
  }
  choose(&c);
  if (narrow && k->tiles) choose_words(&c, k->narrow == CG_NARROW_COARSE);
  c.depth = c.words ? (c.in + CHUNK - 1) / CHUNK * WORDS : c.in;
  return convolve(ctx, &c);
}
