// The choice of the kernels of tiles.h, and those in portable C.
#include "tiles.h"

#include <string.h>

#include "gemm.h"
#include "simd.h"
#include "widen.h"

static const cg_tiles *of_vectors(void) {
#if defined(__x86_64__)
  return __builtin_cpu_is("amd") && __builtin_cpu_supports("avx512bf16") ? &cg_tiles_vectors : NULL;
#else
  return NULL;
#endif
}

const cg_tiles *cg_tiles_of_cpu(void) {
  const cg_simd *s = cg_simd_of_cpu();
  if (s == NULL) return NULL;
  if (cg_level == CG_EMULATED) return &cg_tiles_emulated;
  if (cg_level == CG_EMULATED_VECTORS) return &cg_tiles_emulated_vectors;
  if (cg_level || s->lanes != 16) return NULL;
  const cg_tiles *amx = cg_tiles_amx();
  return amx ? amx : of_vectors();
}

int cg_parts(int type) { return type == CG_BF16 ? 1 : type == CG_F16 ? 2 : CG_PARTS; }

static uint32_t bits_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  return bits;
}

static float of_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, 4);
  return x;
}

// flush makes subnormal numbers zeros.
static float flush(float x) { return bits_of(x) & 0x7f800000 ? x : of_bits(bits_of(x) & 0x80000000); }

