#include "int8.h"

#include <math.h>
#include <string.h>

#include "widen.h"

#if defined(__x86_64__)
#include "avx512.h"

#define VNNI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))

int cg_int8_available(void) {
  static int known = -1;
  if (known < 0) {
    __builtin_cpu_init();
    known = cg_gemm_available() && __builtin_cpu_supports("avx512vnni");
  }
  return known;
}

// scale_of is the scale of n numbers: NaN where one of them is not finite.
VNNI static inline __attribute__((always_inline)) float scale_of(const char *p, int type, size_t n) {
  const __m512 infinite = _mm512_set1_ps(INFINITY);
  size_t size = type == CG_F32 ? 4 : 2;
  __m512 most = _mm512_setzero_ps();
  __mmask16 bad = 0;
  for (size_t at = 0; at < n; at += 16) {
    __m512 v = _mm512_abs_ps(load16(p + at * size, type, first(n - at)));
    bad |= _mm512_cmp_ps_mask(v, infinite, _CMP_NLT_UQ);
    most = _mm512_max_ps(most, v);
  }
  return bad ? NAN : _mm512_reduce_max_ps(most) / 127;
}

// bytes rounds 16 numbers to multiples of a scale, whose inverse is given.
VNNI static inline __attribute__((always_inline)) __m128i bytes(const char *p, int type, size_t n, __m512 inverse) {
  return _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(load16(p, type, first(n)), inverse)));
}

// inverse_of is 0 for rows of zeros and for those with numbers that are not finite, whose scale tells.
static inline float inverse_of(float scale) { return scale >= 1e-37f ? 1 / scale : 0; }

VNNI void cg_pack_strip8(const float *a, size_t ld, size_t rows, size_t k, cg_strip8 *dst) {
  const __m128i zero = _mm_set1_epi8((char)0x80);
  for (size_t from = 0; from < k; from += CG_STEP, dst++) {
    size_t n = k - from < CG_STEP ? k - from : CG_STEP;
    if (n < CG_STEP || rows < CG_MR) memset(dst->q, 0x80, sizeof dst->q);
    for (size_t i = 0; i < CG_MR; i++) {
      const char *p = (const char *)(a + i * ld + from);
      dst->scale[i] = i < rows ? scale_of(p, CG_F32, n) : 0;
      __m512 inverse = _mm512_set1_ps(inverse_of(dst->scale[i]));
      for (size_t at = 0; i < rows && at < n; at += 16) {
        uint32_t word[4];
        _mm_storeu_si128((__m128i *)word, _mm_xor_si128(bytes(p + at * 4, CG_F32, n - at, inverse), zero));
        for (size_t g = 0; g < 4; g++) memcpy(dst->q[at / 4 + g][i], &word[g], 4);
      }
    }
  }
}

