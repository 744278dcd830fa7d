// Package ort runs graphs on ONNX Runtime. It is the only package that touches it.
//
// A Runtime is the loaded library, a Session one graph made ready on a device, a Binding a session with inputs that
// stay on the device between runs. The library is opened at run time (nothing is linked) through
// github.com/yalue/onnxruntime_go; a small C shim beside it covers what that module leaves out.
// The package knows bytes, shapes and element types. It must not know what a graph computes, who wrote it, or where
// weights come from.
//
// # How weights reach a session
//
// All that follows was tried with ONNX Runtime 1.31.1. An initializer of 1 KiB or more is written into the model as
// external data: data_location EXTERNAL and the entries location, offset and length, where location comes from
// Runtime.Location. Smaller ones go inline, because the optimizers read scalars and axes.
//
//   - On the CPU every Initializer needs Data, usually a part of a mapped file. The session uses these bytes where they
//     lie (OrtApi.AddInitializer): no copy, and sessions share pages. The file that location names must exist, but it is
//     not opened unless an optimizer asks for the values. So Location("") names an empty file, for data that is in
//     memory only; an optimizer that asks for such values fails the session with an error that names the initializer.
//   - On CUDA an Initializer with a File is read by ONNX Runtime itself at location and offset. One without is given by
//     OrtApi.AddExternalInitializers, which copies it.
//
// Optimizers ask for values when all inputs of a node are initializers (Transpose or Cast of a weight), when they fuse
// scalars, and when they reorder the weights of plain Conv nodes at OptAll. They do not for MatMul, Gemm, FusedMatMul,
// bias additions, normalizations and the nodes below.
//
// # Blocked convolutions
//
// The domain com.microsoft.nchwc (version 1) accepts nodes from a model at every optimization level: ReorderInput,
// ReorderOutput (attribute channels), Conv (inputs X, W, B, Sum; attribute activation) and Upsample (attribute scales).
// W reports the shape [O,I,kh,kw] and lies as [O/b][I/b][kh][kw][b of I][b of O], or [O/b][I][kh][kw][b of O] for I < b
// with X left unordered. b is Runtime.NchwcBlock. It is used as it lies: prepacking makes no copy of it, and W
// may be computed in the graph.
//
// # Operators of domain comfygo (version 1, CPU)
//
//   - Widen(W, After?) is float32 of a float16, bfloat16 or float32 W, same shape.
//
//   - WidenBlocked(W, After?) with attribute block is a convolution weight in the blocked order above as float32; the
//     first axis is filled up with zeros to whole blocks.
//
//   - Dequantize(Data, Blocks?, Scales?, After?) with attributes format, cols and first is the matrix of float32 that
//     the bytes Data encode (package engine/quant): Blocks are its block scales, Scales one float32 factor, or one for
//     each row; first is the row of Blocks and Scales at which Data begins.
//
//   - Linear(W, X, Bias?, Sum?) with attributes gated, remember and narrow is X·Wᵀ + Bias + Sum for a W [N,K] of float16, bfloat16 or
//     float32 and X [..,K]. With gated 1 it is the first half of its columns times the exact GELU of the others. With
//     remember 1 the session keeps the last X and result and copies the result while X stays the same; Session.Kept counts
//     the bytes, SessionSpec.MostKept bounds them. With narrow 1, 64 rows of X or more and a CPU for which HasInt8 returns true, rows of X and W
//     are rounded to multiples of a 127th of their largest magnitude (X of a 63rd where Int8Kernels is "AVX2"), 256 columns at a time, and multiplied as integers.
//     With narrow 2 and a CPU for which HasBfloat16 returns true both are rounded to bfloat16. On CPUs with AMX the products of float32 are sums of those of bfloat16 parts (tiles.h), with errors no
//     larger than those of float32 products; numbers below 1e-38 may count as zeros.
//
//   - Conv3x3(W, X, Bias?, Sum?) is the convolution of X [B,I,H,W] with W [O,I,3,3], stride one and a border of zeros, by
//     Winograd's algorithm: F(4x4,3x3), or F(2x2,3x3) for small images. With attribute narrow 2 or 3 and AMX it is the plain sum over operands that are rounded to bfloat16.
//     With AVX512-BF16 numbers are rounded after the transforms, where that is faster: with narrow 2 those of F(2x2,3x3), with 3 those of F(4x4,3x3) too, whose errors are three times as large.
//
//   - GroupNorm(X, Weight, Bias, Shift?) normalises X [B,C,..] plus Shift [B,C] in groups of channels; SiLU follows when silu is set.
//
// Linear, Conv3x3 and GroupNorm need AVX-512, or AVX2 with FMA and F16C: see Kernels. Their results are the same to the bit with either; with AMX those of Linear differ in the last places. After is ignored: it only makes the
// conversion wait until that value is there, so that the wide copy of a weight lives no longer than its use. With it the stored weights stay mapped from the user's file.
package ort
