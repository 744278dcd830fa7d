// The kernels of tiles.h for CPUs with AMX.
#include "tiles.h"

#include "gemm.h"
#include "widen.h"

#include <stdatomic.h>

static atomic_int disabled;

void cg_disable_tiles(void) { atomic_store(&disabled, 1); }

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tilewords.h"

#define AMX __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-bf16")))
#define AMX_INLINE AMX static inline __attribute__((always_inline))

// Eight tiles of 16 rows of 64 bytes. It is data of the program because GCC 12 does not see that the instruction reads it, and would not write it.
static const struct __attribute__((packed)) {
  uint8_t palette, start, reserved[14];
  uint16_t bytes[16];
  uint8_t rows[16];
} config = {.palette = 1, .bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {CG_TILE, CG_TILE, CG_TILE, CG_TILE, CG_TILE, CG_TILE, CG_TILE, CG_TILE}};

AMX static void begin(void) { _tile_loadconfig(&config); }

AMX static void end(void) { _tile_release(); }

// Tile registers: 0 to 3 hold the sums of a tile's quarters, 4 and 5 rows of the strip, 6 and 7 columns of the panel.
#define LEFT(PART)                                            \
  _tile_loadd(4, strip + (PART) * 2 * CG_TILE_BYTES, 64);     \
  if (high) _tile_loadd(5, strip + ((PART) * 2 + 1) * CG_TILE_BYTES, 64)
#define RIGHT(PART)                                           \
  _tile_loadd(6, panel + (PART) * 2 * CG_TILE_BYTES, 64);     \
  _tile_loadd(7, panel + ((PART) * 2 + 1) * CG_TILE_BYTES, 64)
#define MULTIPLY              \
  _tile_dpbf16ps(0, 4, 6);    \
  _tile_dpbf16ps(1, 4, 7);    \
  if (high) {                 \
    _tile_dpbf16ps(2, 5, 6);  \
    _tile_dpbf16ps(3, 5, 7);  \
  }

// tile_of multiplies the parts of a strip and a panel whose sum is not too small for float32, small ones first. One of both
// factors stays in its registers from one product to the next.
AMX_INLINE void tile_of(const char *strip, const int strip_parts, const char *panel, const int panel_parts, size_t steps, const int high,
                        float *tile) {
  enum { STEP = CG_NR * sizeof(float), LOWER = CG_TILE * CG_NR };
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (size_t s = 0; s < steps; s++, strip += cg_step_bytes(strip_parts), panel += cg_step_bytes(panel_parts)) {
    RIGHT(0);
    if (strip_parts == CG_PARTS) {
      LEFT(2);
      MULTIPLY
      LEFT(1);
      MULTIPLY
    }
    if (panel_parts == CG_PARTS) {
      RIGHT(1);
      MULTIPLY
      LEFT(0);
      MULTIPLY
      RIGHT(0);
      MULTIPLY
      RIGHT(2);
      MULTIPLY
      continue;
    }
    LEFT(0);
    MULTIPLY
    if (panel_parts == 2) {
      RIGHT(1);
      MULTIPLY
      LEFT(1);
      MULTIPLY
    }
  }
  _tile_stored(0, tile, STEP);
  _tile_stored(1, tile + CG_TILE, STEP);
  if (high) {
    _tile_stored(2, tile + LOWER, STEP);
    _tile_stored(3, tile + LOWER + CG_TILE, STEP);
  }
}

#define TILE(NAME, STRIP, PANEL)                                                                    \
  AMX static void NAME(const char *strip, const char *panel, size_t steps, size_t rows, float *tile) { \
    if (rows > CG_TILE) {                                                                            \
      tile_of(strip, STRIP, panel, PANEL, steps, 1, tile);                                           \
    } else {                                                                                         \
      tile_of(strip, STRIP, panel, PANEL, steps, 0, tile);                                           \
    }                                                                                                \
  }

TILE(tile11, 1, 1)
TILE(tile31, 3, 1)
TILE(tile32, 3, 2)
TILE(tile33, 3, 3)

AMX static void tile(const char *strip, int strip_parts, const char *panel, int panel_parts, size_t steps, size_t rows, float *tile, int add) {
  void (*chain)(const char *, const char *, size_t, size_t, float *) =
      strip_parts == 1 ? tile11 : panel_parts == 1 ? tile31 : panel_parts == 2 ? tile32 : tile33;
  size_t values = rows > CG_TILE ? CG_TR * CG_NR : CG_TILE * CG_NR;
  for (size_t s = 0; s < steps; s += CG_CHAIN, add = 1) {
    float sums[CG_TR * CG_NR];
    chain(strip + s * cg_step_bytes(strip_parts), panel + s * cg_step_bytes(panel_parts), steps - s < CG_CHAIN ? steps - s : CG_CHAIN, rows,
          add ? sums : tile);
    for (size_t i = 0; add && i < values; i += CG_LANES) vstore(tile + i, vadd(vload(tile + i), vload(sums + i)));
  }
}

