// The 8-bit kernels for CPUs with AVX-512 VNNI.
#include "int8.h"

#if defined(__x86_64__)
#define CG_LANES 16
#include "int8_kernels.h"

// The instruction is written out, here and in int8_8.c: its intrinsic makes GCC 12 copy the sums, which then do not fit the registers.
INLINE void add_vnni512(words *c, words a, words b) { __asm__("vpdpbusd %2, %1, %0" : "+v"(*c) : "v"(a), "v"(b)); }

KERNELS(vnni512, "AVX-512 VNNI", 128, 12)
#endif
