// Vectors of float32 for the kernels of gemm, winograd and norm, whose sources are compiled twice: with CG_LANES 16 for CPUs with
// AVX-512 and with 8 for those with AVX2, FMA and F16C. A file that includes this one defines CG_LANES.
#ifndef COMFYGO_ORT_VECTOR_H
#define COMFYGO_ORT_VECTOR_H

#include <immintrin.h>
#include <string.h>

#include "widen.h"

#if CG_LANES == 16
#define VECTOR __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
typedef __m512 vec;
#else
#define VECTOR __attribute__((target("avx2,fma,f16c")))
typedef __m256 vec;
#endif

// INLINE is for functions that take arrays of vectors: they stay in registers only where the caller's loops are unrolled over them.
#define INLINE VECTOR static inline __attribute__((always_inline))

// sum8 adds up eight values.
INLINE float sum8(__m256 v) {
  __m128 x = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  x = _mm_add_ps(x, _mm_movehl_ps(x, x));
  return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
}

#if CG_LANES == 16

static inline uint16_t first(size_t n) { return n >= 16 ? 0xffff : (uint16_t)((1u << n) - 1); }

INLINE vec vzero(void) { return _mm512_setzero_ps(); }
INLINE vec vset(float x) { return _mm512_set1_ps(x); }
INLINE vec vload(const float *p) { return _mm512_loadu_ps(p); }
INLINE void vstore(float *p, vec v) { _mm512_storeu_ps(p, v); }
INLINE vec vadd(vec a, vec b) { return _mm512_add_ps(a, b); }
INLINE vec vsub(vec a, vec b) { return _mm512_sub_ps(a, b); }
INLINE vec vmul(vec a, vec b) { return _mm512_mul_ps(a, b); }
INLINE vec vdiv(vec a, vec b) { return _mm512_div_ps(a, b); }
INLINE vec vmin(vec a, vec b) { return _mm512_min_ps(a, b); }  // b where one of them is NaN
INLINE vec vmax(vec a, vec b) { return _mm512_max_ps(a, b); }  // the same
INLINE vec vfma(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }    // c + a*b
INLINE vec vfnma(vec a, vec b, vec c) { return _mm512_fnmadd_ps(a, b, c); }  // c - a*b
INLINE vec vround(vec x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
INLINE vec vscale(vec x, vec n) { return _mm512_scalef_ps(x, n); }  // x times two to the power of whole numbers n

// vsum64 adds up 64 values, in the same order for every width.
INLINE float vsum64(const vec s[4]) {
  vec v = vadd(vadd(s[0], s[1]), vadd(s[2], s[3]));
  return sum8(_mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1)));
}

// vload_n reads the first n values, zeros for the others; vstore_n writes the first n; vfirst makes the others zeros.
INLINE vec vload_n(const float *p, size_t n) { return _mm512_maskz_loadu_ps(first(n), p); }
INLINE void vstore_n(float *p, size_t n, vec v) { _mm512_mask_storeu_ps(p, first(n), v); }
INLINE vec vfirst(vec v, size_t n) { return _mm512_maskz_mov_ps(first(n), v); }

// vwiden reads the first n values of an element type, zeros for the others.
INLINE vec vwiden(const char *p, int type, size_t n) {
  if (type == CG_F32) return _mm512_maskz_loadu_ps(first(n), p);
  __m256i h = _mm256_maskz_loadu_epi16(first(n), p);
  if (type == CG_F16) return _mm512_cvtph_ps(h);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

INLINE __m512d pd(__m512 x) { return _mm512_castps_pd(x); }
INLINE __m512 ps(__m512d x) { return _mm512_castpd_ps(x); }

// transpose transposes a block of CG_LANES x CG_LANES.
INLINE void transpose(vec r[16]) {
  __m512 t[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    r[i] = ps(_mm512_unpacklo_pd(pd(t[i]), pd(t[i + 2])));
    r[i + 1] = ps(_mm512_unpackhi_pd(pd(t[i]), pd(t[i + 2])));
    r[i + 2] = ps(_mm512_unpacklo_pd(pd(t[i + 1]), pd(t[i + 3])));
    r[i + 3] = ps(_mm512_unpackhi_pd(pd(t[i + 1]), pd(t[i + 3])));
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    t[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    r[i] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
    r[i + 8] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
    r[i + 4] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0x88);
    r[i + 12] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0xdd);
  }
}

