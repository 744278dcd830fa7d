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

// Points of F(4x4,3x3): 0, A, -A, B, -B and infinity; all of these are exact.
#define A 0.625f
#define B 1.5f
#define A2 (A * A)
#define B2 (B * B)
#define FA (2.0 * A2 * (A2 - B2))  // the products of a point's differences from the others
#define FB (2.0 * B2 * (B2 - A2))
#define G0 ((float)(1.0 / (A2 * B2)))
#define GA0 ((float)(1 / FA))
#define GA1 ((float)(A / FA))
#define GA2 ((float)(A2 / FA))
#define GB0 ((float)(1 / FB))
#define GB1 ((float)(B / FB))
#define GB2 ((float)(B2 / FB))

AVX512 static inline __m512 number(float x) { return _mm512_set1_ps(x); }

// Three taps of a row or column become six.
AVX512 static inline void filter6(const __m512 g[3], __m512 u[6]) {
  __m512 a = _mm512_fmadd_ps(g[2], number(GA2), _mm512_mul_ps(g[0], number(GA0)));
  __m512 b = _mm512_fmadd_ps(g[2], number(GB2), _mm512_mul_ps(g[0], number(GB0)));
  u[0] = _mm512_mul_ps(g[0], number(G0));
  u[1] = _mm512_fmadd_ps(g[1], number(GA1), a);
  u[2] = _mm512_fnmadd_ps(g[1], number(GA1), a);
  u[3] = _mm512_fmadd_ps(g[1], number(GB1), b);
  u[4] = _mm512_fnmadd_ps(g[1], number(GB1), b);
  u[5] = g[2];
}

// CHUNK is how many channels are transformed together; their values of a tap stand side by side, [channel][CG_MR], as in a
// strip, so that vectors are full and stores aligned.
enum { TAPS = 9, CHUNK = 16, WIDTH = CHUNK * CG_MR };

// store3 transforms a row of three values and stores the places of that row.
AVX512 static inline void store3(const __m512 g[3], __mmask16 mask, float *dst, size_t step) {
  __m512 u[6];
  filter6(g, u);
#pragma GCC unroll 6
  for (int col = 0; col < 6; col++) _mm512_mask_storeu_ps(dst + (size_t)col * step, mask, u[col]);
}

// filter4x4 transforms 16 filters for 4x4 tiles, two rows of places at a time so that all values stay in registers.
AVX512 static inline void filter4x4(const float *taps, __mmask16 mask, float *dst, size_t step) {
  __m512 g[3][3], x[3], y[3];
#pragma GCC unroll 9
  for (int i = 0; i < 9; i++) g[i / 3][i % 3] = _mm512_loadu_ps(taps + i * WIDTH);
#pragma GCC unroll 3
  for (int i = 0; i < 3; i++) x[i] = _mm512_mul_ps(g[0][i], number(G0));
  store3(x, mask, dst, step);
#pragma GCC unroll 3
  for (int i = 0; i < 3; i++) {
    __m512 even = _mm512_fmadd_ps(g[2][i], number(GA2), _mm512_mul_ps(g[0][i], number(GA0)));
    x[i] = _mm512_fmadd_ps(g[1][i], number(GA1), even);
    y[i] = _mm512_fnmadd_ps(g[1][i], number(GA1), even);
  }
  store3(x, mask, dst + 6 * step, step);
  store3(y, mask, dst + 12 * step, step);
#pragma GCC unroll 3
  for (int i = 0; i < 3; i++) {
    __m512 even = _mm512_fmadd_ps(g[2][i], number(GB2), _mm512_mul_ps(g[0][i], number(GB0)));
    x[i] = _mm512_fmadd_ps(g[1][i], number(GB1), even);
    y[i] = _mm512_fnmadd_ps(g[1][i], number(GB1), even);
  }
  store3(x, mask, dst + 18 * step, step);
  store3(y, mask, dst + 24 * step, step);
  store3(g[2], mask, dst + 30 * step, step);
}

// filter2x2 transforms 16 filters for 2x2 tiles.
AVX512 static inline void filter2x2(const float *taps, __mmask16 mask, float *dst, size_t step) {
  __m512 rows[4][3], u[4];
#pragma GCC unroll 3
  for (int col = 0; col < 3; col++) {
    __m512 g[3] = {_mm512_loadu_ps(taps + col * WIDTH), _mm512_loadu_ps(taps + (3 + col) * WIDTH), _mm512_loadu_ps(taps + (6 + col) * WIDTH)};
    filter4(g, u);
    for (int row = 0; row < 4; row++) rows[row][col] = u[row];
  }
#pragma GCC unroll 4
  for (int row = 0; row < 4; row++) {
    filter4(rows[row], u);
    for (int col = 0; col < 4; col++, dst += step) _mm512_mask_storeu_ps(dst, mask, u[col]);
  }
}

