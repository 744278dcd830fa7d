// The kernels of int8.h for one width of vectors; see vector.h.
#include <math.h>

#include "int8.h"
#include "vector.h"

// scale_of is the scale by which the largest of n numbers becomes most: NaN where one of them is not finite.
INLINE float scale_of(const char *p, int type, size_t n, float most) {
  size_t size = type == CG_F32 ? 4 : 2;
  vec largest = vzero(), odd = vzero();  // odd: zero less itself, NaN for numbers that are not finite
  for (size_t at = 0; at < n; at += CG_LANES) {
    vec v = vwiden(p + at * size, type, n - at);
    largest = vmax(largest, vmax(v, vsub(vzero(), v)));
    odd = vadd(odd, vsub(v, v));
  }
  float values[CG_LANES], strange[CG_LANES], top = 0;
  vstore(values, largest);
  vstore(strange, odd);
  for (int i = 0; i < CG_LANES; i++) {
    if (strange[i] != 0) return NAN;
    if (values[i] > top) top = values[i];
  }
  return top / most;
}

// bytes rounds up to 16 numbers to multiples of a scale, whose inverse is given.
INLINE __m128i bytes(const char *p, int type, size_t n, vec inverse) {
#if CG_LANES == 16
  return _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(vmul(vwiden(p, type, n), inverse)));
#else
  __m256i low = _mm256_cvtps_epi32(vmul(vwiden(p, type, n), inverse)), high = _mm256_setzero_si256();
  if (n > 8) high = _mm256_cvtps_epi32(vmul(vwiden(p + (type == CG_F32 ? 32 : 16), type, n - 8), inverse));
  __m128i a = _mm_packs_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
  __m128i b = _mm_packs_epi32(_mm256_castsi256_si128(high), _mm256_extracti128_si256(high, 1));
  return _mm_packs_epi16(a, b);
#endif
}

// inverse_of is 0 for rows of zeros and for those with numbers that are not finite, whose scale tells.
static inline float inverse_of(float scale) { return scale >= 1e-37f ? 1 / scale : 0; }

// pack_strip packs numbers plus an offset, which is above the largest of them.
INLINE void pack_strip(const float *a, size_t ld, size_t rows, size_t k, const int offset, cg_strip8 *dst) {
  const __m128i by = _mm_set1_epi8((char)offset);
  for (size_t from = 0; from < k; from += CG_STEP, dst++) {
    size_t n = k - from < CG_STEP ? k - from : CG_STEP;
    if (n < CG_STEP || rows < CG_MR) memset(dst->q, offset, sizeof dst->q);
    for (size_t i = 0; i < CG_MR; i++) {
      const char *p = (const char *)(a + i * ld + from);
      dst->scale[i] = i < rows ? scale_of(p, CG_F32, n, (float)(offset - 1)) : 0;
      vec inverse = vset(inverse_of(dst->scale[i]));
      for (size_t at = 0; i < rows && at < n; at += 16) {
        uint32_t word[4];
        _mm_storeu_si128((__m128i *)word, _mm_add_epi8(bytes(p + at * 4, CG_F32, n - at, inverse), by));
        for (size_t g = 0; g < 4; g++) memcpy(dst->q[at / 4 + g][i], &word[g], 4);
      }
    }
  }
}

// sum_of adds 16 numbers to four sums.
INLINE __m128i sum_of(__m128i sum, __m128i b) {
  return _mm_add_epi32(sum, _mm_madd_epi16(_mm_maddubs_epi16(_mm_set1_epi8(1), b), _mm_set1_epi16(1)));
}

