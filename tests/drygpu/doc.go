// Package drygpu runs the engine's CUDA sessions without a GPU: the pinned CUDA build of ONNX Runtime over stub/stub.cpp, a
// library with the functions of NVIDIA's libraries, which records the calls and computes nothing. The placement of
// operators, kernel launches, copies, allocations and errors are ONNX Runtime's own; times and numbers are not. `make
// cuda-dry` runs the tests; they have the build tag drygpu, since they need a C++ compiler and the CUDA build of ONNX
// Runtime (make cuda). No real GPU has run any of this.
package drygpu