// spread2 reads a row of an image for CG_LANES tiles of 2x2: value i of each tile goes to x[i], where the last two belong to the
// next tile.
INLINE void spread2(const float *p, vec x[4]) {
  const __m512i even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
  const __m512i odd = _mm512_set_epi32(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
  __m512 a = vload(p), b = vload(p + 16), c = vload(p + 2), d = vload(p + 18);
  x[0] = _mm512_permutex2var_ps(a, even, b);
  x[1] = _mm512_permutex2var_ps(a, odd, b);
  x[2] = _mm512_permutex2var_ps(c, even, d);
  x[3] = _mm512_permutex2var_ps(c, odd, d);
}

// spread4 does so for tiles of 4x4.
INLINE void spread4(const float *p, vec x[6]) {
  // Every fourth of 32 values from the first and from the second on, and from the third and the fourth on.
  const __m512i low = _mm512_set_epi32(29, 25, 21, 17, 13, 9, 5, 1, 28, 24, 20, 16, 12, 8, 4, 0);
  const __m512i high = _mm512_set_epi32(31, 27, 23, 19, 15, 11, 7, 3, 30, 26, 22, 18, 14, 10, 6, 2);
  __m512 a = vload(p), b = vload(p + 16), c = vload(p + 32), d = vload(p + 48);
  __m512 left = _mm512_permutex2var_ps(a, low, b), right = _mm512_permutex2var_ps(c, low, d);
  x[0] = _mm512_shuffle_f32x4(left, right, 0x44);
  x[1] = _mm512_shuffle_f32x4(left, right, 0xee);
  left = _mm512_permutex2var_ps(a, high, b);
  right = _mm512_permutex2var_ps(c, high, d);
  x[2] = _mm512_shuffle_f32x4(left, right, 0x44);
  x[3] = _mm512_shuffle_f32x4(left, right, 0xee);
  __m512i next = _mm512_castps_si512(vload(p + 64));
  x[4] = _mm512_castsi512_ps(_mm512_alignr_epi32(next, _mm512_castps_si512(x[0]), 1));
  next = _mm512_alignr_epi32(next, next, 1);
  x[5] = _mm512_castsi512_ps(_mm512_alignr_epi32(next, _mm512_castps_si512(x[1]), 1));
}

// gather2 writes the values of a row of CG_LANES tiles of 2x2, z[i] those of column i, in the order of the image.
INLINE void gather2(const vec z[2], float *y) {
  const __m512i low = _mm512_set_epi32(23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  const __m512i high = _mm512_set_epi32(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8);
  vstore(y, _mm512_permutex2var_ps(z[0], low, z[1]));
  vstore(y + 16, _mm512_permutex2var_ps(z[0], high, z[1]));
}

// gather4 does so for tiles of 4x4.
INLINE void gather4(const vec z[4], float *y) {
  // Four vectors of eight values each, two in a register, become 32 pixels.
  const __m512i first16 = _mm512_set_epi32(27, 19, 11, 3, 26, 18, 10, 2, 25, 17, 9, 1, 24, 16, 8, 0);
  const __m512i last16 = _mm512_set_epi32(31, 23, 15, 7, 30, 22, 14, 6, 29, 21, 13, 5, 28, 20, 12, 4);
#pragma GCC unroll 2
  for (int part = 0; part < 2; part++) {
    __m512 p = part ? _mm512_shuffle_f32x4(z[0], z[1], 0xee) : _mm512_shuffle_f32x4(z[0], z[1], 0x44);
    __m512 q = part ? _mm512_shuffle_f32x4(z[2], z[3], 0xee) : _mm512_shuffle_f32x4(z[2], z[3], 0x44);
    vstore(y + part * 32, _mm512_permutex2var_ps(p, first16, q));
    vstore(y + part * 32 + 16, _mm512_permutex2var_ps(p, last16, q));
  }
}

#else

INLINE vec vzero(void) { return _mm256_setzero_ps(); }
INLINE vec vset(float x) { return _mm256_set1_ps(x); }
INLINE vec vload(const float *p) { return _mm256_loadu_ps(p); }
INLINE void vstore(float *p, vec v) { _mm256_storeu_ps(p, v); }
INLINE vec vadd(vec a, vec b) { return _mm256_add_ps(a, b); }
INLINE vec vsub(vec a, vec b) { return _mm256_sub_ps(a, b); }
INLINE vec vmul(vec a, vec b) { return _mm256_mul_ps(a, b); }
INLINE vec vdiv(vec a, vec b) { return _mm256_div_ps(a, b); }
INLINE vec vmin(vec a, vec b) { return _mm256_min_ps(a, b); }
INLINE vec vmax(vec a, vec b) { return _mm256_max_ps(a, b); }
INLINE vec vfma(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }
INLINE vec vfnma(vec a, vec b, vec c) { return _mm256_fnmadd_ps(a, b, c); }
INLINE vec vround(vec x) { return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }

// vscale multiplies by two powers, for those that are no float32 themselves; n is at most 252.
INLINE vec vscale(vec x, vec n) {
  __m256i all = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(all, 1), one = _mm256_set1_epi32(127);
  vec a = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, one), 23));
  vec b = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(all, half), one), 23));
  return vmul(vmul(x, a), b);
}

