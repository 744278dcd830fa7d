// The kernels of gemm.h for one width of vectors; see vector.h.
#include "gemm.h"
#include "vector.h"

VECTOR static void pack_strip(const float *a, size_t ld, size_t rows, size_t k, float *dst) {
  for (size_t at = 0; at < k; at += CG_LANES) {
    size_t n = k - at < CG_LANES ? k - at : CG_LANES;
#pragma GCC unroll 2
    for (size_t part = 0; part < CG_MR; part += CG_LANES) {
      const size_t width = CG_MR - part < CG_LANES ? CG_MR - part : CG_LANES;
      vec r[CG_LANES];
#pragma GCC unroll 16
      for (size_t i = 0; i < CG_LANES; i++) r[i] = i < width && part + i < rows ? vload_n(a + (part + i) * ld + at, n) : vzero();
      transpose(r);
#pragma GCC unroll 16
      for (size_t i = 0; i < CG_LANES; i++) {
        if (i < n) vstore_n(dst + (at + i) * CG_MR + part, width, r[i]);
      }
    }
  }
}

INLINE void pack_panel_of(const char *w, int type, size_t ld, size_t rows, size_t k, float *dst) {
  size_t size = type == CG_F32 ? 4 : 2;
  for (size_t at = 0; at < k; at += CG_LANES) {
    size_t n = k - at < CG_LANES ? k - at : CG_LANES;
    for (size_t part = 0; part < CG_NR; part += CG_LANES) {
      vec r[CG_LANES];
#pragma GCC unroll 16
      for (size_t i = 0; i < CG_LANES; i++) r[i] = part + i < rows ? vwiden(w + ((part + i) * ld + at) * size, type, n) : vzero();
      transpose(r);
#pragma GCC unroll 16
      for (size_t i = 0; i < CG_LANES; i++) {
        if (i < n) vstore(dst + (at + i) * CG_NR + part, r[i]);
      }
    }
  }
}

VECTOR static void pack_panel(const void *w, int type, size_t ld, size_t rows, size_t k, float *dst) {
  switch (type) {
    case CG_F32:
      pack_panel_of(w, CG_F32, ld, rows, k, dst);
      break;
    case CG_F16:
      pack_panel_of(w, CG_F16, ld, rows, k, dst);
      break;
    default:
      pack_panel_of(w, CG_BF16, ld, rows, k, dst);
  }
}

// A tile is computed in blocks whose sums, two vectors a row, fill the registers: 12 x 32 of the 32 that AVX-512 has, 6 x 16 of
// AVX2's 16.
enum { BLOCK_ROWS = CG_LANES == 16 ? 12 : 6, BLOCK_COLS = 2 * CG_LANES };

// CHAIN is how many products are summed from zero before the sum is added to the tile: long chains of float32 additions
// lose accuracy, the networks' goldens allow 1e-5. The values of a chain also stay in the first-level cache for all blocks.
enum { CHAIN = 128 };

// block computes a block of a tile from up to CHAIN products.
INLINE void block(const float *strip, const float *panel, size_t n, float *tile, int add) {
  vec c[BLOCK_ROWS][2];
#pragma GCC unroll 12
  for (int i = 0; i < BLOCK_ROWS; i++) c[i][0] = c[i][1] = vzero();
  for (size_t at = 0; at < n; at++) {
    vec b0 = vload(panel), b1 = vload(panel + CG_LANES);
#pragma GCC unroll 12
    for (int i = 0; i < BLOCK_ROWS; i++) {
      vec a = vset(strip[i]);
      c[i][0] = vfma(a, b0, c[i][0]);
      c[i][1] = vfma(a, b1, c[i][1]);
    }
    strip += CG_MR;
    panel += CG_NR;
  }
#pragma GCC unroll 12
  for (int i = 0; i < BLOCK_ROWS; i++) {
    float *t = tile + i * CG_NR;
    if (add) {
      c[i][0] = vadd(c[i][0], vload(t));
      c[i][1] = vadd(c[i][1], vload(t + CG_LANES));
    }
    vstore(t, c[i][0]);
    vstore(t + CG_LANES, c[i][1]);
  }
}

VECTOR static void tile(const float *strip, const float *panel, size_t k, float *tile, int add) {
  do {
    size_t n = k < CHAIN ? k : CHAIN;
    for (int col = 0; col < CG_NR; col += BLOCK_COLS) {
      for (int row = 0; row < CG_MR; row += BLOCK_ROWS) block(strip + row, panel + col, n, tile + row * CG_NR + col, add);
    }
    strip += n * CG_MR;
    panel += n * CG_NR;
    add = 1;
    k -= n;
  } while (k > 0);
}

VECTOR static void finish(const float *tile, size_t rows, size_t cols, const float *bias, const float *sum, float *y, size_t ld) {
  for (size_t part = 0; part < cols; part += CG_LANES) {
    size_t n = cols - part < CG_LANES ? cols - part : CG_LANES;
    vec b = bias ? vload_n(bias + part, n) : vzero();
    for (size_t i = 0; i < rows; i++) {
      vec v = vadd(vload(tile + i * CG_NR + part), b);
      if (sum) v = vadd(v, vload_n(sum + i * ld + part, n));
      vstore_n(y + i * ld + part, n, v);
    }
  }
}

// verf is the error function by the rational approximation that Eigen uses: odd in x, which is clamped to where float32
// reaches +-1. Its error is below 4 units in the last place.
INLINE vec verf(vec x) {
  static const float up[] = {-2.72614225801306e-10f, 2.77068142495902e-08f, -2.10102402082508e-06f, -5.69250639462346e-05f,
                             -7.34990630326855e-04f, -2.95459980854025e-03f, -1.60960333262415e-02f};
  static const float low[] = {-1.45660718464996e-05f, -2.13374055278905e-04f, -1.68282697438203e-03f, -7.37332916720468e-03f,
                              -1.42647390514189e-02f};
  x = vmax(vset(-4), vmin(vset(4), x));
  vec x2 = vmul(x, x), p = vset(up[0]), q = vset(low[0]);
  for (int i = 1; i < 7; i++) p = vfma(p, x2, vset(up[i]));
  for (int i = 1; i < 5; i++) q = vfma(q, x2, vset(low[i]));
  return vdiv(vmul(x, p), q);
}

VECTOR static void finish_gated(const float *tile, const float *gate, size_t rows, size_t cols, const float *bias,
                                const float *gate_bias, float *y, size_t ld) {
  const vec half = vset(0.5f), root = vset(0.70710678118654752f);
  for (size_t part = 0; part < cols; part += CG_LANES) {
    size_t n = cols - part < CG_LANES ? cols - part : CG_LANES;
    vec b = bias ? vload_n(bias + part, n) : vzero();
    vec gb = gate_bias ? vload_n(gate_bias + part, n) : vzero();
    for (size_t i = 0; i < rows; i++) {
      vec v = vadd(vload(tile + i * CG_NR + part), b);
      vec g = vadd(vload(gate + i * CG_NR + part), gb);
      vec h = vmul(g, half);
      g = vfma(h, verf(vmul(g, root)), h);
      vstore_n(y + i * ld + part, n, vmul(v, g));
    }
  }
}
