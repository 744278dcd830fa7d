// Decoding of quantized matrices to float32. No ONNX Runtime in here.
#ifndef COMFYGO_ORT_DEQUANT_H
#define COMFYGO_ORT_DEQUANT_H

#include <stddef.h>
#include <stdint.h>

// Formats below 100 are block types of GGUF, by ggml's numbers; the others are those of safetensors files. The package
// engine/quant has the same list.
enum {
  CG_Q4_0 = 2, CG_Q4_1 = 3, CG_Q5_0 = 6, CG_Q5_1 = 7, CG_Q8_0 = 8,
  CG_Q2_K = 10, CG_Q3_K = 11, CG_Q4_K = 12, CG_Q5_K = 13, CG_Q6_K = 14,
  CG_IQ2_XXS = 16, CG_IQ2_XS = 17, CG_IQ3_XXS = 18, CG_IQ1_S = 19, CG_IQ4_NL = 20, CG_IQ3_S = 21, CG_IQ2_S = 22,
  CG_IQ4_XS = 23, CG_IQ1_M = 29, CG_TQ1_0 = 34, CG_TQ2_0 = 35, CG_MXFP4 = 39, CG_NVFP4 = 40,
  CG_E4M3 = 100,  // one byte an element
  CG_E5M2 = 101,
  CG_INT8 = 102,
  CG_MX8 = 103,   // E4M3 with a power of two (E8M0) for 32 elements
  CG_NV4 = 104,   // E2M1, two a byte, with an E4M3 for 16 elements
  CG_INT4 = 105,  // signed, two a byte, the first in the lower half
  // One byte an element that is stored in the one 8-bit float and rounded to the other.
  CG_E5M2_AS_E4M3 = 106, CG_E4M3_AS_E5M2 = 107,
  // Four bits an element, which choose one of 16 levels, with an E4M3 (rows x groups) for each group of 4, 8, … 128
  // elements; the product is rounded to ±127.
  CG_GROUPED = 110, CG_GROUPED_LAST = 115
};

// A matrix of rows x cols elements in row-major order.
typedef struct {
  const uint8_t *data;
  // scales are the block scales of MX8 and NV4 in tiles of 128 rows and 4 blocks (the order of cuBLAS), those of the
  // whole matrix; row0 is the row of it at which data begins.
  const uint8_t *scales;
  const float *row_scales;  // a factor for each row from row0 on, or NULL
  const float *levels;      // the 16 values of a grouped format
  float scale;              // a factor for all
  int format;
  size_t row0, rows, cols;
} cg_matrix;

// cg_block_size tells how many elements and bytes a block of a format has; 0 when the format is not known.
int cg_block_size(int format, size_t *elements, size_t *bytes);

// cg_dequantize writes rows from to from+n-1 to dst.
void cg_dequantize(const cg_matrix *m, size_t from, size_t n, float *dst);

#endif