INLINE float vsum64(const vec s[8]) {
  vec low = vadd(vadd(s[0], s[2]), vadd(s[4], s[6])), high = vadd(vadd(s[1], s[3]), vadd(s[5], s[7]));
  return sum8(vadd(low, high));
}

// mask_of is the mask of the first n values, n below 8.
INLINE __m256i mask_of(size_t n) {
  static const int32_t ones[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
  return _mm256_loadu_si256((const __m256i *)(ones + 8 - n));
}

INLINE vec vload_n(const float *p, size_t n) { return n >= 8 ? vload(p) : _mm256_maskload_ps(p, mask_of(n)); }

// vstore_n stores halves where it can: some CPUs take tens of cycles for a masked store.
INLINE void vstore_n(float *p, size_t n, vec v) {
  if (n >= 8) {
    vstore(p, v);
  } else if (n == 4) {
    _mm_storeu_ps(p, _mm256_castps256_ps128(v));
  } else {
    _mm256_maskstore_ps(p, mask_of(n), v);
  }
}

INLINE vec vfirst(vec v, size_t n) { return n >= 8 ? v : _mm256_and_ps(v, _mm256_castsi256_ps(mask_of(n))); }

INLINE vec vwiden(const char *p, int type, size_t n) {
  if (type == CG_F32) return vload_n((const float *)p, n);
  __m128i h = _mm_setzero_si128();
  if (n >= 8) {
    h = _mm_loadu_si128((const __m128i *)p);
  } else {
    memcpy(&h, p, 2 * n);
  }
  if (type == CG_F16) return _mm256_cvtph_ps(h);
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}

// transpose4 transposes blocks of 4 x 4, one in each half of the vectors.
INLINE void transpose4(vec r[4]) {
  vec a = _mm256_unpacklo_ps(r[0], r[1]), b = _mm256_unpackhi_ps(r[0], r[1]);
  vec c = _mm256_unpacklo_ps(r[2], r[3]), d = _mm256_unpackhi_ps(r[2], r[3]);
  r[0] = _mm256_shuffle_ps(a, c, 0x44);
  r[1] = _mm256_shuffle_ps(a, c, 0xee);
  r[2] = _mm256_shuffle_ps(b, d, 0x44);
  r[3] = _mm256_shuffle_ps(b, d, 0xee);
}

INLINE void transpose(vec r[8]) {
  transpose4(r);
  transpose4(r + 4);
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    vec a = r[i], b = r[i + 4];
    r[i] = _mm256_permute2f128_ps(a, b, 0x20);
    r[i + 4] = _mm256_permute2f128_ps(a, b, 0x31);
  }
}

// halves reads four values from p and four from q.
INLINE vec halves(const float *p, const float *q) { return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps(q), 1); }

INLINE void spread2(const float *p, vec x[4]) {
#pragma GCC unroll 2
  for (int i = 0; i < 2; i++) {
    vec a = halves(p + 2 * i, p + 2 * i + 8), b = halves(p + 2 * i + 4, p + 2 * i + 12);
    x[2 * i] = _mm256_shuffle_ps(a, b, 0x88);
    x[2 * i + 1] = _mm256_shuffle_ps(a, b, 0xdd);
  }
}

INLINE void spread4(const float *p, vec x[6]) {
  vec next[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    x[i] = halves(p + 4 * i, p + 4 * i + 16);
    next[i] = halves(p + 4 * i + 4, p + 4 * i + 20);
  }
  transpose4(x);
  vec a = _mm256_unpacklo_ps(next[0], next[1]), b = _mm256_unpacklo_ps(next[2], next[3]);
  x[4] = _mm256_shuffle_ps(a, b, 0x44);
  x[5] = _mm256_shuffle_ps(a, b, 0xee);
}

INLINE void gather2(const vec z[2], float *y) {
  vec a = _mm256_unpacklo_ps(z[0], z[1]), b = _mm256_unpackhi_ps(z[0], z[1]);
  vstore(y, _mm256_permute2f128_ps(a, b, 0x20));
  vstore(y + 8, _mm256_permute2f128_ps(a, b, 0x31));
}

INLINE void gather4(const vec z[4], float *y) {
  vec r[4] = {z[0], z[1], z[2], z[3]};
  transpose4(r);
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    _mm_storeu_ps(y + 4 * i, _mm256_castps256_ps128(r[i]));
    _mm_storeu_ps(y + 4 * i + 16, _mm256_extractf128_ps(r[i], 1));
  }
}

#endif
#endif