// gather lays out the taps [TAPS][WIDTH] of n channels.
AVX512 static inline void gather(const char *w, const int type, size_t ld, size_t rows, size_t n, float *taps) {
  const size_t size = type == CG_F32 ? 4 : 2;
  size_t to = 0;  // the next tap's place
  for (size_t at = 0; at < n * TAPS; at += 16) {
    size_t cols = n * TAPS - at < 16 ? n * TAPS - at : 16;
    __m512 r[16];
#pragma GCC unroll 16
    for (size_t i = 0; i < 16; i++) {
      r[i] = i < CG_MR && i < rows ? load16(w + (i * ld + at) * size, type, first(cols)) : _mm512_setzero_ps();
    }
    transpose16(r);
#pragma GCC unroll 16
    for (size_t i = 0; i < 16; i++) {
      if (i < cols) _mm512_mask_storeu_ps(taps + to, (1 << CG_MR) - 1, r[i]);
      to += WIDTH;
      if (to >= TAPS * WIDTH) to -= TAPS * WIDTH - CG_MR;
    }
  }
}

AVX512 void cg_winograd_weights(int side, const void *w, int type, size_t ld, size_t rows, size_t channels, float *dst, size_t step) {
  float taps[TAPS * WIDTH] = {0};
  for (size_t c = 0; c < channels; c += CHUNK) {
    size_t n = channels - c < CHUNK ? channels - c : CHUNK;
    const char *from = (const char *)w + c * TAPS * (type == CG_F32 ? 4 : 2);
    switch (type) {
      case CG_F32:
        gather(from, CG_F32, ld, rows, n, taps);
        break;
      case CG_F16:
        gather(from, CG_F16, ld, rows, n, taps);
        break;
      default:
        gather(from, CG_BF16, ld, rows, n, taps);
    }
    for (size_t at = 0; at < n * CG_MR; at += 16) {
      __mmask16 mask = first(n * CG_MR - at);
      if (side == CG_TILE4) {
        filter4x4(taps + at, mask, dst + c * CG_MR + at, step);
      } else {
        filter2x2(taps + at, mask, dst + c * CG_MR + at, step);
      }
    }
  }
}

// Four values of a row or column of a tile's input.
AVX512 static inline void data4(const __m512 d[4], __m512 v[4]) {
  v[0] = _mm512_sub_ps(d[0], d[2]);
  v[1] = _mm512_add_ps(d[1], d[2]);
  v[2] = _mm512_sub_ps(d[2], d[1]);
  v[3] = _mm512_sub_ps(d[1], d[3]);
}

// Six values of a row or column.
AVX512 static inline void data6(const __m512 d[6], __m512 v[6]) {
  const __m512 product = number(A2 * B2), sum = number(A2 + B2), a = number(A), b = number(B), a2 = number(A2), b2 = number(B2);
  __m512 even = _mm512_fnmadd_ps(b2, d[2], d[4]), odd = _mm512_fnmadd_ps(b2, d[1], d[3]);
  v[0] = _mm512_fmadd_ps(product, d[0], _mm512_fnmadd_ps(sum, d[2], d[4]));
  v[1] = _mm512_fmadd_ps(a, odd, even);
  v[2] = _mm512_fnmadd_ps(a, odd, even);
  even = _mm512_fnmadd_ps(a2, d[2], d[4]);
  odd = _mm512_fnmadd_ps(a2, d[1], d[3]);
  v[3] = _mm512_fmadd_ps(b, odd, even);
  v[4] = _mm512_fnmadd_ps(b, odd, even);
  v[5] = _mm512_fmadd_ps(product, d[1], _mm512_fnmadd_ps(sum, d[3], d[5]));
}

