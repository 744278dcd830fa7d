#include "widen.h"

#include <string.h>

int cg_level = 0;

static size_t size_of(int type) { return type == CG_F32 ? 4 : 2; }

// Half to single: exact for all values; signalling NaNs become quiet ones, as the hardware makes them.
static float from_half(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = (h >> 10) & 31, man = h & 0x3ff, bits;
  if (exp == 31) {
    bits = 0x7f800000 | man << 13 | (man ? 0x400000 : 0);
  } else if (exp) {
    bits = (exp + 112) << 23 | man << 13;
  } else {
    float f = (float)man * 5.9604644775390625e-8f;  // subnormal: man * 2^-24
    memcpy(&bits, &f, 4);
  }
  bits |= sign;
  float out;
  memcpy(&out, &bits, 4);
  return out;
}

static float from_brain(uint16_t h) {
  uint32_t bits = (uint32_t)h << 16;
  float out;
  memcpy(&out, &bits, 4);
  return out;
}

// element reads one value; the source may lie at any address.
static float element(const void *src, int type, size_t i) {
  uint16_t h;
  float f;
  if (type == CG_F32) {
    memcpy(&f, (const char *)src + 4 * i, 4);
    return f;
  }
  memcpy(&h, (const char *)src + 2 * i, 2);
  return type == CG_F16 ? from_half(h) : from_brain(h);
}

static void widen_portable(const void *src, int type, float *dst, size_t n) {
  for (size_t i = 0; i < n; i++) dst[i] = element(src, type, i);
}

static void block_portable(const cg_conv *w, size_t n) {
  size_t inner = w->i < w->b ? 1 : w->b;  // how many input channels stand together
  float *dst = w->dst + n * w->b * w->i * w->k;
  for (size_t i = 0; i < w->i; i += inner)
    for (size_t k = 0; k < w->k; k++)
      for (size_t bi = 0; bi < inner; bi++)
        for (size_t bo = 0; bo < w->b; bo++) {
          size_t o = n * w->b + bo;
          *dst++ = o < w->o ? element(w->src, w->type, (o * w->i + i + bi) * w->k + k) : 0;
        }
}

static void transpose_portable(const char *src, int type, float *dst, size_t n, size_t k, size_t rows, size_t cols) {
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < cols; c++) dst[c * n + r] = element(src, type, r * k + c);
}

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx2,f16c"))) static inline __m256 load8(const char *p, int type) {
  if (type == CG_F32) return _mm256_loadu_ps((const float *)p);
  __m128i h = _mm_loadu_si128((const __m128i *)p);
  if (type == CG_F16) return _mm256_cvtph_ps(h);
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}

__attribute__((target("avx2,f16c"))) static void widen_avx2(const void *src, int type, float *dst, size_t n) {
  const char *p = src;
  size_t step = 8 * size_of(type), i = 0;
  for (; i + 8 <= n; i += 8, p += step) _mm256_storeu_ps(dst + i, load8(p, type));
  widen_portable(p, type, dst + i, n - i);
}

__attribute__((target("avx512f"))) static void widen_avx512(const void *src, int type, float *dst, size_t n) {
  const char *p = src;
  size_t i = 0;
  if (type == CG_F16) {
    for (; i + 16 <= n; i += 16, p += 32)
      _mm512_storeu_ps(dst + i, _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)));
  } else {
    for (; i + 16 <= n; i += 16, p += 32) {
      __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
      _mm512_storeu_si512(dst + i, _mm512_slli_epi32(wide, 16));
    }
  }
  widen_portable(p, type, dst + i, n - i);
}

__attribute__((target("avx2,f16c"))) static inline void transpose8(__m256 r[8]) {
  __m256 a[8], b[8];
  for (int i = 0; i < 4; i++) {
    a[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
    a[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
  }
  for (int i = 0; i < 2; i++) {
    b[4 * i] = _mm256_shuffle_ps(a[4 * i], a[4 * i + 2], 0x44);
    b[4 * i + 1] = _mm256_shuffle_ps(a[4 * i], a[4 * i + 2], 0xee);
    b[4 * i + 2] = _mm256_shuffle_ps(a[4 * i + 1], a[4 * i + 3], 0x44);
    b[4 * i + 3] = _mm256_shuffle_ps(a[4 * i + 1], a[4 * i + 3], 0xee);
  }
  for (int i = 0; i < 4; i++) {
    r[i] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x20);
    r[i + 4] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x31);
  }
}

