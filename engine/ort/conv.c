// The operator Conv3x3 of domain "comfygo": a 3x3 convolution with stride one and a border of zeros, plus bias and sum, for
// a weight in the type of its file. winograd.h has the transforms and gemm.h the products.
#include "ops.h"
#include "winograd.h"

enum {
  GROUP = 4,               // strips of output channels that a task computes together
  MOST_INPUT = 24 << 20,   // bytes of transformed input at a time
  MOST_PANELS = 16,        // panels of tiles at a time
  APART = 16               // values between places, so that they do not compete for the same sets of a cache
};

typedef struct {
  const cg_kernel *k;
  const float *x;
  const char *w;
  int type;
  const float *bias, *sum;
  float *y;
  size_t batch, in, out, height, width;
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

// borders copies the four rows that a row of tiles reads, with the zeros around them: row i to rows + i*step.
static void borders(const conv *c, size_t channel, place p, float *rows, size_t step) {
  const float *plane = c->x + (p.image * c->in + channel) * c->height * c->width;
  for (size_t i = 0; i < 4; i++) {
    float *dst = rows + i * step;
    memset(dst, 0, step * sizeof(float));
    size_t y = 2 * p.row + i;  // one more than the row of the image
    if (y >= 1 && y <= c->height) memcpy(dst + 1, plane + (y - 1) * c->width, c->width * sizeof(float));
  }
}

// transform_input transforms the tiles in hand of one channel.
static void transform_input(void *arg, size_t channel) {
  conv *c = arg;
  size_t step = 2 * c->across + 48;
  float *rows = cg_alloc(c->k, 4 * step * sizeof(float));
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
    const float *at[4];
    for (size_t i = 0; i < 4; i++) at[i] = rows + i * step + 2 * p.col;
    cg_winograd_input(at, n, c->input + (done / CG_NR * c->in + channel) * CG_NR + lane, c->input_step);
    done += n;
  }
  cg_free(c->k, rows);
}

// put writes two rows of pixels of a panel's tiles to the channel's plane.
static void put(const conv *c, size_t channel, size_t panel, const float *even, const float *odd) {
  size_t first = panel * CG_NR, n = least(CG_NR, c->count - first);
  float bias = c->bias ? c->bias[channel] : 0;
  for (size_t done = 0; done < n;) {
    place p = place_of(c, c->from + first + done);
    size_t run = least(c->across - p.col, n - done), pixels = least(2 * run, c->width - 2 * p.col);
    size_t at = ((p.image * c->out + channel) * c->height + 2 * p.row) * c->width + 2 * p.col;
    cg_add3(even + 2 * done, bias, c->sum ? c->sum + at : NULL, c->y + at, pixels);
    at += c->width;
    if (2 * p.row + 1 < c->height) cg_add3(odd + 2 * done, bias, c->sum ? c->sum + at : NULL, c->y + at, pixels);
    done += run;
  }
}

// channels computes a group of output channels for the tiles in hand.
static void channels(void *arg, size_t task) {
  enum { TILE = CG_MR * CG_NR };
  conv *c = arg;
  size_t first = task * GROUP * CG_MR, strips = (least(GROUP * CG_MR, c->out - first) + CG_MR - 1) / CG_MR;
  size_t strip = c->in * CG_MR, weight_step = strips * strip + APART, product_step = strips * c->panels * TILE + APART;
  size_t weight_size = c->type == CG_F32 ? 4 : 2;
  float *weights = cg_alloc(c->k, CG_PLACES * (weight_step + product_step) * sizeof(float));
  if (weights == NULL) {
    c->failed = 1;
    return;
  }
  float *products = weights + CG_PLACES * weight_step;
  for (size_t s = 0; s < strips; s++) {
    size_t row = first + s * CG_MR;
    cg_winograd_weights(c->w + row * c->in * 9 * weight_size, c->type, least(CG_MR, c->out - row), c->in, weights + s * strip, weight_step);
  }
  for (size_t p = 0; p < CG_PLACES; p++) {
    for (size_t panel = 0; panel < c->panels; panel++) {
      const float *input = c->input + p * c->input_step + panel * c->in * CG_NR;
      for (size_t s = 0; s < strips; s++) {
        cg_tile(weights + p * weight_step + s * strip, input, c->in, products + p * product_step + (s * c->panels + panel) * TILE, 0);
      }
    }
  }
  float even[2 * CG_NR], odd[2 * CG_NR];
  for (size_t s = 0; s < strips; s++) {
    for (size_t i = 0; i < CG_MR && first + s * CG_MR + i < c->out; i++) {
      for (size_t panel = 0; panel < c->panels; panel++) {
        cg_winograd_output(products + (s * c->panels + panel) * TILE + i * CG_NR, product_step, even, odd);
        put(c, first + s * CG_MR + i, panel, even, odd);
      }
    }
  }
  cg_free(c->k, weights);
}

static OrtStatus *convolve(OrtKernelContext *ctx, conv *c) {
  const OrtApi *api = c->k->api;
  size_t all = (c->tiles + CG_NR - 1) / CG_NR, bytes = CG_PLACES * c->in * CG_NR * sizeof(float);
  size_t most = least(MOST_PANELS, bytes > MOST_INPUT ? 1 : MOST_INPUT / bytes);
  size_t parts = (all + most - 1) / most;
  most = (all + parts - 1) / parts;
  c->input = cg_alloc(c->k, CG_PLACES * (most * c->in * CG_NR + APART) * sizeof(float));
  if (c->input == NULL) return api->CreateStatus(ORT_FAIL, "comfygo: out of memory");
  OrtStatus *st = NULL;
  for (c->from = 0; c->from < c->tiles && st == NULL; c->from += most * CG_NR) {
    c->count = least(most * CG_NR, c->tiles - c->from);
    c->panels = (c->count + CG_NR - 1) / CG_NR;
    c->input_step = c->panels * c->in * CG_NR + APART;
    if (c->count % CG_NR) memset(c->input, 0, CG_PLACES * c->input_step * sizeof(float));
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
      w.dims[3] != 3 || (bias.data && (bias.type != CG_F32 || bias.count != (size_t)w.dims[0])) || !cg_gemm_available()) {
    return wrong(k);
  }
  x.dims[1] = w.dims[0];
  size_t count = (size_t)(x.dims[0] * x.dims[1] * x.dims[2] * x.dims[3]);
  if (sum.data && (sum.type != CG_F32 || sum.count != count)) return wrong(k);
  void *y = NULL;
  if ((st = cg_get_output(k, ctx, x.dims, x.rank, &y))) return st;
  conv c = {.k = k, .x = x.data, .w = w.data, .type = w.type, .bias = bias.data, .sum = sum.data, .y = y};
  c.batch = (size_t)x.dims[0];
  c.in = (size_t)w.dims[1];
  c.out = (size_t)w.dims[0];
  c.height = (size_t)x.dims[2];
  c.width = (size_t)x.dims[3];
  if (count == 0) return NULL;
  if (c.in == 0) return wrong(k);
  c.across = (c.width + 1) / 2;
  c.down = (c.height + 1) / 2;
  c.tiles = c.batch * c.down * c.across;
  return convolve(ctx, &c);
}