// store_turned stores the columns of a block of 16 x 16 as rows of 64 bytes, the first n.
AMX_INLINE void store_turned(const __m512i block[CG_TILE], size_t n, char *dst) {
  __m512 t[CG_TILE];
#pragma GCC unroll 16
  for (int i = 0; i < CG_TILE; i++) t[i] = _mm512_castsi512_ps(block[i]);
  transpose(t);
#pragma GCC unroll 16
  for (size_t i = 0; i < CG_TILE; i++) {
    if (i < n) vstore((float *)(dst + i * 4 * CG_TILE), t[i]);
  }
}

AMX static void pixels(const float *x, size_t plane, size_t channels, size_t n, char *dst) {
  __m512i block[CG_TILE];
  for (size_t t = 0; t < CG_TILE; t++) {
    words(t < channels ? vload_n(x + t * plane, n) : vzero(), t + CG_TILE < channels ? vload_n(x + (t + CG_TILE) * plane, n) : vzero(), 1, block + t);
  }
  store_turned(block, n, dst);
}

// taps_of turns 16 numbers and those 16 channels further of 16 output channels at a time, which are words of neighbouring taps.
AMX_INLINE void taps_of(const char *w, const int type, size_t ld, size_t rows, size_t channels, char *dst) {
  enum { HALF = CG_TILE * CG_TAPS };
  const size_t size = type == CG_F32 ? 4 : 2, all = channels * CG_TAPS;
  for (size_t half = 0; half < 2; half++) {
    for (size_t at = 0; at < HALF; at += CG_TILE) {
      size_t n = at < all ? all - at : 0, m = at + HALF < all ? all - at - HALF : 0;
      __m512 t[CG_TILE];
      for (size_t i = 0; i < CG_TILE; i++) {
        const char *p = w + ((half * CG_TILE + i) * ld + at) * size;
        __m512i word = _mm512_setzero_si512();
        if (half * CG_TILE + i < rows) words(vwiden(p, type, n), m ? vwiden(p + HALF * size, type, m) : vzero(), 1, &word);
        t[i] = _mm512_castsi512_ps(word);
      }
      transpose(t);
      for (size_t i = 0; i < CG_TILE; i++) {
        size_t number = at + i;
        vstore((float *)(dst + number % CG_TAPS * CG_TAP_BYTES + half * CG_TILE_BYTES) + number / CG_TAPS * CG_TILE, t[i]);
      }
    }
  }
}

AMX static void taps(const void *w, int type, size_t ld, size_t rows, size_t channels, char *dst) {
  switch (type) {
    case CG_F32:
      taps_of(w, CG_F32, ld, rows, channels, dst);
      break;
    case CG_F16:
      taps_of(w, CG_F16, ld, rows, channels, dst);
      break;
    default:
      taps_of(w, CG_BF16, ld, rows, channels, dst);
  }
}

AMX static void convolve(const char *x, size_t row, size_t step, const char *taps, size_t steps, float *tile) {
  enum { STEP = CG_NR * sizeof(float), LOWER = CG_TILE * CG_NR };
  float sums[CG_TR * CG_NR];
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (size_t s = 0; s < steps; s++, x += step) {
    for (size_t tap = 0; tap < CG_TAPS; tap++, taps += CG_TAP_BYTES) {
      const char *from = x + tap / 3 * row + tap % 3 * CG_PIXEL_BYTES;
      _tile_loadd(4, from, CG_PIXEL_BYTES);
      _tile_loadd(6, taps, 64);
      _tile_dpbf16ps(0, 4, 6);
      _tile_loadd(7, taps + CG_TILE_BYTES, 64);
      _tile_dpbf16ps(1, 4, 7);
      _tile_loadd(5, from + CG_TILE * CG_PIXEL_BYTES, CG_PIXEL_BYTES);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, sums, STEP);
  _tile_stored(1, sums + CG_TILE, STEP);
  _tile_stored(2, sums + LOWER, STEP);
  _tile_stored(3, sums + LOWER + CG_TILE, STEP);
  for (size_t i = 0; i < 4; i++) {
    __m512 t[CG_TILE];
#pragma GCC unroll 16
    for (int k = 0; k < CG_TILE; k++) t[k] = vload(sums + i / 2 * LOWER + i % 2 * CG_TILE + k * CG_NR);
    transpose(t);
#pragma GCC unroll 16
    for (int k = 0; k < CG_TILE; k++) vstore(tile + (i % 2 * CG_TILE + (size_t)k) * CG_TR + i / 2 * CG_TILE, t[k]);
  }
}

static const cg_tiles amx = {"AMX", CG_PARTS, begin, end, cg_strip, cg_panel, tile, pixels, taps, convolve, NULL, NULL};

static int may_use_amx;

static void ask(void) {
  enum { REQUEST = 0x1023, TILE_DATA = 18 };  // arch_prctl's ARCH_REQ_XCOMP_PERM and XFEATURE_XTILE_DATA
  unsigned a, b, c, d;
  if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !(a & 1u << 5)) return;             // AVX512-BF16
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & 1u << 22) || !(d & 1u << 24)) return;  // AMX-BF16 and AMX-TILE
  may_use_amx = syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
}

const cg_tiles *cg_tiles_amx(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  if (atomic_load(&disabled)) return NULL;
  pthread_once(&once, ask);
  return may_use_amx ? &amx : NULL;
}

#else

const cg_tiles *cg_tiles_amx(void) { return NULL; }

#endif
