// Products of matrices in tiles of bfloat16, which CPUs with AMX or AVX512-BF16 multiply. A number of float32 is the sum of three numbers of
// bfloat16, each with eight more of its bits, a float16 that of two; products of float32 are sums of the products of such parts,
// without those that float32 would round away. Sums are in float32.
//
// The left matrix is packed into strips of CG_TR rows, the right one into panels of CG_NR columns (gemm.h), both in steps of
// CG_TD products, [step][part][2][CG_TILE][CG_TILE] words of two numbers: word t of a row of a strip, and row t of a panel, hold
// numbers t and t+16 of the step. What is missing is zeros. A tile of the result is [CG_TR][CG_NR]. No ONNX Runtime in here.
#ifndef COMFYGO_ORT_TILES_H
#define COMFYGO_ORT_TILES_H

#include <stddef.h>
#include <stdint.h>

enum { CG_TILE = 16, CG_TR = 2 * CG_TILE, CG_TD = 32, CG_TILE_BYTES = 4 * CG_TILE * CG_TILE };

// CG_PARTS are the parts of a number of float32. With one part alone numbers are rounded to the nearest bfloat16.
enum { CG_PARTS = 3 };

// CG_CHAIN is how many steps are summed from zero before their sum is added to a tile: longer chains of additions lose accuracy.
enum { CG_CHAIN = 8, CG_WORDS = CG_CHAIN * CG_TD / 2 };

// cg_parts is the number of parts that hold numbers of an element type of widen.h.
int cg_parts(int type);

static inline size_t cg_steps(size_t k) { return (k + CG_TD - 1) / CG_TD; }

// cg_step_bytes is the size of a step of a strip or panel.
static inline size_t cg_step_bytes(int parts) { return (size_t)parts * 2 * CG_TILE_BYTES; }

// cg_tiles are the kernels of products in tiles. Those of a CPU and their emulation give the same bits.
typedef struct {
  const char *name;
  int parts;  // the most parts of a number: CG_PARTS, or 1 where products of float32 are no slower than sums of those of parts

  // begin prepares a thread for tile, end ends that.
  void (*begin)(void);
  void (*end)(void);

  // strip packs rows (at most CG_TR) of a float32 matrix, and reports that all numbers are finite: an infinity becomes NaN where
  // it has several parts.
  int (*strip)(const float *a, size_t ld, size_t rows, size_t k, int parts, char *dst);

  // panel packs rows (at most CG_NR) of a weight [N,K] of an element type as columns of a panel.
  void (*panel)(const void *w, int type, size_t ld, size_t rows, size_t k, int parts, char *dst);

  // tile computes rows (rounded up to CG_TILE) of a tile; add adds to what it holds. A panel has no more parts than a strip, of which a
  // strip has one or CG_PARTS.
  void (*tile)(const char *strip, int strip_parts, const char *panel, int panel_parts, size_t steps, size_t rows, float *tile, int add);

  // Convolutions are plain sums by pixels, taps and convolve with AMX, and products of Winograd's algorithm by words and block with
  // AVX512-BF16; the others are NULL.

  // pixels packs n (at most CG_TILE) pixels of channels (at most CG_TD) channels, plane numbers apart, as rows of a strip of one part,
  // 64 bytes each.
  void (*pixels)(const float *x, size_t plane, size_t channels, size_t n, char *dst);

  // taps packs rows (at most CG_NR) output channels and channels (at most CG_TD) input channels of a weight [O][I][3][3], whose rows
  // are ld numbers apart, as a step of a panel of one part for each of the nine taps.
  void (*taps)(const void *w, int type, size_t ld, size_t rows, size_t channels, char *dst);

  // convolve computes a tile of CG_TR pixels and CG_NR output channels and turns it over, [CG_NR][CG_TR]. x is the pixel at
  // the upper left of the first one, row the bytes to the pixel below, step those to the next input channels; taps are as packed.
  void (*convolve)(const char *x, size_t row, size_t step, const char *taps, size_t steps, float *tile);

  // words makes rows of n words, to_step apart, of rows of n numbers that go into their lower halves and others into the upper ones, step
  // apart.
  void (*words)(const float *low, const float *high, size_t rows, size_t n, size_t step, uint32_t *dst, size_t to_step);

  // block computes a tile of gemm.h from a strip [depth][CG_MR] and a panel [depth][CG_NR] of words; add adds to what it holds.
  void (*block)(const uint32_t *strip, const uint32_t *panel, size_t depth, float *tile, int add);
} cg_tiles;

enum { CG_TAPS = 9, CG_PIXEL_BYTES = 2 * CG_TD, CG_TAP_BYTES = 2 * CG_TILE_BYTES };

// cg_tiles_emulated and cg_tiles_emulated_vectors compute what AMX and AVX512-BF16 are documented to do.
extern const cg_tiles cg_tiles_emulated, cg_tiles_emulated_vectors;

// cg_tiles_of_cpu returns the kernels of this CPU that cg_level (widen.h) allows, NULL if it runs none: AMX, or AVX512-BF16 on
// CPUs of AMD, which multiply twice as many numbers of bfloat16 as of float32. On those of Intel they are half as many.
const cg_tiles *cg_tiles_of_cpu(void);

// cg_tiles_amx returns the kernels for AMX, NULL if the CPU has none or cg_disable_tiles was called. The operating system is asked
// once whether the process may use them.
const cg_tiles *cg_tiles_amx(void);

// cg_tiles_vectors are the kernels for AVX512-BF16.
extern const cg_tiles cg_tiles_vectors;

// cg_disable_tiles has cg_tiles_amx return no kernels from now on.
void cg_disable_tiles(void);

// How CPUs with AVX512-BF16 pack numbers: see cg_tiles.
int cg_strip(const float *a, size_t ld, size_t rows, size_t k, int parts, char *dst);
void cg_panel(const void *w, int type, size_t ld, size_t rows, size_t k, int parts, char *dst);

#endif
