#include "winograd.h"

#include "gemm.h"
#include "widen.h"

#if defined(__x86_64__)
#include "avx512.h"

// Three taps of a row or column become four.
AVX512 static inline void filter4(const __m512 g[3], __m512 u[4]) {
  __m512 half = _mm512_set1_ps(0.5f), outer = _mm512_mul_ps(half, _mm512_add_ps(g[0], g[2])), inner = _mm512_mul_ps(half, g[1]);
  u[0] = g[0];
  u[1] = _mm512_add_ps(outer, inner);
  u[2] = _mm512_sub_ps(outer, inner);
  u[3] = g[2];
}

AVX512 static void filter(const float *taps, float *dst, size_t step) {
  __m512 rows[4][3], u[4];
#pragma GCC unroll 3
  for (int col = 0; col < 3; col++) {
    __m512 g[3] = {_mm512_loadu_ps(taps + col * 16), _mm512_loadu_ps(taps + (3 + col) * 16), _mm512_loadu_ps(taps + (6 + col) * 16)};
    filter4(g, u);
    for (int row = 0; row < 4; row++) rows[row][col] = u[row];
  }
#pragma GCC unroll 4
  for (int row = 0; row < 4; row++) {
    filter4(rows[row], u);
    for (int col = 0; col < 4; col++) _mm512_mask_storeu_ps(dst + (row * 4 + col) * step, (1 << CG_MR) - 1, u[col]);
  }
}

AVX512 void cg_winograd_weights(const void *w, int type, size_t rows, size_t channels, float *dst, size_t step) {
  enum { TAPS = 9, AT_ONCE = 16 };
  size_t size = type == CG_F32 ? 4 : 2, width = channels * TAPS;
  float taps[AT_ONCE * TAPS * 16];  // [channel][tap][row]
  for (size_t c = 0; c < channels; c += AT_ONCE) {
    size_t n = channels - c < AT_ONCE ? channels - c : AT_ONCE;
    for (size_t at = 0; at < n * TAPS; at += 16) {
      size_t cols = n * TAPS - at < 16 ? n * TAPS - at : 16;
      __m512 r[16];
#pragma GCC unroll 16
      for (size_t i = 0; i < 16; i++) {
        r[i] = i < rows ? load16((const char *)w + (i * width + c * TAPS + at) * size, type, first(cols)) : _mm512_setzero_ps();
      }
      transpose16(r);
#pragma GCC unroll 16
      for (size_t i = 0; i < 16; i++) {
        if (i < cols) _mm512_storeu_ps(taps + (at + i) * 16, r[i]);
      }
    }
    for (size_t i = 0; i < n; i++) filter(taps + i * TAPS * 16, dst + (c + i) * CG_MR, step);
  }
}

// Four values of a row or column of a tile.
AVX512 static inline void data4(const __m512 d[4], __m512 v[4]) {
  v[0] = _mm512_sub_ps(d[0], d[2]);
  v[1] = _mm512_add_ps(d[1], d[2]);
  v[2] = _mm512_sub_ps(d[2], d[1]);
  v[3] = _mm512_sub_ps(d[1], d[3]);
}

AVX512 void cg_winograd_input(const float *const rows[4], size_t n, float *dst, size_t step) {
  const __m512i even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
  const __m512i odd = _mm512_set_epi32(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
  __m512 t[4][4];
#pragma GCC unroll 4
  for (int row = 0; row < 4; row++) {
    const float *p = rows[row];
    __m512 a = _mm512_loadu_ps(p), b = _mm512_loadu_ps(p + 16), c = _mm512_loadu_ps(p + 2), d = _mm512_loadu_ps(p + 18);
    __m512 x[4] = {_mm512_permutex2var_ps(a, even, b), _mm512_permutex2var_ps(a, odd, b), _mm512_permutex2var_ps(c, even, d),
                   _mm512_permutex2var_ps(c, odd, d)};
    data4(x, t[row]);
  }
#pragma GCC unroll 4
  for (int col = 0; col < 4; col++) {
    __m512 x[4] = {t[0][col], t[1][col], t[2][col], t[3][col]}, v[4];
    data4(x, v);
    for (int row = 0; row < 4; row++) _mm512_mask_storeu_ps(dst + (row * 4 + col) * step, first(n), v[row]);
  }
}

AVX512 void cg_winograd_output(const float *m, size_t step, float *even, float *odd) {
  const __m512i low = _mm512_set_epi32(23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  const __m512i high = _mm512_set_epi32(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8);
  for (int half = 0; half < CG_NR; half += 16) {
    __m512 s[2][4];
#pragma GCC unroll 4
    for (int col = 0; col < 4; col++) {
      __m512 a = _mm512_loadu_ps(m + col * step + half), b = _mm512_loadu_ps(m + (4 + col) * step + half);
      __m512 c = _mm512_loadu_ps(m + (8 + col) * step + half), d = _mm512_loadu_ps(m + (12 + col) * step + half);
      s[0][col] = _mm512_add_ps(_mm512_add_ps(a, b), c);
      s[1][col] = _mm512_sub_ps(_mm512_sub_ps(b, c), d);
    }
#pragma GCC unroll 2
    for (int row = 0; row < 2; row++) {
      __m512 l = _mm512_add_ps(_mm512_add_ps(s[row][0], s[row][1]), s[row][2]);
      __m512 r = _mm512_sub_ps(_mm512_sub_ps(s[row][1], s[row][2]), s[row][3]);
      float *y = (row ? odd : even) + 2 * half;
      _mm512_storeu_ps(y, _mm512_permutex2var_ps(l, low, r));
      _mm512_storeu_ps(y + 16, _mm512_permutex2var_ps(l, high, r));
    }
  }
}

AVX512 void cg_add3(const float *a, float bias, const float *sum, float *y, size_t n) {
  __m512 b = _mm512_set1_ps(bias);
  for (size_t i = 0; i < n; i += 16) {
    __mmask16 mask = first(n - i);
    __m512 v = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, a + i), b);
    if (sum) v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(mask, sum + i));
    _mm512_mask_storeu_ps(y + i, mask, v);
  }
}

#else

void cg_winograd_weights(const void *w, int type, size_t rows, size_t channels, float *dst, size_t step) {}
void cg_winograd_input(const float *const rows[4], size_t n, float *dst, size_t step) {}
void cg_winograd_output(const float *m, size_t step, float *even, float *odd) {}
void cg_add3(const float *a, float bias, const float *sum, float *y, size_t n) {}

#endif
