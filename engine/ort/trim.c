#include "trim.h"

#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

// Without these bounds glibc raises them itself, up to 32 and 64 MiB, after large blocks were freed, and each thread's heap keeps as much.
enum { cg_large = 1 << 20 };

void cg_bound_memory(void) {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, cg_large);
  mallopt(M_TRIM_THRESHOLD, cg_large);
#endif
}

void cg_trim_memory(void) {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}
