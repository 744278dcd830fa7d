// The operator Conv3x3 in bfloat16: the plain sum over nine taps, in tiles of 32 pixels and 32 output channels.
//
// Pixels lie with 32 channels side by side, [steps][rows][width + 1], with a pixel of zeros before each row and a row of zeros
// before each image, so that a tap is the same distance for all pixels of all images; tiles run on over those zeros.
#include "ops.h"

enum { MOST_INPUT = 24 << 20 };  // bytes of pixels at a time

typedef struct {
  cg_images c;
  size_t steps, wide;    // of input channels; the pixels of a row
  size_t rows, first;    // rows of all images with their zeros; the first row of the result that is in hand
  size_t count, pixels;  // the rows in hand, and the pixels of a step
  char *input;           // the rows from the one before the first on
  int failed;
} job;

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

// inside finds the image and its row for a row of all of them.
static int inside(const job *j, size_t row, size_t *image, size_t *y) {
  if (row == 0) return 0;
  *image = (row - 1) / (j->c.height + 1);
  *y = (row - 1) % (j->c.height + 1);
  return *image < j->c.batch && *y < j->c.height;
}

// input packs a row of a step; behind the last row follow zeros, as many as the last tile reads.
static void input(void *arg, size_t task) {
  const job *j = arg;
  const cg_images *c = &j->c;
  size_t rows = j->count + 2, step = task / rows, row = task % rows, image, y;
  size_t channels = least(CG_TD, c->in - step * CG_TD), plane = c->height * c->width;
  char *dst = j->input + (step * j->pixels + row * j->wide) * CG_PIXEL_BYTES;
  if (row + 1 == rows) memset(dst, 0, (j->pixels - row * j->wide) * CG_PIXEL_BYTES);
  if (!inside(j, j->first + row - 1, &image, &y)) {
    memset(dst, 0, j->wide * CG_PIXEL_BYTES);
    return;
  }
  const float *x = c->x + (image * c->in + step * CG_TD) * plane + y * c->width;
  memset(dst, 0, CG_PIXEL_BYTES);
  for (size_t at = 0; at < c->width; at += CG_TILE) {
    c->k->tiles->pixels(x + at, plane, channels, least(CG_TILE, c->width - at), dst + (1 + at) * CG_PIXEL_BYTES);
  }
}

// put writes the pixels of a tile, the first of which is number at of the rows in hand.
static void put(const job *j, size_t channel, size_t channels, size_t at, const float *tile) {
  const cg_images *c = &j->c;
  size_t end = least(at + CG_TR, j->count * j->wide), from = at, image, y;
  while (from < end) {
    size_t row = from / j->wide, col = from % j->wide, n = least(j->wide - col, end - from);
    if (col == 0) {
      from++;
      continue;
    }
    if (inside(j, j->first + row, &image, &y)) {
      size_t to = ((image * c->out + channel) * c->height + y) * c->width + col - 1;
      for (size_t i = 0; i < channels; i++, to += c->height * c->width) {
        c->k->simd->winograd.add3(tile + i * CG_TR + from - at, c->bias ? c->bias[channel + i] : 0, c->sum ? c->sum + to : NULL, c->y + to, n);
      }
    }
    from += n;
  }
}

// channels computes CG_NR output channels of the rows in hand.
static void channels(void *arg, size_t task) {
  job *j = arg;
  const cg_images *c = &j->c;
  size_t first = task * CG_NR, rows = least(CG_NR, c->out - first), size = c->type == CG_F32 ? 4 : 2;
  char *taps = cg_alloc(c->k, j->steps * CG_TAPS * CG_TAP_BYTES);
  if (taps == NULL) {
    j->failed = 1;
    return;
  }
  for (size_t s = 0; s < j->steps; s++) {
    const char *w = c->w + (first * c->in + s * CG_TD) * CG_TAPS * size;
    c->k->tiles->taps(w, c->type, c->in * CG_TAPS, rows, least(CG_TD, c->in - s * CG_TD), taps + s * CG_TAPS * CG_TAP_BYTES);
  }
  c->k->tiles->begin();
  for (size_t at = 1; at < j->count * j->wide; at += CG_TR) {  // the first pixel is one of the zeros
    float tile[CG_NR * CG_TR];
    c->k->tiles->convolve(j->input + (at - 1) * CG_PIXEL_BYTES, j->wide * CG_PIXEL_BYTES, j->pixels * CG_PIXEL_BYTES, taps, j->steps, tile);
    put(j, first, rows, at, tile);
  }
  c->k->tiles->end();
  cg_free(c->k, taps);
}

OrtStatus *cg_convolve_bf16(const cg_images *images, OrtKernelContext *ctx) {
  enum { BEHIND = CG_TR + 2 };
  const OrtApi *api = images->k->api;
  job j = {.c = *images, .steps = cg_steps(images->in), .wide = images->width + 1, .rows = images->batch * (images->height + 1)};
  size_t row = j.steps * j.wide * CG_PIXEL_BYTES, most = MOST_INPUT / row > 3 ? MOST_INPUT / row - 2 : 1;
  most = least(most, j.rows - 1);
  j.input = cg_alloc(images->k, (most + 2) * row + j.steps * BEHIND * CG_PIXEL_BYTES);
  if (j.input == NULL) return api->CreateStatus(ORT_FAIL, "comfygo: out of memory");
  OrtStatus *st = NULL;
  for (j.first = 1; j.first < j.rows && st == NULL; j.first += most) {
    j.count = least(most, j.rows - j.first);
    j.pixels = (j.count + 2) * j.wide + BEHIND;
    st = api->KernelContext_ParallelFor(ctx, input, j.steps * (j.count + 2), 0, &j);
    if (st == NULL) st = api->KernelContext_ParallelFor(ctx, channels, (images->out + CG_NR - 1) / CG_NR, 0, &j);
    if (st == NULL && j.failed) st = api->CreateStatus(ORT_FAIL, "comfygo: out of memory");
  }
  cg_free(images->k, j.input);
  return st;
}