INLINE void pack_panel_of(const char *w, int type, size_t ld, size_t rows, size_t k, const int offset, cg_panel8 *dst) {
  size_t size = type == CG_F32 ? 4 : 2;
  for (size_t from = 0; from < k; from += CG_STEP, dst++) {
    size_t n = k - from < CG_STEP ? k - from : CG_STEP;
    if (n < CG_STEP) memset(dst->q, 0, sizeof dst->q);
    for (size_t row = 0; row < CG_NR; row += 4) {
      const char *p[4];
      vec inverse[4];
      __m128i sum[4];
      for (size_t i = 0; i < 4; i++) {
        p[i] = w + ((row + i < rows ? row + i : 0) * ld + from) * size;
        dst->scale[row + i] = row + i < rows ? scale_of(p[i], type, n, 127) : 0;
        inverse[i] = vset(inverse_of(dst->scale[row + i]));
        sum[i] = _mm_setzero_si128();
      }
      for (size_t at = 0; at < n; at += 16) {
        __m128i b[4];
        for (size_t i = 0; i < 4; i++) {
          b[i] = bytes(p[i] + at * size, type, n - at, inverse[i]);
          sum[i] = sum_of(sum[i], b[i]);
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
        dst->excess[row + i] = offset * (s[0] + s[1] + s[2] + s[3]);
      }
    }
  }
}

INLINE void pack_panel(const void *w, int type, size_t ld, size_t rows, size_t k, const int offset, cg_panel8 *dst) {
  switch (type) {
    case CG_F32:
      pack_panel_of(w, CG_F32, ld, rows, k, offset, dst);
      break;
    case CG_F16:
      pack_panel_of(w, CG_F16, ld, rows, k, offset, dst);
      break;
    default:
      pack_panel_of(w, CG_BF16, ld, rows, k, offset, dst);
  }
}

#if CG_LANES == 16
typedef __m512i words;
INLINE words wzero(void) { return _mm512_setzero_si512(); }
INLINE words wset(int32_t x) { return _mm512_set1_epi32(x); }
INLINE words wload(const void *p) { return _mm512_loadu_si512(p); }
INLINE vec wfloat(words a, words b) { return _mm512_cvtepi32_ps(_mm512_sub_epi32(a, b)); }
#else
typedef __m256i words;
INLINE words wzero(void) { return _mm256_setzero_si256(); }
INLINE words wset(int32_t x) { return _mm256_set1_epi32(x); }
INLINE words wload(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
INLINE vec wfloat(words a, words b) { return _mm256_cvtepi32_ps(_mm256_sub_epi32(a, b)); }
#endif

// tile computes a tile in blocks of rows x 2 vectors; add_products adds four products a lane in place.
INLINE void tile(const cg_strip8 *strip, const cg_panel8 *panel, size_t groups, float *tile, int add, const int rows,
                 void (*add_products)(words *, words, words)) {
  for (size_t g = 0; g < groups; g++, strip++, panel++) {
    for (int col = 0; col < CG_NR; col += 2 * CG_LANES) {
      for (int row = 0; row < CG_MR; row += rows) {
        words c[CG_MR][2];
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++) c[i][0] = c[i][1] = wzero();
        for (size_t at = 0; at < CG_STEP / 4; at++) {
          words b0 = wload(panel->q[at][col]), b1 = wload(panel->q[at][col + CG_LANES]);
#pragma GCC unroll 12
          for (int i = 0; i < rows; i++) {
            int32_t word;
            memcpy(&word, strip->q[at][row + i], 4);
            words a = wset(word);
            add_products(&c[i][0], a, b0);
            add_products(&c[i][1], a, b1);
          }
        }
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
          int at = col + CG_LANES * half;
          vec scale = vload(panel->scale + at);
          words excess = wload(panel->excess + at);
#pragma GCC unroll 12
          for (int i = 0; i < rows; i++) {
            float *t = tile + (row + i) * CG_NR + at;
            vec v = vmul(wfloat(c[i][half], excess), scale), s = vset(strip->scale[row + i]);
            vstore(t, add ? vfma(v, s, vload(t)) : vmul(v, s));
          }
        }
      }
    }
    add = 1;
  }
}

// KERNELS defines the kernels cg_int8_NAME by the name of their instructions, an offset, rows of a block and add_NAME.
#define KERNELS(NAME, TEXT, OFFSET, ROWS)                                                                           \
  VECTOR static void strip_##NAME(const float *a, size_t ld, size_t rows, size_t k, cg_strip8 *dst) {               \
    pack_strip(a, ld, rows, k, OFFSET, dst);                                                                        \
  }                                                                                                                 \
  VECTOR static void panel_##NAME(const void *w, int type, size_t ld, size_t rows, size_t k, cg_panel8 *dst) {      \
    pack_panel(w, type, ld, rows, k, OFFSET, dst);                                                                  \
  }                                                                                                                 \
  VECTOR static void tile_##NAME(const cg_strip8 *s, const cg_panel8 *p, size_t groups, float *t, int add) {        \
    tile(s, p, groups, t, add, ROWS, add_##NAME);                                                                   \
  }                                                                                                                 \
  const cg_int8 cg_int8_##NAME = {TEXT, strip_##NAME, panel_##NAME, tile_##NAME};
