// The operator GroupNorm of domain "comfygo": images or videos are normalised in groups of channels, with a shift for each
// channel before and SiLU after, which the library would do in six passes over memory.
#include <math.h>

#include "ops.h"

typedef struct {
  const cg_norm *by;
  const float *x, *weight, *bias, *shift;
  float *y;
  size_t channels, of_group, plane;  // channels in all and of a group, values of a channel
  float epsilon;
  int silu;
} norm;

// group normalises one group of one row of the batch.
static void group(void *arg, size_t task) {
  const norm *j = arg;
  size_t from = task * j->of_group, channel = from % j->channels;
  const float *x = j->x + from * j->plane;
  double count = (double)(j->of_group * j->plane), sum = 0, squares = 0;
  for (size_t c = 0; c < j->of_group; c++) sum += j->by->sum(x + c * j->plane, j->plane, j->shift ? j->shift[from + c] : 0);
  double mean = sum / count;
  for (size_t c = 0; c < j->of_group; c++) {
    squares += j->by->squares(x + c * j->plane, j->plane, (float)((j->shift ? j->shift[from + c] : 0) - mean));
  }
  double scale = 1 / sqrt(squares / count + j->epsilon);
  for (size_t c = 0; c < j->of_group; c++) {
    float shift = (float)((j->shift ? j->shift[from + c] : 0) - mean);
    j->by->affine(x + c * j->plane, j->plane, shift, (float)(scale * j->weight[channel + c]), j->bias[channel + c], j->silu,
              j->y + (from + c) * j->plane);
  }
}

static OrtStatus *wrong(const cg_kernel *k) {
  return k->api->CreateStatus(ORT_INVALID_ARGUMENT,
                              "comfygo: GroupNorm wants x [B,C,..] in float32 whose channels make whole groups, a weight [C], a bias [C] and a shift [B,C]");
}

// vector reports that an input holds n values in float32.
static int vector(const cg_input *in, size_t n) { return in->type == CG_F32 && in->count == n; }

OrtStatus *cg_compute_norm(const cg_kernel *k, OrtKernelContext *ctx) {
  cg_input x, weight, bias, shift;
  OrtStatus *st = cg_get_input(k, ctx, 0, &x);
  if (st == NULL) st = cg_get_input(k, ctx, 1, &weight);
  if (st == NULL) st = cg_get_input(k, ctx, 2, &bias);
  if (st == NULL) st = cg_get_input(k, ctx, 3, &shift);
  if (st) return st;
  if (x.type != CG_F32 || x.rank < 2 || x.dims[1] % k->groups || k->simd == NULL) return wrong(k);
  size_t batch = (size_t)x.dims[0], channels = (size_t)x.dims[1];
  if (!vector(&weight, channels) || !vector(&bias, channels) || (shift.data && !vector(&shift, batch * channels))) return wrong(k);
  void *y = NULL;
  if ((st = cg_get_output(k, ctx, x.dims, x.rank, &y)) || x.count == 0) return st;
  norm j = {.by = &k->simd->norm, .x = x.data, .weight = weight.data, .bias = bias.data, .shift = shift.data, .y = y, .channels = channels};
  j.of_group = channels / (size_t)k->groups;
  j.plane = x.count / (batch * channels);
  j.epsilon = k->epsilon;
  j.silu = k->silu != 0;
  return k->api->KernelContext_ParallelFor(ctx, group, batch * (size_t)k->groups, 0, &j);
}
