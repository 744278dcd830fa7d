// The kernels for CPUs with AVX2, FMA and F16C.
#include "simd.h"

#if defined(__x86_64__)
#define CG_LANES 8
#include "gemm_kernels.h"
#include "norm_kernels.h"
#include "winograd_kernels.h"

const cg_simd cg_simd8 = {
    .lanes = CG_LANES,
    .gemm = {pack_strip, pack_panel, tile, finish, finish_gated},
    .winograd = {weights, input, output, add3},
    .norm = {sum, squares, affine},
};
#endif
