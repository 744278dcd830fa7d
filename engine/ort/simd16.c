// The kernels for CPUs with AVX-512.
#include "simd.h"

#if defined(__x86_64__)
#define CG_LANES 16
#include "gemm_kernels.h"
#include "norm_kernels.h"
#include "winograd_kernels.h"

const cg_simd cg_simd16 = {
    .lanes = CG_LANES,
    .gemm = {pack_strip, pack_panel, tile, finish, finish_gated},
    .winograd = {weights, input, output, add3},
    .norm = {sum, squares, affine},
};
#endif
