#include "int8.h"

#include "simd.h"
#include "widen.h"

#if defined(__x86_64__)
#include <cpuid.h>

// has_avx_vnni asks the CPU itself: older compilers do not know the name.
static int has_avx_vnni(void) {
  unsigned a, b, c, d;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 4);
}

const cg_int8 *cg_int8_of_cpu(void) {
  const cg_simd *s = cg_simd_of_cpu();
  if (s == NULL) return NULL;
  if (s == &cg_simd16 && __builtin_cpu_supports("avx512vnni")) return &cg_int8_vnni512;
  return cg_level == 0 && has_avx_vnni() ? &cg_int8_vnni256 : &cg_int8_avx2;
}

#else

const cg_int8 *cg_int8_of_cpu(void) { return NULL; }

#endif