// nearest rounds to bfloat16, as VCVTNEPS2BF16 does.
static uint16_t nearest(float x) {
  uint32_t bits = bits_of(flush(x));
  if (x != x) return (uint16_t)(bits >> 16 | 0x40);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// split writes the parts of a number, step numbers apart.
static void split(float x, int parts, uint16_t *dst, size_t step) {
  if (parts == 1) {
    *dst = nearest(x);
    return;
  }
  for (int p = 0; p < parts; p++, dst += step) {
    *dst = (uint16_t)(bits_of(x) >> 16);
    x -= of_bits(bits_of(x) & 0xffff0000);
  }
}

enum { NUMBERS = CG_TILE_BYTES / 2 };  // of a tile

static void nothing(void) {}

static int strip(const float *a, size_t ld, size_t rows, size_t k, int parts, char *dst) {
  int finite = 1;
  memset(dst, 0, cg_steps(k) * cg_step_bytes(parts));
  for (size_t i = 0; i < rows; i++) {
    for (size_t at = 0; at < k; at++) {
      uint16_t *tile = (uint16_t *)(dst + at / CG_TD * cg_step_bytes(parts)) + i / CG_TILE * NUMBERS;
      finite &= (bits_of(a[i * ld + at]) & 0x7f800000) != 0x7f800000;
      split(a[i * ld + at], parts, tile + i % CG_TILE * CG_TD + at % CG_TILE * 2 + at % CG_TD / CG_TILE, 2 * NUMBERS);
    }
  }
  return finite;
}

// put writes a number of a panel.
static void put(float x, size_t at, size_t col, int parts, char *dst) {
  uint16_t *tile = (uint16_t *)(dst + at / CG_TD * cg_step_bytes(parts)) + col / CG_TILE * NUMBERS;
  split(x, parts, tile + (at % CG_TILE * CG_TILE + col % CG_TILE) * 2 + at % CG_TD / CG_TILE, 2 * NUMBERS);
}

static void panel(const void *w, int type, size_t ld, size_t rows, size_t k, int parts, char *dst) {
  size_t size = type == CG_F32 ? 4 : 2;
  memset(dst, 0, cg_steps(k) * cg_step_bytes(parts));
  for (size_t i = 0; i < rows; i++) {
    for (size_t at = 0; at < k; at++) {
      float x;
      cg_widen((const char *)w + (i * ld + at) * size, type, &x, 1);
      put(x, at, i, parts, dst);
    }
  }
}

static float wide(uint16_t x) { return flush(of_bits((uint32_t)x << 16)); }

// fused is x*y + z for numbers of bfloat16 x and y, rounded once: the product is exact in float64, and a sum in float64 that is not
// exact is made odd, so that it does not look like one half of the last place of float32.
static float fused(float x, float y, float z) {
  double p = (double)x * y, sum = p + z, of_z = sum - p, error = (p - (sum - of_z)) + (z - of_z);
  uint64_t bits;
  memcpy(&bits, &sum, 8);
  if (error != 0 && error == error && !(bits & 1)) {
    bits += (error > 0) == (sum > 0) ? 1 : (uint64_t)-1;
    memcpy(&sum, &bits, 8);
  }
  return (float)sum;
}

// A multiplication adds the products of a tile of rows and one of columns to a quarter of a tile.
typedef void multiplication(const char *left, const char *right, float *c);

// multiply is TDPBF16PS: the products of either half of the words are summed, then both sums and what there was.
static void multiply(const char *left, const char *right, float *c) {
  const uint16_t *a = (const uint16_t *)left, *b = (const uint16_t *)right;
  for (size_t i = 0; i < CG_TILE; i++) {
    for (size_t n = 0; n < CG_TILE; n++) {
      float sums[2] = {0, 0};
      for (size_t t = 0; t < 2 * CG_TILE; t++) {
        float x = wide(a[i * CG_TD + t]), y = wide(b[(t / 2 * CG_TILE + n) * 2 + t % 2]);
        sums[t % 2] = flush(fused(x, y, sums[t % 2]));
      }
      float *to = c + i * CG_NR + n;
      *to = flush(flush(*to) + flush(sums[0] + sums[1]));
    }
  }
}

// multiply_vectors is a VDPBF16PS for each word: the upper product is added to what there was, then the lower one.
static void multiply_vectors(const char *left, const char *right, float *c) {
  const uint16_t *a = (const uint16_t *)left, *b = (const uint16_t *)right;
  for (size_t i = 0; i < CG_TILE; i++) {
    for (size_t n = 0; n < CG_TILE; n++) {
      float *to = c + i * CG_NR + n;
      for (size_t t = 0; t < CG_TILE; t++) {
        for (size_t half = 2; half-- > 0;) {
          *to = flush(fused(wide(a[i * CG_TD + 2 * t + half]), wide(b[(t * CG_TILE + n) * 2 + half]), *to));
        }
      }
    }
  }
}

// sum computes at most CG_CHAIN steps of a tile.
static void sum(multiplication by, const char *strip, int strip_parts, const char *panel, int panel_parts, size_t steps, size_t high, float *to) {
  // The products of parts, small ones first, in the order in which tilesamx.c computes them.
  static const int pairs[CG_PARTS][6][2] = {{{2, 0}, {1, 0}, {0, 0}}, {{2, 0}, {1, 0}, {0, 0}, {0, 1}, {1, 1}}, {{2, 0}, {1, 0}, {1, 1}, {0, 1}, {0, 0}, {0, 2}}};
  static const int counts[CG_PARTS] = {3, 5, 6};
  memset(to, 0, high * CG_TILE * CG_NR * sizeof(float));
  for (size_t s = 0; s < steps; s++, strip += cg_step_bytes(strip_parts), panel += cg_step_bytes(panel_parts)) {
    for (int p = 0; p < (strip_parts == 1 ? 1 : counts[panel_parts - 1]); p++) {
      const int *pair = pairs[panel_parts - 1][p];
      size_t left = strip_parts == 1 ? 0 : (size_t)pair[0], right = strip_parts == 1 ? 0 : (size_t)pair[1];
      for (size_t i = 0; i < 2 * high; i++) {
        by(strip + (2 * left + i / 2) * CG_TILE_BYTES, panel + (2 * right + i % 2) * CG_TILE_BYTES, to + i / 2 * CG_TILE * CG_NR + i % 2 * CG_TILE);
      }
    }
  }
}

static void tile_by(multiplication by, const char *strip, int strip_parts, const char *panel, int panel_parts, size_t steps, size_t rows, float *tile, int add) {
  size_t high = rows > CG_TILE ? 2 : 1;
  for (size_t s = 0; s < steps; s += CG_CHAIN, add = 1) {
    float sums[CG_TR * CG_NR];
    size_t n = steps - s < CG_CHAIN ? steps - s : CG_CHAIN;
    sum(by, strip + s * cg_step_bytes(strip_parts), strip_parts, panel + s * cg_step_bytes(panel_parts), panel_parts, n, high, sums);
    for (size_t i = 0; i < high * CG_TILE * CG_NR; i++) tile[i] = add ? tile[i] + sums[i] : sums[i];
  }
}

static void tile(const char *strip, int strip_parts, const char *panel, int panel_parts, size_t steps, size_t rows, float *tile, int add) {
  tile_by(multiply, strip, strip_parts, panel, panel_parts, steps, rows, tile, add);
}

static void tile_vectors(const char *strip, int strip_parts, const char *panel, int panel_parts, size_t steps, size_t rows, float *tile, int add) {
  tile_by(multiply_vectors, strip, strip_parts, panel, panel_parts, steps, rows, tile, add);
}

static void pixels(const float *x, size_t plane, size_t channels, size_t n, char *dst) {
  for (size_t i = 0; i < n; i++) {
    for (size_t c = 0; c < CG_TD; c++) ((uint16_t *)(dst + i * CG_PIXEL_BYTES))[c % CG_TILE * 2 + c / CG_TILE] = c < channels ? nearest(x[c * plane + i]) : 0;
  }
}

static void taps(const void *w, int type, size_t ld, size_t rows, size_t channels, char *dst) {
  size_t size = type == CG_F32 ? 4 : 2;
  memset(dst, 0, CG_TAPS * CG_TAP_BYTES);
  for (size_t i = 0; i < rows; i++) {
    for (size_t at = 0; at < channels * CG_TAPS; at++) {
      float x;
      cg_widen((const char *)w + (i * ld + at) * size, type, &x, 1);
      put(x, at / CG_TAPS, i, 1, dst + at % CG_TAPS * CG_TAP_BYTES);
    }
  }
}

static void convolve(const char *x, size_t row, size_t step, const char *taps, size_t steps, float *tile) {
  float sums[CG_TR * CG_NR] = {0};
  for (size_t at = 0; at < steps * CG_TAPS; at++) {
    const char *from = x + at / CG_TAPS * step + at % CG_TAPS / 3 * row + at % 3 * CG_PIXEL_BYTES;
    for (size_t i = 0; i < 4; i++) {
      multiply(from + i / 2 * CG_TILE * CG_PIXEL_BYTES, taps + at * CG_TAP_BYTES + i % 2 * CG_TILE_BYTES, sums + i / 2 * CG_TILE * CG_NR + i % 2 * CG_TILE);
    }
  }
  for (size_t i = 0; i < CG_TR * CG_NR; i++) tile[i % CG_NR * CG_TR + i / CG_NR] = sums[i];
}

static void words(const float *low, const float *high, size_t rows, size_t n, size_t step, uint32_t *dst, size_t to_step) {
  for (size_t i = 0; i < rows; i++) {
    for (size_t at = 0; at < n; at++) dst[i * to_step + at] = nearest(low[i * step + at]) | (uint32_t)nearest(high[i * step + at]) << 16;
  }
}

static void block(const uint32_t *strip, const uint32_t *panel, size_t depth, float *tile, int add) {
  for (size_t at = 0; at < depth; at += CG_WORDS, add = 1) {
    size_t end = depth - at < CG_WORDS ? depth : at + CG_WORDS;
    for (size_t i = 0; i < CG_MR * CG_NR; i++) {
      float sum = 0;
      for (size_t d = at; d < end; d++) {
        uint32_t a = strip[d * CG_MR + i / CG_NR], b = panel[d * CG_NR + i % CG_NR];
        sum = flush(fused(wide((uint16_t)(a >> 16)), wide((uint16_t)(b >> 16)), sum));
        sum = flush(fused(wide((uint16_t)a), wide((uint16_t)b), sum));
      }
      tile[i] = add ? tile[i] + sum : sum;
    }
  }
}

const cg_tiles cg_tiles_emulated = {"tiles in portable code", CG_PARTS, nothing, nothing, strip, panel, tile, pixels, taps, convolve, NULL, NULL};
const cg_tiles cg_tiles_emulated_vectors = {"AVX512-BF16 in portable code", 1, nothing, nothing, strip, panel, tile_vectors, NULL, NULL, NULL, words, block};
