// The kernels of tiles.h for CPUs with AVX512-BF16: how numbers are packed, which those for AMX share (tilesamx.c), and products by VDPBF16PS.
#include "tiles.h"

#include "gemm.h"
#include "widen.h"

#if defined(__x86_64__)

#include "tilewords.h"

BF16_INLINE int strip_of(const float *a, size_t ld, size_t rows, size_t k, const int parts, char *dst) {
  __mmask16 odd = 0;
  for (size_t at = 0; at < k; at += CG_TD, dst += cg_step_bytes(parts)) {
    size_t n = k - at < CG_TILE ? k - at : CG_TILE, m = k - at - n < CG_TILE ? k - at - n : CG_TILE;
    for (size_t i = 0; i < CG_TR; i++) {
      __m512 low = i < rows ? vload_n(a + i * ld + at, n) : vzero(), high = i < rows ? vload_n(a + i * ld + at + n, m) : vzero();
      __m512i w[CG_PARTS];
      words(low, high, parts, w);
      // A number less itself is NaN where it is not finite.
      __m512 strange = vadd(vsub(low, low), vsub(high, high));
      odd |= _mm512_cmp_ps_mask(strange, strange, _CMP_UNORD_Q);
#pragma GCC unroll 3
      for (int p = 0; p < parts; p++) _mm512_storeu_si512(dst + p * 2 * CG_TILE_BYTES + i * 64, w[p]);
    }
  }
  return odd == 0;
}

BF16 int cg_strip(const float *a, size_t ld, size_t rows, size_t k, int parts, char *dst) {
  return parts == 1 ? strip_of(a, ld, rows, k, 1, dst) : strip_of(a, ld, rows, k, CG_PARTS, dst);
}

BF16_INLINE void panel_of(const char *w, const int type, size_t ld, size_t rows, size_t k, const int parts, char *dst) {
  const size_t size = type == CG_F32 ? 4 : 2;
  for (size_t at = 0; at < k; at += CG_TD, dst += cg_step_bytes(parts)) {
    size_t n = k - at < CG_TILE ? k - at : CG_TILE, m = k - at - n < CG_TILE ? k - at - n : CG_TILE;
    for (size_t half = 0; half < 2; half++) {
      __m512 r[CG_PARTS][CG_TILE];
      for (size_t i = 0; i < CG_TILE; i++) {
        __m512i part[CG_PARTS] = {0};
        if (half * CG_TILE + i < rows) {
          const char *p = w + ((half * CG_TILE + i) * ld + at) * size;
          words(vwiden(p, type, n), vwiden(p + n * size, type, m), parts, part);
        }
#pragma GCC unroll 3
        for (int q = 0; q < parts; q++) r[q][i] = _mm512_castsi512_ps(part[q]);
      }
#pragma GCC unroll 3
      for (int q = 0; q < parts; q++) {
        __m512 t[CG_TILE];
#pragma GCC unroll 16
        for (int i = 0; i < CG_TILE; i++) t[i] = r[q][i];
        transpose(t);
#pragma GCC unroll 16
        for (int i = 0; i < CG_TILE; i++) vstore((float *)(dst + (2 * (size_t)q + half) * CG_TILE_BYTES) + i * CG_TILE, t[i]);
      }
    }
  }
}

BF16 void cg_panel(const void *w, int type, size_t ld, size_t rows, size_t k, int parts, char *dst) {
  switch (type << 4 | parts) {
    case CG_F32 << 4 | 1:
      panel_of(w, CG_F32, ld, rows, k, 1, dst);
      break;
    case CG_F32 << 4 | 3:
      panel_of(w, CG_F32, ld, rows, k, 3, dst);
      break;
    case CG_F16 << 4 | 1:
      panel_of(w, CG_F16, ld, rows, k, 1, dst);
      break;
    case CG_F16 << 4 | 2:
      panel_of(w, CG_F16, ld, rows, k, 2, dst);
      break;
    default:
      panel_of(w, CG_BF16, ld, rows, k, 1, dst);
  }
}

// add_products adds two products a lane. The instruction is written out: its intrinsic makes GCC 12 copy the sums, which then do not fit the registers.
BF16_INLINE void add_products(vec *c, __m512i a, __m512i b) { __asm__("vdpbf16ps %2, %1, %0" : "+v"(*c) : "v"(a), "v"(b)); }

