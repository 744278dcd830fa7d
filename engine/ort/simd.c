#include "simd.h"

#include "widen.h"

#if defined(__x86_64__)

static int has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"); }

static int has_avx512(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}

// widest is the level of widen.h that this CPU reaches.
static int widest(void) {
  static int known = 0;
  if (known == 0) {
    __builtin_cpu_init();
    known = has_avx512() ? 3 : has_avx2() ? 2 : 1;
  }
  return known;
}

const cg_simd *cg_simd_of_cpu(void) {
  int level = widest();
  if (cg_level && cg_level < level) level = cg_level;
  return level >= 3 ? &cg_simd16 : level == 2 ? &cg_simd8 : NULL;
}

#else

const cg_simd *cg_simd_of_cpu(void) { return NULL; }

#endif
