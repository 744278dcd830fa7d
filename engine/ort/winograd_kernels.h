// The kernels of winograd.h for one width of vectors; see vector.h.
#include "gemm.h"
#include "vector.h"
#include "winograd.h"

// Three taps of a row or column become four.
INLINE void filter4(const vec g[3], vec u[4]) {
  vec half = vset(0.5f), outer = vmul(half, vadd(g[0], g[2])), inner = vmul(half, g[1]);
  u[0] = g[0];
  u[1] = vadd(outer, inner);
  u[2] = vsub(outer, inner);
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

// Three taps of a row or column become six.
INLINE void filter6(const vec g[3], vec u[6]) {
  vec a = vfma(g[2], vset(GA2), vmul(g[0], vset(GA0)));
  vec b = vfma(g[2], vset(GB2), vmul(g[0], vset(GB0)));
  u[0] = vmul(g[0], vset(G0));
  u[1] = vfma(g[1], vset(GA1), a);
  u[2] = vfnma(g[1], vset(GA1), a);
  u[3] = vfma(g[1], vset(GB1), b);
  u[4] = vfnma(g[1], vset(GB1), b);
  u[5] = g[2];
}

// CHUNK is how many channels are transformed together; their values of a tap stand side by side, [channel][CG_MR], as in a
// strip, so that vectors are full and stores aligned.
enum { TAPS = 9, CHUNK = 16, WIDTH = CHUNK * CG_MR };

// store3 transforms a row of three values and stores the places of that row.
INLINE void store3(const vec g[3], size_t n, float *dst, size_t step) {
  vec u[6];
  filter6(g, u);
#pragma GCC unroll 6
  for (int col = 0; col < 6; col++) vstore_n(dst + (size_t)col * step, n, u[col]);
}

// filter4x4 transforms CG_LANES filters for 4x4 tiles and stores the first n, two rows of places at a time so that all values
// stay in the registers of AVX-512.
INLINE void filter4x4(const float *taps, size_t n, float *dst, size_t step) {
  vec g[3][3], x[3], y[3];
#pragma GCC unroll 9
  for (int i = 0; i < 9; i++) g[i / 3][i % 3] = vload(taps + i * WIDTH);
#pragma GCC unroll 3
  for (int i = 0; i < 3; i++) x[i] = vmul(g[0][i], vset(G0));
  store3(x, n, dst, step);
#pragma GCC unroll 3
  for (int i = 0; i < 3; i++) {
    vec even = vfma(g[2][i], vset(GA2), vmul(g[0][i], vset(GA0)));
    x[i] = vfma(g[1][i], vset(GA1), even);
    y[i] = vfnma(g[1][i], vset(GA1), even);
  }
  store3(x, n, dst + 6 * step, step);
  store3(y, n, dst + 12 * step, step);
#pragma GCC unroll 3
  for (int i = 0; i < 3; i++) {
    vec even = vfma(g[2][i], vset(GB2), vmul(g[0][i], vset(GB0)));
    x[i] = vfma(g[1][i], vset(GB1), even);
    y[i] = vfnma(g[1][i], vset(GB1), even);
  }
  store3(x, n, dst + 18 * step, step);
  store3(y, n, dst + 24 * step, step);
  store3(g[2], n, dst + 30 * step, step);
}

// filter2x2 transforms CG_LANES filters for 2x2 tiles and stores the first n.
INLINE void filter2x2(const float *taps, size_t n, float *dst, size_t step) {
  vec rows[4][3], u[4];
#pragma GCC unroll 3
  for (int col = 0; col < 3; col++) {
    vec g[3] = {vload(taps + col * WIDTH), vload(taps + (3 + col) * WIDTH), vload(taps + (6 + col) * WIDTH)};
    filter4(g, u);
    for (int row = 0; row < 4; row++) rows[row][col] = u[row];
  }
#pragma GCC unroll 4
  for (int row = 0; row < 4; row++) {
    filter4(rows[row], u);
    for (int col = 0; col < 4; col++, dst += step) vstore_n(dst, n, u[col]);
  }
}

// taps_of lays out the taps [TAPS][WIDTH] of n channels.
INLINE void taps_of(const char *w, const int type, size_t ld, size_t rows, size_t n, float *taps) {
  const size_t size = type == CG_F32 ? 4 : 2;
  size_t next = 0;  // the place of the next tap
  for (size_t at = 0; at < n * TAPS; at += CG_LANES) {
    size_t cols = n * TAPS - at < CG_LANES ? n * TAPS - at : CG_LANES, to = next;
#pragma GCC unroll 2
    for (size_t part = 0; part < CG_MR; part += CG_LANES) {
      const size_t width = CG_MR - part < CG_LANES ? CG_MR - part : CG_LANES;
      vec r[CG_LANES];
#pragma GCC unroll 16
      for (size_t i = 0; i < CG_LANES; i++) {
        r[i] = i < width && part + i < rows ? vwiden(w + ((part + i) * ld + at) * size, type, cols) : vzero();
      }
      transpose(r);
      to = next;
#pragma GCC unroll 16
      for (size_t i = 0; i < CG_LANES; i++) {
        if (i < cols) vstore_n(taps + to + part, width, r[i]);
        to += WIDTH;
        if (to >= TAPS * WIDTH) to -= TAPS * WIDTH - CG_MR;
      }
    }
    next = to;
  }
}

VECTOR static void weights(int side, const void *w, int type, size_t ld, size_t rows, size_t channels, float *dst, size_t step) {
  float taps[TAPS * WIDTH] = {0};
  for (size_t c = 0; c < channels; c += CHUNK) {
    size_t n = channels - c < CHUNK ? channels - c : CHUNK;
    const char *from = (const char *)w + c * TAPS * (type == CG_F32 ? 4 : 2);
    switch (type) {
      case CG_F32:
        taps_of(from, CG_F32, ld, rows, n, taps);
        break;
      case CG_F16:
        taps_of(from, CG_F16, ld, rows, n, taps);
        break;
      default:
        taps_of(from, CG_BF16, ld, rows, n, taps);
    }
    for (size_t at = 0; at < n * CG_MR; at += CG_LANES) {
      size_t left = n * CG_MR - at < CG_LANES ? n * CG_MR - at : CG_LANES;
      if (side == CG_TILE4) {
        filter4x4(taps + at, left, dst + c * CG_MR + at, step);
      } else {
        filter2x2(taps + at, left, dst + c * CG_MR + at, step);
      }
    }
  }
}

// Four values of a row or column of a tile's input.
INLINE void data4(const vec d[4], vec v[4]) {
  v[0] = vsub(d[0], d[2]);
  v[1] = vadd(d[1], d[2]);
  v[2] = vsub(d[2], d[1]);
  v[3] = vsub(d[1], d[3]);
}

// Six values of a row or column.
INLINE void data6(const vec d[6], vec v[6]) {
  const vec product = vset(A2 * B2), sum = vset(A2 + B2), a = vset(A), b = vset(B), a2 = vset(A2), b2 = vset(B2);
  vec even = vfnma(b2, d[2], d[4]), odd = vfnma(b2, d[1], d[3]);
  v[0] = vfma(product, d[0], vfnma(sum, d[2], d[4]));
  v[1] = vfma(a, odd, even);
  v[2] = vfnma(a, odd, even);
  even = vfnma(a2, d[2], d[4]);
  odd = vfnma(a2, d[1], d[3]);
  v[3] = vfma(b, odd, even);
  v[4] = vfnma(b, odd, even);
  v[5] = vfma(product, d[1], vfnma(sum, d[3], d[5]));
}

VECTOR static void input2(const float *const *rows, size_t from, size_t n, float *dst, size_t step) {
  vec t[4][4];
#pragma GCC unroll 4
  for (int row = 0; row < 4; row++) {
    vec x[4];
    spread2(rows[row] + from * CG_TILE2, x);
    data4(x, t[row]);
  }
#pragma GCC unroll 4
  for (int col = 0; col < 4; col++) {
    vec x[4] = {t[0][col], t[1][col], t[2][col], t[3][col]}, v[4];
    data4(x, v);
    for (int row = 0; row < 4; row++) vstore_n(dst + (size_t)(row * 4 + col) * step, n, v[row]);
  }
}

VECTOR static void input4(const float *const *rows, size_t from, size_t n, float *dst, size_t step) {
  vec t[6][6];
#pragma GCC unroll 6
  for (int row = 0; row < 6; row++) {
    vec x[6];
    spread4(rows[row] + from * CG_TILE4, x);
    data6(x, t[row]);
  }
#pragma GCC unroll 6
  for (int col = 0; col < 6; col++) {
    vec x[6] = {t[0][col], t[1][col], t[2][col], t[3][col], t[4][col], t[5][col]}, v[6];
    data6(x, v);
#pragma GCC unroll 6
    for (int row = 0; row < 6; row++) vstore_n(dst + (size_t)(row * 6 + col) * step, n, v[row]);
  }
}

VECTOR static void input(int side, const float *const *rows, size_t n, float *dst, size_t step) {
  for (size_t from = 0; from < n; from += CG_LANES) {
    size_t left = n - from < CG_LANES ? n - from : CG_LANES;
    if (side == CG_TILE4) {
      input4(rows, from, left, dst + from, step);
    } else {
      input2(rows, from, left, dst + from, step);
    }
  }
}

VECTOR static void output2(const float *m, size_t step, float *rows) {
  for (int part = 0; part < CG_NR; part += CG_LANES) {
    vec s[2][4];
#pragma GCC unroll 4
    for (int col = 0; col < 4; col++) {
      vec a = vload(m + col * step + part), b = vload(m + (4 + col) * step + part);
      vec c = vload(m + (8 + col) * step + part), d = vload(m + (12 + col) * step + part);
      s[0][col] = vadd(vadd(a, b), c);
      s[1][col] = vsub(vsub(b, c), d);
    }
#pragma GCC unroll 2
    for (int row = 0; row < 2; row++) {
      vec z[2] = {vadd(vadd(s[row][0], s[row][1]), s[row][2]), vsub(vsub(s[row][1], s[row][2]), s[row][3])};
      gather2(z, rows + row * CG_TILE2 * CG_NR + CG_TILE2 * part);
    }
  }
}

// Six products of a row or column become four values.
INLINE void result4(const vec m[6], vec y[4]) {
  vec sum_a = vadd(m[1], m[2]), dif_a = vsub(m[1], m[2]);
  vec sum_b = vadd(m[3], m[4]), dif_b = vsub(m[3], m[4]);
  y[0] = vadd(m[0], vadd(sum_a, sum_b));
  y[1] = vfma(vset(A), dif_a, vmul(vset(B), dif_b));
  y[2] = vfma(vset(A2), sum_a, vmul(vset(B2), sum_b));
  y[3] = vfma(vset(A * A2), dif_a, vfma(vset(B * B2), dif_b, m[5]));
}

VECTOR static void output4(const float *m, size_t step, float *rows) {
  for (int part = 0; part < CG_NR; part += CG_LANES) {
    vec s[4][6];
#pragma GCC unroll 6
    for (int col = 0; col < 6; col++) {
      vec x[6], y[4];
#pragma GCC unroll 6
      for (int row = 0; row < 6; row++) x[row] = vload(m + (size_t)(row * 6 + col) * step + part);
      result4(x, y);
#pragma GCC unroll 4
      for (int row = 0; row < 4; row++) s[row][col] = y[row];
    }
#pragma GCC unroll 4
    for (int row = 0; row < 4; row++) {
      vec z[4];
      result4(s[row], z);
      gather4(z, rows + row * CG_TILE4 * CG_NR + CG_TILE4 * part);
    }
  }
}

VECTOR static void output(int side, const float *m, size_t step, float *rows) {
  if (side == CG_TILE4) {
    output4(m, step, rows);
  } else {
    output2(m, step, rows);
  }
}

VECTOR static void add3(const float *a, float bias, const float *sum, float *y, size_t n) {
  vec b = vset(bias);
  for (size_t i = 0; i < n; i += CG_LANES) {
    size_t left = n - i < CG_LANES ? n - i : CG_LANES;
    vec v = vadd(vload_n(a + i, left), b);
    if (sum) v = vadd(v, vload_n(sum + i, left));
    vstore_n(y + i, left, v);
  }
}