AVX512 static void input2(const float *const *rows, size_t n, float *dst, size_t step) {
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

AVX512 static void input4(const float *const *rows, size_t n, float *dst, size_t step) {
  // Every fourth of 32 values from the first and from the second on, and from the third and the fourth on.
  const __m512i low = _mm512_set_epi32(29, 25, 21, 17, 13, 9, 5, 1, 28, 24, 20, 16, 12, 8, 4, 0);
  const __m512i high = _mm512_set_epi32(31, 27, 23, 19, 15, 11, 7, 3, 30, 26, 22, 18, 14, 10, 6, 2);
  __m512 t[6][6];
#pragma GCC unroll 6
  for (int row = 0; row < 6; row++) {
    const float *p = rows[row];
    __m512 a = _mm512_loadu_ps(p), b = _mm512_loadu_ps(p + 16), c = _mm512_loadu_ps(p + 32), d = _mm512_loadu_ps(p + 48);
    __m512 left = _mm512_permutex2var_ps(a, low, b), right = _mm512_permutex2var_ps(c, low, d), x[6];
    x[0] = _mm512_shuffle_f32x4(left, right, 0x44);
    x[1] = _mm512_shuffle_f32x4(left, right, 0xee);
    left = _mm512_permutex2var_ps(a, high, b);
    right = _mm512_permutex2var_ps(c, high, d);
    x[2] = _mm512_shuffle_f32x4(left, right, 0x44);
    x[3] = _mm512_shuffle_f32x4(left, right, 0xee);
    __m512i next = _mm512_castps_si512(_mm512_loadu_ps(p + 64));
    x[4] = _mm512_castsi512_ps(_mm512_alignr_epi32(next, _mm512_castps_si512(x[0]), 1));
    next = _mm512_alignr_epi32(next, next, 1);
    x[5] = _mm512_castsi512_ps(_mm512_alignr_epi32(next, _mm512_castps_si512(x[1]), 1));
    data6(x, t[row]);
  }
#pragma GCC unroll 6
  for (int col = 0; col < 6; col++) {
    __m512 x[6] = {t[0][col], t[1][col], t[2][col], t[3][col], t[4][col], t[5][col]}, v[6];
    data6(x, v);
#pragma GCC unroll 6
    for (int row = 0; row < 6; row++) _mm512_mask_storeu_ps(dst + (size_t)(row * 6 + col) * step, first(n), v[row]);
  }
}

void cg_winograd_input(int side, const float *const *rows, size_t n, float *dst, size_t step) {
  if (side == CG_TILE4) {
    input4(rows, n, dst, step);
  } else {
    input2(rows, n, dst, step);
  }
}

AVX512 static void output2(const float *m, size_t step, float *rows) {
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
      float *y = rows + row * CG_TILE2 * CG_NR + 2 * half;
      _mm512_storeu_ps(y, _mm512_permutex2var_ps(l, low, r));
      _mm512_storeu_ps(y + 16, _mm512_permutex2var_ps(l, high, r));
    }
  }
}

// Six products of a row or column become four values.
AVX512 static inline void result4(const __m512 m[6], __m512 y[4]) {
  __m512 sum_a = _mm512_add_ps(m[1], m[2]), dif_a = _mm512_sub_ps(m[1], m[2]);
  __m512 sum_b = _mm512_add_ps(m[3], m[4]), dif_b = _mm512_sub_ps(m[3], m[4]);
  y[0] = _mm512_add_ps(m[0], _mm512_add_ps(sum_a, sum_b));
  y[1] = _mm512_fmadd_ps(number(A), dif_a, _mm512_mul_ps(number(B), dif_b));
  y[2] = _mm512_fmadd_ps(number(A2), sum_a, _mm512_mul_ps(number(B2), sum_b));
  y[3] = _mm512_fmadd_ps(number(A * A2), dif_a, _mm512_fmadd_ps(number(B * B2), dif_b, m[5]));
}

AVX512 static void output4(const float *m, size_t step, float *rows) {
  // Four vectors of eight values each, two in a register, become 32 pixels in the order of the image.
  const __m512i first16 = _mm512_set_epi32(27, 19, 11, 3, 26, 18, 10, 2, 25, 17, 9, 1, 24, 16, 8, 0);
  const __m512i last16 = _mm512_set_epi32(31, 23, 15, 7, 30, 22, 14, 6, 29, 21, 13, 5, 28, 20, 12, 4);
  for (int half = 0; half < CG_NR; half += 16) {
    __m512 s[4][6];
#pragma GCC unroll 6
    for (int col = 0; col < 6; col++) {
      __m512 x[6], y[4];
#pragma GCC unroll 6
      for (int row = 0; row < 6; row++) x[row] = _mm512_loadu_ps(m + (size_t)(row * 6 + col) * step + half);
      result4(x, y);
#pragma GCC unroll 4
      for (int row = 0; row < 4; row++) s[row][col] = y[row];
    }
#pragma GCC unroll 4
    for (int row = 0; row < 4; row++) {
      __m512 z[4];
      result4(s[row], z);
      float *y = rows + row * CG_TILE4 * CG_NR + 4 * half;
#pragma GCC unroll 2
      for (int part = 0; part < 2; part++) {
        __m512 p = part ? _mm512_shuffle_f32x4(z[0], z[1], 0xee) : _mm512_shuffle_f32x4(z[0], z[1], 0x44);
        __m512 q = part ? _mm512_shuffle_f32x4(z[2], z[3], 0xee) : _mm512_shuffle_f32x4(z[2], z[3], 0x44);
        _mm512_storeu_ps(y + part * 32, _mm512_permutex2var_ps(p, first16, q));
        _mm512_storeu_ps(y + part * 32 + 16, _mm512_permutex2var_ps(p, last16, q));
      }
    }
  }
}

void cg_winograd_output(int side, const float *m, size_t step, float *rows) {
  if (side == CG_TILE4) {
    output4(m, step, rows);
  } else {
    output2(m, step, rows);
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

void cg_winograd_weights(int side, const void *w, int type, size_t ld, size_t rows, size_t channels, float *dst, size_t step) {}
void cg_winograd_input(int side, const float *const *rows, size_t n, float *dst, size_t step) {}
void cg_winograd_output(int side, const float *m, size_t step, float *rows) {}
void cg_add3(const float *a, float bias, const float *sum, float *y, size_t n) {}

#endif