// multiply adds the products of a step of rows rows and CG_NR columns to their sums.
BF16_INLINE void multiply(vec c[][2], const char *strip, const char *panel, const int rows) {
  for (size_t t = 0; t < CG_TILE; t++, strip += 4, panel += 64) {
    __m512i b0 = _mm512_loadu_si512(panel), b1 = _mm512_loadu_si512(panel + CG_TILE_BYTES);
#pragma GCC unroll 11
    for (int i = 0; i < rows; i++) {
      int32_t word;
      memcpy(&word, strip + i * 64, 4);
      __m512i a = _mm512_set1_epi32(word);
      add_products(&c[i][0], a, b0);
      add_products(&c[i][1], a, b1);
    }
  }
}

// ROWS are those of a block whose sums, two vectors a row, fill the registers; a strip is cut into blocks of 11, 11 and 10 rows, or 8 and 8.
enum { ROWS = 11 };

BF16_INLINE void block_of(const char *strip, const char *panel, size_t steps, float *tile, int add, const int rows) {
  vec c[ROWS][2];
#pragma GCC unroll 11
  for (int i = 0; i < rows; i++) c[i][0] = c[i][1] = vzero();
  for (size_t s = 0; s < steps; s++, strip += cg_step_bytes(1), panel += cg_step_bytes(1)) multiply(c, strip, panel, rows);
#pragma GCC unroll 11
  for (int i = 0; i < rows; i++) {
    float *t = tile + i * CG_NR;
    if (add) {
      c[i][0] = vadd(vload(t), c[i][0]);
      c[i][1] = vadd(vload(t + CG_LANES), c[i][1]);
    }
    vstore(t, c[i][0]);
    vstore(t + CG_LANES, c[i][1]);
  }
}

BF16 static void tile(const char *strip, int strip_parts, const char *panel, int panel_parts, size_t steps, size_t rows, float *tile, int add) {
  (void)strip_parts;
  (void)panel_parts;
  for (size_t s = 0; s < steps; s += CG_CHAIN, add = 1, strip += CG_CHAIN * cg_step_bytes(1), panel += CG_CHAIN * cg_step_bytes(1)) {
    size_t n = steps - s < CG_CHAIN ? steps - s : CG_CHAIN;
    if (rows > CG_TILE) {
      block_of(strip, panel, n, tile, add, 11);
      block_of(strip + 11 * 64, panel, n, tile + 11 * CG_NR, add, 11);
      block_of(strip + 22 * 64, panel, n, tile + 22 * CG_NR, add, 10);
    } else {
      block_of(strip, panel, n, tile, add, 8);
      block_of(strip + 8 * 64, panel, n, tile + 8 * CG_NR, add, 8);
    }
  }
}

BF16 static void words_of(const float *low, const float *high, size_t rows, size_t n, size_t step, uint32_t *dst, size_t to_step) {
  for (size_t i = 0; i < rows; i++, low += step, high += step, dst += to_step) {
    for (size_t at = 0; at < n; at += CG_LANES) {
      __m512i w;
      words(vload_n(low + at, n - at), vload_n(high + at, n - at), 1, &w);
      _mm512_mask_storeu_epi32(dst + at, first(n - at), w);
    }
  }
}

BF16_INLINE void block_rows(const uint32_t *strip, const uint32_t *panel, size_t n, float *tile, int add) {
  vec c[CG_MR][2];
#pragma GCC unroll 12
  for (int i = 0; i < CG_MR; i++) c[i][0] = c[i][1] = vzero();
  for (size_t at = 0; at < n; at++, strip += CG_MR, panel += CG_NR) {
    __m512i b0 = _mm512_loadu_si512(panel), b1 = _mm512_loadu_si512(panel + CG_LANES);
#pragma GCC unroll 12
    for (int i = 0; i < CG_MR; i++) {
      __m512i a = _mm512_set1_epi32((int32_t)strip[i]);
      add_products(&c[i][0], a, b0);
      add_products(&c[i][1], a, b1);
    }
  }
#pragma GCC unroll 12
  for (int i = 0; i < CG_MR; i++) {
    float *t = tile + i * CG_NR;
    if (add) {
      c[i][0] = vadd(vload(t), c[i][0]);
      c[i][1] = vadd(vload(t + CG_LANES), c[i][1]);
    }
    vstore(t, c[i][0]);
    vstore(t + CG_LANES, c[i][1]);
  }
}

BF16 static void block(const uint32_t *strip, const uint32_t *panel, size_t depth, float *tile, int add) {
  for (size_t at = 0; at < depth; at += CG_WORDS, add = 1) {
    block_rows(strip + at * CG_MR, panel + at * CG_NR, depth - at < CG_WORDS ? depth - at : CG_WORDS, tile, add);
  }
}

static void nothing(void) {}

const cg_tiles cg_tiles_vectors = {"AVX512-BF16", 1, nothing, nothing, cg_strip, cg_panel, tile, NULL, NULL, NULL, words_of, block};

#endif