VNNI static inline __attribute__((always_inline)) void pack_panel8(const char *w, int type, size_t ld, size_t rows, size_t k, cg_panel8 *dst) {
  const __m128i offset = _mm_set1_epi8((char)0x80);
  size_t size = type == CG_F32 ? 4 : 2;
  for (size_t from = 0; from < k; from += CG_STEP, dst++) {
    size_t n = k - from < CG_STEP ? k - from : CG_STEP;
    if (n < CG_STEP) memset(dst->q, 0, sizeof dst->q);
    for (size_t row = 0; row < CG_NR; row += 4) {
      const char *p[4];
      __m512 inverse[4];
      __m128i sum[4];
      for (size_t i = 0; i < 4; i++) {
        p[i] = w + ((row + i < rows ? row + i : 0) * ld + from) * size;
        dst->scale[row + i] = row + i < rows ? scale_of(p[i], type, n) : 0;
        inverse[i] = _mm512_set1_ps(inverse_of(dst->scale[row + i]));
        sum[i] = _mm_setzero_si128();
      }
      for (size_t at = 0; at < n; at += 16) {
        __m128i b[4];
        for (size_t i = 0; i < 4; i++) {
          b[i] = bytes(p[i] + at * size, type, n - at, inverse[i]);
          sum[i] = _mm_dpbusd_epi32(sum[i], offset, b[i]);
        }
        __m128i low0 = _mm_unpacklo_epi32(b[0], b[1]), low1 = _mm_unpacklo_epi32(b[2], b[3]);
        __m128i high0 = _mm_unpackhi_epi32(b[0], b[1]), high1 = _mm_unpackhi_epi32(b[2], b[3]);
        _mm_storeu_si128((__m128i *)dst->q[at / 4][row], _mm_unpacklo_epi64(low0, low1));
        _mm_storeu_si128((__m128i *)dst->q[at / 4 + 1][row], _mm_unpackhi_epi64(low0, low1));
        _mm_storeu_si128((__m128i *)dst->q[at / 4 + 2][row], _mm_unpacklo_epi64(high0, high1));
        _mm_storeu_si128((__m128i *)dst->q[at / 4 + 3][row], _mm_unpackhi_epi64(high0, high1));
      }
      for (size_t i = 0; i < 4; i++) {
        int32_t s[4];
        _mm_storeu_si128((__m128i *)s, sum[i]);
        dst->excess[row + i] = s[0] + s[1] + s[2] + s[3];
      }
    }
  }
}

VNNI void cg_pack_panel8(const void *w, int type, size_t ld, size_t rows, size_t k, cg_panel8 *dst) {
  switch (type) {
    case CG_F32:
      pack_panel8(w, CG_F32, ld, rows, k, dst);
      break;
    case CG_F16:
      pack_panel8(w, CG_F16, ld, rows, k, dst);
      break;
    default:
      pack_panel8(w, CG_BF16, ld, rows, k, dst);
  }
}

// add_products adds four products a lane in place. The intrinsic makes GCC 12 copy the sums, which then do not fit the registers.
VNNI static inline __attribute__((always_inline)) void add_products(__m512i *c, __m512i a, __m512i b) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(*c) : "v"(a), "v"(b));
}

VNNI void cg_tile8(const cg_strip8 *strip, const cg_panel8 *panel, size_t groups, float *tile, int add) {
  for (size_t g = 0; g < groups; g++, strip++, panel++) {
    __m512i c[CG_MR][2];
#pragma GCC unroll 12
    for (int i = 0; i < CG_MR; i++) c[i][0] = c[i][1] = _mm512_setzero_si512();
    for (size_t at = 0; at < CG_STEP / 4; at++) {
      __m512i b0 = _mm512_loadu_si512(panel->q[at][0]), b1 = _mm512_loadu_si512(panel->q[at][16]);
#pragma GCC unroll 12
      for (int i = 0; i < CG_MR; i++) {
        int32_t word;
        memcpy(&word, strip->q[at][i], 4);
        __m512i a = _mm512_set1_epi32(word);
        add_products(&c[i][0], a, b0);
        add_products(&c[i][1], a, b1);
      }
    }
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) {
      __m512 scale = _mm512_loadu_ps(panel->scale + 16 * half);
      __m512i excess = _mm512_loadu_si512(panel->excess + 16 * half);
#pragma GCC unroll 12
      for (int i = 0; i < CG_MR; i++) {
        float *t = tile + i * CG_NR + 16 * half;
        __m512 v = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(c[i][half], excess)), scale);
        __m512 s = _mm512_set1_ps(strip->scale[i]);
        _mm512_storeu_ps(t, add ? _mm512_fmadd_ps(v, s, _mm512_loadu_ps(t)) : _mm512_mul_ps(v, s));
      }
    }
    add = 1;
  }
}

#else

int cg_int8_available(void) { return 0; }
void cg_pack_strip8(const float *a, size_t ld, size_t rows, size_t k, cg_strip8 *dst) {}
void cg_pack_panel8(const void *w, int type, size_t ld, size_t rows, size_t k, cg_panel8 *dst) {}
void cg_tile8(const cg_strip8 *strip, const cg_panel8 *panel, size_t groups, float *tile, int add) {}

#endif
