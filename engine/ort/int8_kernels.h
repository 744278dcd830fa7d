// The kernels of int8.h for one width of vectors; see vector.h.
#include <math.h>

#include "int8.h"
#include "vector.h"

// Magnitudes compare as their bits do, and those of numbers that are not finite are the largest.
#if CG_LANES == 16
INLINE uint32_t top_of_words(const char *p, size_t n) {
  __m512i top = _mm512_setzero_si512();
  for (size_t at = 0; at < n; at += 16) top = _mm512_max_epu32(top, _mm512_slli_epi32(_mm512_maskz_loadu_epi32(first(n - at), p + 4 * at), 1));
  return _mm512_reduce_max_epu32(top) >> 1;
}

INLINE uint32_t top_of_halves(const char *p, size_t n) {
  __m512i top = _mm512_setzero_si512();
  for (size_t at = 0; at < n; at += 32) {
    __mmask32 some = n - at >= 32 ? 0xffffffff : (__mmask32)((1ull << (n - at)) - 1);
    top = _mm512_max_epu16(top, _mm512_slli_epi16(_mm512_maskz_loadu_epi16(some, p + 2 * at), 1));
  }
  __m512i low = _mm512_and_si512(top, _mm512_set1_epi32(0xffff)), high = _mm512_srli_epi32(top, 16);
  return _mm512_reduce_max_epu32(_mm512_max_epu32(low, high)) >> 1;
}

// scale_of is the scale by which the largest of n numbers becomes most: NaN where one of them is not finite.
INLINE float scale_of(const char *p, int type, size_t n, float most) {
  const uint32_t infinite = type == CG_F32 ? 0x7f800000 : type == CG_F16 ? 0x7c00 : 0x7f80;
  uint32_t top = type == CG_F32 ? top_of_words(p, n) : top_of_halves(p, n);
  if (top >= infinite) return NAN;
  float values[CG_LANES];
  vstore(values, vwiden((const char *)&top, type, 1));  // the lower half comes first
  return values[0] / most;
}
#else
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
#endif

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

// turn4 writes 16 numbers of four rows as four columns of them at a time, step bytes apart.
INLINE void turn4(const __m128i b[4], void *dst, size_t step) {
  __m128i low0 = _mm_unpacklo_epi32(b[0], b[1]), low1 = _mm_unpacklo_epi32(b[2], b[3]);
  __m128i high0 = _mm_unpackhi_epi32(b[0], b[1]), high1 = _mm_unpackhi_epi32(b[2], b[3]);
  char *to = dst;
  _mm_storeu_si128((__m128i *)to, _mm_unpacklo_epi64(low0, low1));
  _mm_storeu_si128((__m128i *)(to + step), _mm_unpackhi_epi64(low0, low1));
  _mm_storeu_si128((__m128i *)(to + 2 * step), _mm_unpacklo_epi64(high0, high1));
  _mm_storeu_si128((__m128i *)(to + 3 * step), _mm_unpackhi_epi64(high0, high1));
}

// pack_strip packs numbers plus an offset, which is above the largest of them.
INLINE void pack_strip(const float *a, size_t ld, size_t rows, size_t k, const int offset, cg_strip8 *dst) {
  const __m128i by = _mm_set1_epi8((char)offset);
  for (size_t from = 0; from < k; from += CG_STEP, dst++) {
    size_t n = k - from < CG_STEP ? k - from : CG_STEP;
    if (n < CG_STEP) memset(dst->q, offset, sizeof dst->q);
    for (size_t row = 0; row < CG_MR; row += 4) {
      const char *p[4];
      vec inverse[4];
      for (size_t i = 0; i < 4; i++) {
        p[i] = (const char *)(a + (row + i < rows ? row + i : 0) * ld + from);
        dst->scale[row + i] = row + i < rows ? scale_of(p[i], CG_F32, n, (float)(offset - 1)) : 0;
        inverse[i] = vset(inverse_of(dst->scale[row + i]));
      }
      for (size_t at = 0; at < n; at += 16) {
        __m128i b[4];
        for (size_t i = 0; i < 4; i++) b[i] = _mm_add_epi8(bytes(p[i] + at * 4, CG_F32, n - at, inverse[i]), by);
        turn4(b, dst->q[at / 4][row], sizeof dst->q[0]);
      }
    }
  }
}

