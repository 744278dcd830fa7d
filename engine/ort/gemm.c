#include "gemm.h"

#include "widen.h"

#if defined(__x86_64__)
#include "avx512.h"

int cg_gemm_available(void) {
  static int known = -1;
  if (known < 0) {
    __builtin_cpu_init();
    known = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512vl");
  }
  return known;
}

AVX512 void cg_pack_strip(const float *a, size_t ld, size_t rows, size_t k, float *dst) {
  for (size_t at = 0; at < k; at += 16) {
    size_t n = k - at < 16 ? k - at : 16;
    __m512 r[16];
#pragma GCC unroll 16
    for (size_t i = 0; i < 16; i++) {
      r[i] = i < CG_MR && i < rows ? _mm512_maskz_loadu_ps(first(n), a + i * ld + at) : _mm512_setzero_ps();
    }
    transpose16(r);
#pragma GCC unroll 16
    for (size_t i = 0; i < 16; i++) {
      if (i < n) _mm512_mask_storeu_ps(dst + (at + i) * CG_MR, (1 << CG_MR) - 1, r[i]);
    }
  }
}

AVX512 static inline void pack_panel(const char *w, int type, size_t ld, size_t rows, size_t k, float *dst) {
  size_t size = type == CG_F32 ? 4 : 2;
  for (size_t at = 0; at < k; at += 16) {
    size_t n = k - at < 16 ? k - at : 16;
    for (size_t half = 0; half < CG_NR; half += 16) {
      __m512 r[16];
#pragma GCC unroll 16
      for (size_t i = 0; i < 16; i++) {
        r[i] = half + i < rows ? load16(w + ((half + i) * ld + at) * size, type, first(n)) : _mm512_setzero_ps();
      }
      transpose16(r);
#pragma GCC unroll 16
      for (size_t i = 0; i < 16; i++) {
        if (i < n) _mm512_storeu_ps(dst + (at + i) * CG_NR + half, r[i]);
      }
    }
  }
}

AVX512 void cg_pack_panel(const void *w, int type, size_t ld, size_t rows, size_t k, float *dst) {
  switch (type) {
    case CG_F32:
      pack_panel(w, CG_F32, ld, rows, k, dst);
      break;
    case CG_F16:
      pack_panel(w, CG_F16, ld, rows, k, dst);
      break;
    default:
      pack_panel(w, CG_BF16, ld, rows, k, dst);
  }
}

// CHAIN is how many products are summed from zero before the sum is added to the tile: long chains of float32 additions
// lose accuracy, the networks' goldens allow 1e-5.
enum { CHAIN = 128 };

AVX512 void cg_tile(const float *strip, const float *panel, size_t k, float *tile, int add) {
  do {
    size_t n = k < CHAIN ? k : CHAIN;
    __m512 c[CG_MR][2];
#pragma GCC unroll 12
    for (int i = 0; i < CG_MR; i++) c[i][0] = c[i][1] = _mm512_setzero_ps();
    for (size_t at = 0; at < n; at++) {
      __m512 b0 = _mm512_loadu_ps(panel), b1 = _mm512_loadu_ps(panel + 16);
#pragma GCC unroll 12
      for (int i = 0; i < CG_MR; i++) {
        __m512 a = _mm512_set1_ps(strip[i]);
        c[i][0] = _mm512_fmadd_ps(a, b0, c[i][0]);
        c[i][1] = _mm512_fmadd_ps(a, b1, c[i][1]);
      }
      strip += CG_MR;
      panel += CG_NR;
    }
#pragma GCC unroll 12
    for (int i = 0; i < CG_MR; i++) {
      float *t = tile + i * CG_NR;
      if (add) {
        c[i][0] = _mm512_add_ps(c[i][0], _mm512_loadu_ps(t));
        c[i][1] = _mm512_add_ps(c[i][1], _mm512_loadu_ps(t + 16));
      }
      _mm512_storeu_ps(t, c[i][0]);
      _mm512_storeu_ps(t + 16, c[i][1]);
    }
    add = 1;
    k -= n;
  } while (k > 0);
}

