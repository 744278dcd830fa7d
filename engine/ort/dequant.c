#include "dequant.h"

#include <math.h>
#include <string.h>

#include "widen.h"

// Products and sums are rounded apart, as in the references, whatever instructions there are.
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#else
#pragma GCC optimize("fp-contract=off")
#endif

static inline float bits(uint32_t b) {
  float f;
  memcpy(&f, &b, 4);
  return f;
}

static inline uint32_t word(const uint8_t *p) {
  uint32_t w;
  memcpy(&w, p, 4);
  return w;
}

// The shifted bits are a float32 whose exponent is too small by the difference of the biases; the product repairs it and
// makes subnormals normal on the way.
static inline float e4m3(uint8_t b) {
  float f = bits((uint32_t)(b & 0x7f) << 20) * 0x1p120f;
  f = (b & 0x7f) == 0x7f ? bits(0x7fc00000) : f;
  return b & 0x80 ? -f : f;
}

static inline float e5m2(uint8_t b) {
  uint32_t m = (uint32_t)(b & 0x7f) << 21;
  float f = (b & 0x7f) >= 0x7c ? bits(m | 0x7f800000) : bits(m) * 0x1p112f;
  return b & 0x80 ? -f : f;
}

// E8M0, where upstream's 0 is zero.
static inline float e8m0(uint8_t b) { return bits((uint32_t)b << 23); }

static inline float half(const uint8_t *p) {
  uint16_t h;
  memcpy(&h, p, 2);
  uint32_t m = (uint32_t)(h & 0x7fff) << 13;
  float f = (h & 0x7c00) == 0x7c00 ? bits(m | 0x7f800000) : bits(m) * 0x1p112f;
  return h & 0x8000 ? -f : f;
}

// whole rounds to the nearest whole number, ties to even, for |v| < 2^22. The library of mathematical functions is not linked.
static inline float whole(float v) { return v < 0 ? -((-v + 0x1p23f) - 0x1p23f) : (v + 0x1p23f) - 0x1p23f; }

// tiled is the place of the scale of block b in row r among tiles of 128 rows and 4 blocks; within one, rows r, r+32,
// r+64 and r+96 lie side by side.
static inline size_t tiled(size_t r, size_t b, size_t blocks) {
  size_t across = (blocks + 3) / 4;
  return (r / 128 * across + b / 4) * 512 + r % 32 * 16 + r % 128 / 32 * 4 + b % 4;
}

