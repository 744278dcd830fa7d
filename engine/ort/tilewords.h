// Words of two numbers of bfloat16 (tiles.h), for the kernels of CPUs with AVX512-BF16.
#ifndef COMFYGO_ORT_TILEWORDS_H
#define COMFYGO_ORT_TILEWORDS_H

#include "tiles.h"

#define CG_LANES 16
#include "vector.h"

#define BF16 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))
#define BF16_INLINE BF16 static inline __attribute__((always_inline))

// upper makes words of the upper halves of low and high.
BF16_INLINE __m512i upper(__m512 low, __m512 high) {
  const __m512i mask = _mm512_set1_epi32((int)0xffff0000);
  return _mm512_ternarylogic_epi32(_mm512_castps_si512(high), mask, _mm512_srli_epi32(_mm512_castps_si512(low), 16), 0xea);
}

// rest is what the upper half of x leaves.
BF16_INLINE __m512 rest(__m512 x) {
  const __m512i mask = _mm512_set1_epi32((int)0xffff0000);
  return _mm512_sub_ps(x, _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(x), mask)));
}

// words makes the words of 16 numbers and 16 others, a vector for each part.
BF16_INLINE void words(__m512 low, __m512 high, const int parts, __m512i *dst) {
  if (parts == 1) {
    __m512i a = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(low)), b = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(high));
    dst[0] = _mm512_or_si512(a, _mm512_slli_epi32(b, 16));
    return;
  }
#pragma GCC unroll 3
  for (int p = 0; p < parts; p++) {
    dst[p] = upper(low, high);
    low = rest(low);
    high = rest(high);
  }
}

#endif