AVX512 void cg_finish(const float *tile, size_t rows, size_t cols, const float *bias, const float *sum, float *y, size_t ld) {
  for (size_t half = 0; half < cols; half += 16) {
    __mmask16 mask = first(cols - half);
    __m512 b = bias ? _mm512_maskz_loadu_ps(mask, bias + half) : _mm512_setzero_ps();
    for (size_t i = 0; i < rows; i++) {
      __m512 v = _mm512_add_ps(_mm512_loadu_ps(tile + i * CG_NR + half), b);
      if (sum) v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(mask, sum + i * ld + half));
      _mm512_mask_storeu_ps(y + i * ld + half, mask, v);
    }
  }
}

// erf16 is the error function by the rational approximation that Eigen uses: odd in x, which is clamped to where float32
// reaches +-1. Its error is below 4 units in the last place.
AVX512 static inline __m512 erf16(__m512 x) {
  static const float up[] = {-2.72614225801306e-10f, 2.77068142495902e-08f, -2.10102402082508e-06f, -5.69250639462346e-05f,
                             -7.34990630326855e-04f, -2.95459980854025e-03f, -1.60960333262415e-02f};
  static const float low[] = {-1.45660718464996e-05f, -2.13374055278905e-04f, -1.68282697438203e-03f, -7.37332916720468e-03f,
                              -1.42647390514189e-02f};
  x = _mm512_max_ps(_mm512_set1_ps(-4), _mm512_min_ps(_mm512_set1_ps(4), x));
  __m512 x2 = _mm512_mul_ps(x, x), p = _mm512_set1_ps(up[0]), q = _mm512_set1_ps(low[0]);
  for (int i = 1; i < 7; i++) p = _mm512_fmadd_ps(p, x2, _mm512_set1_ps(up[i]));
  for (int i = 1; i < 5; i++) q = _mm512_fmadd_ps(q, x2, _mm512_set1_ps(low[i]));
  return _mm512_div_ps(_mm512_mul_ps(x, p), q);
}

AVX512 void cg_finish_gated(const float *tile, const float *gate, size_t rows, size_t cols, const float *bias,
                            const float *gate_bias, float *y, size_t ld) {
  const __m512 half_one = _mm512_set1_ps(0.5f), root = _mm512_set1_ps(0.70710678118654752f);
  for (size_t half = 0; half < cols; half += 16) {
    __mmask16 mask = first(cols - half);
    __m512 b = bias ? _mm512_maskz_loadu_ps(mask, bias + half) : _mm512_setzero_ps();
    __m512 gb = gate_bias ? _mm512_maskz_loadu_ps(mask, gate_bias + half) : _mm512_setzero_ps();
    for (size_t i = 0; i < rows; i++) {
      __m512 v = _mm512_add_ps(_mm512_loadu_ps(tile + i * CG_NR + half), b);
      __m512 g = _mm512_add_ps(_mm512_loadu_ps(gate + i * CG_NR + half), gb);
      __m512 h = _mm512_mul_ps(g, half_one);
      g = _mm512_fmadd_ps(h, erf16(_mm512_mul_ps(g, root)), h);
      _mm512_mask_storeu_ps(y + i * ld + half, mask, _mm512_mul_ps(v, g));
    }
  }
}

void cg_prefetch(const void *p, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch((const char *)p + i, 0, 2);
}

#else

int cg_gemm_available(void) { return 0; }
void cg_pack_strip(const float *a, size_t ld, size_t rows, size_t k, float *dst) {}
void cg_pack_panel(const void *w, int type, size_t ld, size_t rows, size_t k, float *dst) {}
void cg_tile(const float *strip, const float *panel, size_t k, float *tile, int add) {}
void cg_finish(const float *tile, size_t rows, size_t cols, const float *bias, const float *sum, float *y, size_t ld) {}
void cg_finish_gated(const float *tile, const float *gate, size_t rows, size_t cols, const float *bias,
                     const float *gate_bias, float *y, size_t ld) {}
void cg_prefetch(const void *p, size_t bytes) {}

#endif
