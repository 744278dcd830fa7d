// The operator GroupNorm of domain "comfygo": images or videos are normalised in groups of channels, with a shift for each
// channel before and SiLU after, which the library would do in six passes over memory.
#include "norm.h"

#include <math.h>

#include "ops.h"

#if defined(__x86_64__)
#include "avx512.h"

// BLOCK is how many values are summed in float32 before their sum goes to float64: 64 chains of 64 additions.
enum { BLOCK = 4096 };

AVX512 static double sum_of(const float *x, size_t n, float shift, int squares) {
  __m512 by = _mm512_set1_ps(shift);
  double total = 0;
  for (size_t from = 0; from < n; from += BLOCK) {
    size_t end = n - from < BLOCK ? n : from + BLOCK;
    __m512 s[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
    for (size_t at = from; at < end; at += 64) {
#pragma GCC unroll 4
      for (size_t i = 0; i < 4; i++) {
        size_t here = at + 16 * i;
        if (here >= end) break;
        __mmask16 mask = first(end - here);
        __m512 v = _mm512_maskz_add_ps(mask, _mm512_maskz_loadu_ps(mask, x + here), by);
        s[i] = squares ? _mm512_fmadd_ps(v, v, s[i]) : _mm512_add_ps(s[i], v);
      }
    }
    total += (double)_mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(s[0], s[1]), _mm512_add_ps(s[2], s[3])));
  }
  return total;
}

double cg_sum(const float *x, size_t n, float shift) { return sum_of(x, n, shift, 0); }
double cg_squares(const float *x, size_t n, float shift) { return sum_of(x, n, shift, 1); }

// exp16 is the exponential function: a power of two times a polynomial over +-ln(2)/2 (Cephes), with an error below 2 units
// in the last place; beyond float32's range infinity or zero.
AVX512 static inline __m512 exp16(__m512 x) {
  static const float c[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
  x = _mm512_max_ps(_mm512_set1_ps(-128), _mm512_min_ps(_mm512_set1_ps(128), x));  // NaN, the second operand, stays
  __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504088896341f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  x = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
  x = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), x);
  __m512 p = _mm512_set1_ps(c[0]);
  for (int i = 1; i < 6; i++) p = _mm512_fmadd_ps(p, x, _mm512_set1_ps(c[i]));
  p = _mm512_fmadd_ps(p, _mm512_mul_ps(x, x), _mm512_add_ps(x, _mm512_set1_ps(1)));
  return _mm512_scalef_ps(p, n);
}

AVX512 void cg_affine(const float *x, size_t n, float shift, float scale, float bias, int silu, float *y) {
  const __m512 by = _mm512_set1_ps(shift), a = _mm512_set1_ps(scale), b = _mm512_set1_ps(bias), one = _mm512_set1_ps(1);
  for (size_t i = 0; i < n; i += 16) {
    __mmask16 mask = first(n - i);
    __m512 v = _mm512_fmadd_ps(_mm512_add_ps(_mm512_maskz_loadu_ps(mask, x + i), by), a, b);
    if (silu) v = _mm512_div_ps(v, _mm512_add_ps(one, exp16(_mm512_sub_ps(_mm512_setzero_ps(), v))));
    _mm512_mask_storeu_ps(y + i, mask, v);
  }
}

#else

double cg_sum(const float *x, size_t n, float shift) { return 0; }
double cg_squares(const float *x, size_t n, float shift) { return 0; }
void cg_affine(const float *x, size_t n, float shift, float scale, float bias, int silu, float *y) {}

#endif

typedef struct {
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
  for (size_t c = 0; c < j->of_group; c++) sum += cg_sum(x + c * j->plane, j->plane, j->shift ? j->shift[from + c] : 0);
  double mean = sum / count;
  for (size_t c = 0; c < j->of_group; c++) {
    squares += cg_squares(x + c * j->plane, j->plane, (float)((j->shift ? j->shift[from + c] : 0) - mean));
  }
  double scale = 1 / sqrt(squares / count + j->epsilon);
  for (size_t c = 0; c < j->of_group; c++) {
    float shift = (float)((j->shift ? j->shift[from + c] : 0) - mean);
    cg_affine(x + c * j->plane, j->plane, shift, (float)(scale * j->weight[channel + c]), j->bias[channel + c], j->silu,
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
  if (x.type != CG_F32 || x.rank < 2 || x.dims[1] % k->groups || !cg_gemm_available()) return wrong(k);
  size_t batch = (size_t)x.dims[0], channels = (size_t)x.dims[1];
  if (!vector(&weight, channels) || !vector(&bias, channels) || (shift.data && !vector(&shift, batch * channels))) return wrong(k);
  void *y = NULL;
  if ((st = cg_get_output(k, ctx, x.dims, x.rank, &y)) || x.count == 0) return st;
  norm j = {.x = x.data, .weight = weight.data, .bias = bias.data, .shift = shift.data, .y = y, .channels = channels};
  j.of_group = channels / (size_t)k->groups;
  j.plane = x.count / (batch * channels);
  j.epsilon = k->epsilon;
  j.silu = k->silu != 0;
  return k->api->KernelContext_ParallelFor(ctx, group, batch * (size_t)k->groups, 0, &j);
}
