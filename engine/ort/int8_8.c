// The 8-bit kernels for CPUs with AVX2, and for those that have AVX-VNNI too.
#include "int8.h"

#if defined(__x86_64__)
#define CG_LANES 8
#include "int8_kernels.h"

INLINE void add_vnni256(words *c, words a, words b) { __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(*c) : "x"(a), "x"(b)); }

KERNELS(vnni256, "AVX-VNNI", 128, 6)

// add_avx2 adds up two products in 16 bits first, which hold them because the numbers of strips have 7 bits: 2 * 127 * 127.
INLINE void add_avx2(words *c, words a, words b) {
  words sums;
  __asm__("vpmaddubsw %3, %2, %1\n\tvpmaddwd %4, %1, %1\n\tvpaddd %1, %0, %0"
          : "+x"(*c), "=&x"(sums)
          : "x"(a), "x"(b), "x"(_mm256_set1_epi16(1)));
}

KERNELS(avx2, "AVX2", 64, 4)
#endif