// A tile of b x b channels is a b-row matrix of b*k columns, transposed 8 by 8 on the way.
__attribute__((target("avx2,f16c"))) static void block_avx2(const cg_conv *w, size_t n) {
  size_t size = size_of(w->type), b = w->b, row = w->i * w->k * size;
  const char *src = (const char *)w->src + n * b * row;
  float *dst = w->dst + n * b * w->i * w->k;
  for (size_t i = 0; i < w->i; i += b, src += b * w->k * size, dst += b * b * w->k) {
    size_t bi = 0, k = 0;
    for (size_t j = 0; j < b * w->k; j += 8) {
      size_t bi_next = bi, k_next = k;
      for (size_t half = 0; half < b; half += 8) {
        __m256 r[8];
        for (int o = 0; o < 8; o++) r[o] = load8(src + (half + o) * row + j * size, w->type);
        transpose8(r);
        bi_next = bi;
        k_next = k;
        for (int c = 0; c < 8; c++) {
          _mm256_storeu_ps(dst + (k_next * b + bi_next) * b + half, r[c]);
          if (++k_next == w->k) {
            k_next = 0;
            bi_next++;
          }
        }
      }
      bi = bi_next;
      k = k_next;
    }
  }
}

__attribute__((target("avx2,f16c"))) static void transpose_avx2(const char *src, int type, float *dst, size_t n, size_t k, size_t rows) {
  size_t size = size_of(type), c = 0, r = 0;
  for (; c + 8 <= k; c += 8) {
    for (r = 0; r + 8 <= rows; r += 8) {
      __m256 t[8];
      for (int i = 0; i < 8; i++) t[i] = load8(src + ((r + i) * k + c) * size, type);
      transpose8(t);
      for (int i = 0; i < 8; i++) _mm256_storeu_ps(dst + (c + i) * n + r, t[i]);
    }
    transpose_portable(src + (r * k + c) * size, type, dst + c * n + r, n, k, rows - r, 8);
  }
  transpose_portable(src + c * size, type, dst + c * n, n, k, rows, k - c);
}

static int level(void) {
  static int best = 0;
  if (best == 0) {
    __builtin_cpu_init();
    best = 1;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c")) best = 2;
    if (best == 2 && __builtin_cpu_supports("avx512f")) best = 3;
  }
  return cg_level && cg_level < best ? cg_level : best;
}

void cg_widen(const void *src, int type, float *dst, size_t n) {
  int l = level();
  if (type == CG_F32) {
    memcpy(dst, src, 4 * n);
  } else if (l == 3) {
    widen_avx512(src, type, dst, n);
  } else if (l == 2) {
    widen_avx2(src, type, dst, n);
  } else {
    widen_portable(src, type, dst, n);
  }
}

void cg_block(const cg_conv *w, size_t n) {
  if (level() >= 2 && w->b % 8 == 0 && w->i % w->b == 0 && (n + 1) * w->b <= w->o) {
    block_avx2(w, n);
  } else {
    block_portable(w, n);
  }
}

void cg_transpose(const void *src, int type, float *dst, size_t n, size_t k, size_t from, size_t rows) {
  const char *p = (const char *)src + from * k * size_of(type);
  if (level() >= 2) {
    transpose_avx2(p, type, dst + from, n, k, rows);
  } else {
    transpose_portable(p, type, dst + from, n, k, rows, k);
  }
}

#else

// Compilers turn the portable loops into the vector code of other processors well enough.
void cg_widen(const void *src, int type, float *dst, size_t n) {
  if (type == CG_F32) {
    memcpy(dst, src, 4 * n);
  } else {
    widen_portable(src, type, dst, n);
  }
}

void cg_block(const cg_conv *w, size_t n) { block_portable(w, n); }

void cg_transpose(const void *src, int type, float *dst, size_t n, size_t k, size_t from, size_t rows) {
  transpose_portable((const char *)src + from * k * size_of(type), type, dst + from, n, k, rows, k);
}

#endif