// Doubled values of E2M1.
static const int8_t fp4[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

static const int8_t iq4[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

#include "dequant_tables.h"

static int8_t grid_iq2_xxs[256][8], grid_iq2_xs[512][8], grid_iq2_s[1024][8], grid_iq1[2048][8];
static int8_t grid_iq3_xxs[256][4], grid_iq3_s[512][4];
// Seven signs and an eighth that makes their number even.
static uint8_t parity[128];

// The values of 8-bit floats rounded to the other 8-bit float: E5M2 as E4M3, and E4M3 as E5M2.
static float recast[2][256];

// rounded is the nearest value, ties to even, of a type of so many explicit mantissa bits and smallest normal exponent; larger ones
// than the largest become that one.
static float rounded(float v, int mantissa, int least, float largest) {
  if (v == 0 || v != v) return v;
  if (v >= largest) return largest;
  if (v <= -largest) return -largest;
  uint32_t b;
  memcpy(&b, &v, 4);
  int e = (int)(b >> 23 & 0xff) - 127;
  float step = bits((uint32_t)((e < least ? least : e) - mantissa + 127) << 23);
  return whole(v / step) * step;
}

static void unpack(int8_t *to, const uint8_t *from, size_t bytes, int width, const int8_t *map) {
  for (size_t i = 0; i < bytes; i++)
    for (int shift = 0; shift < 8; shift += width) *to++ = map[from[i] >> shift & ((1 << width) - 1)];
}

__attribute__((constructor)) static void unpack_tables(void) {
  static const int8_t two[4] = {0x08, 0x19, 0x2b, 0}, one[4] = {-1, 0, 1, 0};
  static const int8_t xxs[16] = {0x04, 0x0c, 0x14, 0x1c, 0x24, 0x2c, 0x34, 0x3e};
  static const int8_t s[16] = {0x01, 0x03, 0x05, 0x07, 0x09, 0x0b, 0x0d, 0x0f};
  unpack(grid_iq2_xxs[0], packed_iq2_xxs, sizeof packed_iq2_xxs, 2, two);
  unpack(grid_iq2_xs[0], packed_iq2_xs, sizeof packed_iq2_xs, 2, two);
  unpack(grid_iq2_s[0], packed_iq2_s, sizeof packed_iq2_s, 2, two);
  unpack(grid_iq1[0], packed_iq1_s, sizeof packed_iq1_s, 2, one);
  unpack(grid_iq3_xxs[0], packed_iq3_xxs, sizeof packed_iq3_xxs, 4, xxs);
  unpack(grid_iq3_s[0], packed_iq3_s, sizeof packed_iq3_s, 4, s);
  for (int i = 0; i < 256; i++) {
    recast[0][i] = rounded(e5m2((uint8_t)i), 3, -6, 448);
    recast[1][i] = rounded(e4m3((uint8_t)i), 2, -14, 57344);
  }
  for (int i = 0; i < 128; i++) {
    int ones = 0;
    for (int k = 0; k < 7; k++) ones += i >> k & 1;
    parity[i] = (uint8_t)(i | (ones & 1) << 7);
  }
}

int cg_block_size(int format, size_t *elements, size_t *bytes) {
  static const uint8_t small[][3] = {
      {CG_Q4_0, 32, 18}, {CG_Q4_1, 32, 20}, {CG_Q5_0, 32, 22}, {CG_Q5_1, 32, 24}, {CG_Q8_0, 32, 34}, {CG_IQ4_NL, 32, 18},
      {CG_MXFP4, 32, 17}, {CG_NVFP4, 64, 36}, {CG_E4M3, 1, 1}, {CG_E5M2, 1, 1}, {CG_INT8, 1, 1}, {CG_MX8, 32, 32}, {CG_NV4, 16, 8},
      {CG_INT4, 2, 1}, {CG_E5M2_AS_E4M3, 1, 1}, {CG_E4M3_AS_E5M2, 1, 1}};
  static const uint8_t large[][2] = {  // blocks of 256 elements
      {CG_Q2_K, 84}, {CG_Q3_K, 110}, {CG_Q4_K, 144}, {CG_Q5_K, 176}, {CG_Q6_K, 210}, {CG_IQ2_XXS, 66}, {CG_IQ2_XS, 74},
      {CG_IQ3_XXS, 98}, {CG_IQ1_S, 50}, {CG_IQ3_S, 110}, {CG_IQ2_S, 82}, {CG_IQ4_XS, 136}, {CG_IQ1_M, 56}, {CG_TQ1_0, 54},
      {CG_TQ2_0, 66}};
  if (format >= CG_GROUPED && format <= CG_GROUPED_LAST) {
    *elements = (size_t)4 << (format - CG_GROUPED);
    *bytes = *elements / 2;
    return 1;
  }
  for (size_t i = 0; i < sizeof small / sizeof small[0]; i++)
    if (small[i][0] == format) {
      *elements = small[i][1];
      *bytes = small[i][2];
      return 1;
    }
  for (size_t i = 0; i < sizeof large / sizeof large[0]; i++)
    if (large[i][0] == format) {
      *elements = 256;
      *bytes = large[i][1];
      return 1;
    }
  return 0;
}

#define CG_NAME(f) portable_##f
#include "dequant_blocks.h"
#undef CG_NAME

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2")
#endif
#define CG_NAME(f) avx2_##f
#include "dequant_blocks.h"
#undef CG_NAME
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

static int has_avx2(void) {
  static int known = 0;
  if (known == 0) {
    __builtin_cpu_init();
    known = __builtin_cpu_supports("avx2") ? 2 : 1;
  }
  return known == 2 && cg_level != 1;
}
#endif

void cg_dequantize(const cg_matrix *m, size_t from, size_t n, float *dst) {
#if defined(__x86_64__)
  if (has_avx2()) {
    for (size_t r = 0; r < n; r++) avx2_row(m, from + r, dst + r * m->cols);
    return;
  }
#endif
  for (size_t r = 0; r < n; r++) portable_row(m, from + r, dst + r * m->cols);
}