#if CG_LANES == 16
typedef __m512i words;
INLINE void wstore(void *p, words w) { _mm512_storeu_si512(p, w); }
INLINE words wzero(void) { return _mm512_setzero_si512(); }
INLINE words wset(int32_t x) { return _mm512_set1_epi32(x); }
INLINE words wload(const void *p) { return _mm512_loadu_si512(p); }
INLINE vec wfloat(words a, words b) { return _mm512_cvtepi32_ps(_mm512_sub_epi32(a, b)); }
#else
typedef __m256i words;
INLINE void wstore(void *p, words w) { _mm256_storeu_si256((__m256i *)p, w); }
INLINE words wzero(void) { return _mm256_setzero_si256(); }
INLINE words wset(int32_t x) { return _mm256_set1_epi32(x); }
INLINE words wload(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
INLINE vec wfloat(words a, words b) { return _mm256_cvtepi32_ps(_mm256_sub_epi32(a, b)); }
#endif

// products adds four products a lane in place.
typedef void products(words *, words, words);

// excess_of multiplies by ones.
INLINE void excess_of(cg_panel8 *dst, const int offset, products *add_products) {
  for (int col = 0; col < CG_NR; col += CG_LANES) {
    words sum[4] = {wzero(), wzero(), wzero(), wzero()}, ones = wset(0x01010101);
    for (size_t at = 0; at < CG_STEP / 4; at += 4) {
#pragma GCC unroll 4
      for (size_t i = 0; i < 4; i++) add_products(sum + i, ones, wload(dst->q[at + i][col]));
    }
    int32_t all[4][CG_LANES];
    for (int i = 0; i < 4; i++) wstore(all[i], sum[i]);
    for (int i = 0; i < CG_LANES; i++) dst->excess[col + i] = offset * (all[0][i] + all[1][i] + all[2][i] + all[3][i]);
  }
}

INLINE void pack_panel_of(const char *w, int type, size_t ld, size_t rows, size_t k, const int offset, cg_panel8 *dst, products *add_products) {
  size_t size = type == CG_F32 ? 4 : 2;
  for (size_t from = 0; from < k; from += CG_STEP, dst++) {
    size_t n = k - from < CG_STEP ? k - from : CG_STEP;
    if (n < CG_STEP) memset(dst->q, 0, sizeof dst->q);
    for (size_t row = 0; row < CG_NR; row += 4) {
      const char *p[4];
      vec inverse[4];
      for (size_t i = 0; i < 4; i++) {
        p[i] = w + ((row + i < rows ? row + i : 0) * ld + from) * size;
        dst->scale[row + i] = row + i < rows ? scale_of(p[i], type, n, 127) : 0;
        inverse[i] = vset(inverse_of(dst->scale[row + i]));
      }
      for (size_t at = 0; at < n; at += 16) {
        __m128i b[4];
        for (size_t i = 0; i < 4; i++) b[i] = bytes(p[i] + at * size, type, n - at, inverse[i]);
        turn4(b, dst->q[at / 4][row], sizeof dst->q[0]);
      }
    }
    excess_of(dst, offset, add_products);
  }
}

INLINE void pack_panel(const void *w, int type, size_t ld, size_t rows, size_t k, const int offset, cg_panel8 *dst, products *add_products) {
  switch (type) {
    case CG_F32:
      pack_panel_of(w, CG_F32, ld, rows, k, offset, dst, add_products);
      break;
    case CG_F16:
      pack_panel_of(w, CG_F16, ld, rows, k, offset, dst, add_products);
      break;
    default:
      pack_panel_of(w, CG_BF16, ld, rows, k, offset, dst, add_products);
  }
}

// tile computes a tile in blocks of rows x 2 vectors.
INLINE void tile(const cg_strip8 *strip, const cg_panel8 *panel, size_t k, float *tile, int add, const int rows, products *add_products) {
  for (size_t g = 0; g < k; g += CG_STEP, strip++, panel++) {
    size_t steps = ((k - g < CG_STEP ? k - g : CG_STEP) + 3) / 4;
    for (int col = 0; col < CG_NR; col += 2 * CG_LANES) {
      for (int row = 0; row < CG_MR; row += rows) {
        words c[CG_MR][2];
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++) c[i][0] = c[i][1] = wzero();
        for (size_t at = 0; at < steps; at++) {
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
    pack_panel(w, type, ld, rows, k, OFFSET, dst, add_##NAME);                                                      \
  }                                                                                                                 \
  VECTOR static void tile_##NAME(const cg_strip8 *s, const cg_panel8 *p, size_t k, float *t, int add) {             \
    tile(s, p, k, t, add, ROWS, add_##NAME);                                                                        \
  }                                                                                                                 \
  const cg_int8 cg_int8_##NAME = {TEXT, strip_##NAME, panel_##NAME, tile_##NAME};
