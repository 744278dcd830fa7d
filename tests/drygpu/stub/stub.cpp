// A GPU that is not there: the functions of NVIDIA's libraries that ONNX Runtime's CUDA provider calls. They succeed, keep
// accounts and compute nothing. The library is loaded under the names of all of NVIDIA's libraries; see doc.go.
//
// DRYGPU_LOG names the file to which each call is written as a line; DRYGPU_SM is the compute capability (90), DRYGPU_MB the
// memory of a GPU in MiB (142336), DRYGPU_COUNT the number of GPUs (1). Host copies above 64 KiB are counted and not made.
// Layouts of structures and numbers of attributes are those of CUDA 13 and cuDNN 9.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#define API extern "C" __attribute__((visibility("default")))
#define QUIET(name) API int name() { return 0; }
#define COUNTED(name) API int name() { note("call " #name); return 0; }
#define CREATES(name) API int name(void **h) { return handle(h); }

namespace {

enum { ok = 0, invalid = 1, outOfMemory = 2 };
constexpr int mostGPUs = 16;

std::recursive_mutex lock;
using Locked = std::lock_guard<std::recursive_mutex>;

long number(const char *name, long otherwise) {
  const char *e = getenv(name);
  return e ? atol(e) : otherwise;
}
int capability() { return (int)number("DRYGPU_SM", 90); }
int gpus() { return (int)number("DRYGPU_COUNT", 1); }
size_t memory() { return (size_t)number("DRYGPU_MB", 142336) << 20; }

thread_local int current;
thread_local bool capturing;

// note writes a line. What is captured into a graph is marked: it is not launched.
void note(const char *format, ...) {
  static int file = getenv("DRYGPU_LOG") ? open(getenv("DRYGPU_LOG"), O_WRONLY | O_APPEND | O_CREAT, 0644) : -1;
  if (file < 0) return;
  char line[4096];
  int n = snprintf(line, sizeof line, "%d %s", current, capturing ? "captured " : "");
  va_list args;
  va_start(args, format);
  n += vsnprintf(line + n, sizeof line - n - 1, format, args);
  va_end(args);
  if (n > (int)sizeof line - 2) n = sizeof line - 2;
  line[n++] = '\n';
  if (write(file, line, n) != n) abort();
}

struct Block { size_t bytes; int gpu; };
std::map<uintptr_t, Block> &blocks() { static auto *m = new std::map<uintptr_t, Block>; return *m; }
std::map<uintptr_t, Block> &pinned() { static auto *m = new std::map<uintptr_t, Block>; return *m; }
size_t used[mostGPUs];

const Block *within(std::map<uintptr_t, Block> &m, const void *p) {
  auto it = m.upper_bound((uintptr_t)p);
  if (it == m.begin()) return nullptr;
  --it;
  return (uintptr_t)p < it->first + it->second.bytes ? &it->second : nullptr;
}

int take(void **p, size_t n) {
  Locked l(lock);
  size_t bytes = (n + 4095) / 4096 * 4096;
  if (!bytes) bytes = 4096;
  *p = nullptr;
  if (used[current] + bytes > memory()) {
    note("oom %zu", n);
    return outOfMemory;
  }
  void *q = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (q == MAP_FAILED) return outOfMemory;
  blocks()[(uintptr_t)q] = {bytes, current};
  used[current] += bytes;
  note("malloc %zu %zu", n, used[current]);
  *p = q;
  return ok;
}

int give(void *p) {
  Locked l(lock);
  if (!p) return ok;
  auto it = blocks().find((uintptr_t)p);
  if (it == blocks().end()) return invalid;
  munmap(p, it->second.bytes);
  used[it->second.gpu] -= it->second.bytes;
  note("free %zu %zu", it->second.bytes, used[it->second.gpu]);
  blocks().erase(it);
  return ok;
}

int takeHost(void **p, size_t n) {
  Locked l(lock);
  if (posix_memalign(p, 4096, n ? n : 1)) return outOfMemory;
  pinned()[(uintptr_t)*p] = {n, current};
  note("pinned %zu", n);
  return ok;
}

int copy(void *to, const void *from, size_t n) {
  Locked l(lock);
  bool toGPU = within(blocks(), to), fromGPU = within(blocks(), from);
  const char *src = fromGPU ? "gpu" : within(pinned(), from) ? "pinned" : "host", *dst = toGPU ? "gpu" : within(pinned(), to) ? "pinned" : "host";
  note("copy %s %s %zu", src, dst, n);
  if (n <= 65536 || !toGPU) memcpy(to, from, n);
  return ok;
}

template <class T> int handle(T **h) {
  static char pool[1 << 16];
  static int next;
  Locked l(lock);
  next = (next + 16) & 0xffff;
  *h = (T *)&pool[next];
  return ok;
}

std::unordered_map<const void *, std::string> &names() { static auto *m = new std::unordered_map<const void *, std::string>; return *m; }

// launch counts a kernel. The addition of a few float32 numbers is made, for the engine's probe.
int launch(const void *f, void **args = nullptr) {
  std::string name = "?";
  {
    Locked l(lock);
    auto it = names().find(f);
    if (it != names().end()) name = it->second;
  }
  note("kernel %s", name.c_str());
  auto has = [&](const char *part) { return name.find(part) != name.npos; };
  if (args && has("_BinaryElementWiseSimple") && has("ELb1Efff") && has("OP_Add")) {
    float *a = *(float **)args[0], *b = *(float **)args[1], *sum = *(float **)args[2];
    int n = *(int *)args[4];
    for (int i = 0; i < n && n <= 64; i++) sum[i] = a[i] + b[i];
  }
  return ok;
}

template <class T> void put(void *base, size_t offset, T value) { memcpy((char *)base + offset, &value, sizeof value); }

int optInShared() {
  switch (capability()) {
  case 80: return 166912;
  case 86: case 89: case 120: return 101376;
  }
  return capability() < 80 ? 65536 : 232448;
}
int threadsOfProcessor() { return capability() < 80 ? 1024 : 2048; }

}  // namespace

struct Dim { unsigned x, y, z; };

// Memory.
API int cudaMalloc(void **p, size_t n) { return take(p, n); }
API int cudaFree(void *p) { return give(p); }
API int cudaMallocFromPoolAsync(void **p, size_t n, void *, void *) { return take(p, n); }
API int cudaMallocAsync(void **p, size_t n, void *) { return take(p, n); }
API int cudaFreeAsync(void *p, void *) { return give(p); }
API int cudaMallocHost(void **p, size_t n) { return takeHost(p, n); }
API int cudaHostAlloc(void **p, size_t n, unsigned) { return takeHost(p, n); }
API int cudaFreeHost(void *p) {
  Locked l(lock);
  if (pinned().erase((uintptr_t)p)) free(p);
  return ok;
}
API int cudaMemcpy(void *to, const void *from, size_t n, int) { return copy(to, from, n); }
API int cudaMemcpyAsync(void *to, const void *from, size_t n, int, void *) { return copy(to, from, n); }
API int cudaMemcpy2DAsync(void *, size_t, const void *, size_t, size_t w, size_t h, int, void *) { note("copy gpu gpu %zu", w * h); return ok; }
API int cudaMemcpyFromSymbol(void *, const void *, size_t, size_t, int) { return ok; }
API int cudaMemset(void *, int, size_t n) { note("memset %zu", n); return ok; }
API int cudaMemsetAsync(void *, int, size_t n, void *) { note("memset %zu", n); return ok; }
API int cudaMemGetInfo(size_t *free, size_t *total) { Locked l(lock); *total = memory(); *free = memory() - used[current]; return ok; }
API int cudaPointerGetAttributes(void *a, const void *p) {
  Locked l(lock);
  const Block *b = within(blocks(), p);
  memset(a, 0, 88);
  put<int>(a, 0, b ? 2 : within(pinned(), p) ? 1 : 0);
  put<int>(a, 4, b ? b->gpu : current);
  put<const void *>(a, 8, p);
  return ok;
}
CREATES(cudaMemPoolCreate) QUIET(cudaMemPoolDestroy) QUIET(cudaMemPoolSetAttribute) QUIET(cudaMemPoolTrimTo)
API int cudaMemPoolGetAttribute(void *, int, void *v) { *(uint64_t *)v = 0; return ok; }

// Devices.
API int cudaGetDeviceCount(int *n) { *n = gpus(); return ok; }
API int cudaGetDevice(int *n) { *n = current; return ok; }
API int cudaSetDevice(int n) { if (n < 0 || n >= gpus()) return 101; current = n; return ok; }
API int cudaGetDeviceProperties(void *p, int) {
  memset(p, 0, 1008);
  strcpy((char *)p, "Dry GPU");
  put<size_t>(p, 288, memory()); put<size_t>(p, 296, 49152); put<int>(p, 304, 65536); put<int>(p, 308, 32); put<int>(p, 320, 1024);
  put<int>(p, 324, 1024); put<int>(p, 328, 1024); put<int>(p, 332, 64); put<int>(p, 336, 2147483647); put<int>(p, 340, 65535); put<int>(p, 344, 65535);
  put<size_t>(p, 352, 65536); put<int>(p, 360, capability() / 10); put<int>(p, 364, capability() % 10); put<int>(p, 384, 132); put<int>(p, 560, 1);
  put<int>(p, 584, 3); put<int>(p, 588, 1); put<int>(p, 592, 5120); put<int>(p, 596, 50 << 20); put<int>(p, 604, threadsOfProcessor());
  put<size_t>(p, 624, 233472); put<int>(p, 632, 65536); put<int>(p, 668, 1); put<size_t>(p, 672, (size_t)optInShared()); put<int>(p, 688, 32); put<int>(p, 720, 1);
  return ok;
}
API int cudaDeviceGetAttribute(int *v, int attribute, int) {
  switch (attribute) {
  case 75: *v = capability() / 10; break;
  case 76: *v = capability() % 10; break;
  case 16: *v = 132; break;
  case 8: *v = 49152; break;
  case 97: *v = optInShared(); break;
  case 81: *v = 233472; break;
  case 1: *v = 1024; break;
  case 39: *v = threadsOfProcessor(); break;
  case 10: *v = 32; break;
  case 5: *v = 2147483647; break;
  case 6: case 7: *v = 65535; break;
  case 12: case 82: *v = 65536; break;
  case 38: *v = 50 << 20; break;
  case 13: *v = 1980000; break;
  default: *v = 1;
  }
  return ok;
}
API int cudaDeviceSynchronize() { note("wait"); return ok; }
API int cudaDriverGetVersion(int *v) { *v = 13000; return ok; }
API int cudaRuntimeGetVersion(int *v) { *v = 13000; return ok; }
QUIET(cudaGetLastError) QUIET(cudaPeekAtLastError)
API const char *cudaGetErrorName(int e) { return e == outOfMemory ? "cudaErrorMemoryAllocation" : "cudaError"; }
API const char *cudaGetErrorString(int e) { return e == outOfMemory ? "out of memory" : e == 101 ? "invalid device ordinal" : "an error"; }

// Streams, events, graphs.
CREATES(cudaStreamCreate) CREATES(cudaStreamCreateWithFlags) QUIET(cudaStreamDestroy) QUIET(cudaStreamWaitEvent)
API int cudaStreamSynchronize(void *) { note("wait"); return ok; }
API int cudaStreamBeginCapture(void *, int) { capturing = true; return ok; }
API int cudaStreamEndCapture(void *, void **g) { capturing = false; return handle(g); }
API int cudaStreamIsCapturing(void *, int *status) { *status = capturing; return ok; }
CREATES(cudaGraphInstantiate) QUIET(cudaGraphDestroy) QUIET(cudaGraphExecDestroy)
API int cudaGraphLaunch(void *, void *) { note("graph"); return ok; }
CREATES(cudaEventCreate) CREATES(cudaEventCreateWithFlags) QUIET(cudaEventDestroy) QUIET(cudaEventRecord) QUIET(cudaEventRecordWithFlags) QUIET(cudaEventSynchronize)
API int cudaEventElapsedTime(float *ms, void *, void *) { *ms = 1; return ok; }
API int cudaLaunchHostFunc(void *, void (*f)(void *), void *arg) { f(arg); return ok; }

// Kernels.
API void **__cudaRegisterFatBinary(void *) { static void *h[4]; return h; }
API void __cudaRegisterFatBinaryEnd(void **) {}
API void __cudaUnregisterFatBinary(void **) {}
API void __cudaRegisterVar(void **, char *, char *, const char *, int, size_t, int, int) {}
API void __cudaRegisterFunction(void **, const char *host, char *, const char *name, int, void *, void *, void *, void *, int *) {
  Locked l(lock);
  names()[host] = name;
}
static thread_local struct { Dim grid, block; size_t shared; void *stream; } launching;
API unsigned __cudaPushCallConfiguration(Dim grid, Dim block, size_t shared, void *stream) { launching = {grid, block, shared, stream}; return 0; }
API int __cudaPopCallConfiguration(Dim *grid, Dim *block, size_t *shared, void *stream) {
  *grid = launching.grid; *block = launching.block; *shared = launching.shared; *(void **)stream = launching.stream;
  return ok;
}
API int __cudaGetKernel(void **k, const void *host) { *k = (void *)host; return ok; }
API int __cudaLaunchKernel(const void *k, Dim, Dim, void **args, size_t, void *) { return launch(k, args); }
API int cudaLaunchKernel(const void *k, Dim, Dim, void **args, size_t, void *) { return launch(k, args); }
API int cudaLaunchCooperativeKernel(const void *k, Dim, Dim, void **, size_t, void *) { return launch(k); }
API int cudaLaunchKernelExC(const void *, const void *k, void **) { return launch(k); }
API int cudaFuncGetAttributes(void *a, const void *) {
  memset(a, 0, 144);
  put<int>(a, 24, 1024); put<int>(a, 28, 64); put<int>(a, 32, capability()); put<int>(a, 36, capability()); put<int>(a, 44, 49152);
  return ok;
}
QUIET(cudaFuncSetAttribute) QUIET(cudaKernelSetAttributeForDevice) QUIET(cuTensorMapEncodeTiled)
API int cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *n, const void *, int, size_t, unsigned) { *n = 2; return ok; }
API int cudaGetDriverEntryPointByVersion(const char *, void **f, unsigned, unsigned long long, int *result) {
  *f = (void *)cuTensorMapEncodeTiled;
  if (result) *result = 0;
  return ok;
}
CREATES(cudaLibraryLoadData) QUIET(cudaLibraryUnload)
API int cudaLibraryGetKernel(void **k, void *, const char *name) { Locked l(lock); *k = strdup(name); names()[*k] = name; return ok; }

// cuBLAS. Types: 0 float32, 2 float16, 14 bfloat16.
CREATES(cublasCreate_v2) QUIET(cublasDestroy_v2) QUIET(cublasSetMathMode) QUIET(cublasSetStream_v2)
API int cublasGetMathMode(void *, int *m) { *m = 0; return ok; }
API const char *cublasGetStatusName(int) { return "OK"; }
API const char *cublasGetStatusString(int) { return "ok"; }
API int cublasGemmEx(void *, int, int, int m, int n, int k, const void *, const void *, int type) { note("gemm %d %dx%dx%d", type, m, n, k); return ok; }
API int cublasSgemm_v2(void *, int, int, int m, int n, int k) { note("gemm 0 %dx%dx%d", m, n, k); return ok; }
COUNTED(cublasGemmStridedBatchedEx) COUNTED(cublasSgemmStridedBatched) COUNTED(cublasGemmBatchedEx) COUNTED(cublasSgemmBatched) COUNTED(cublasDgeam)
COUNTED(cublasDgemmBatched) COUNTED(cublasDgemmStridedBatched) COUNTED(cublasDgemm_v2) COUNTED(cublasDgetrfBatched) COUNTED(cublasDgetriBatched)
COUNTED(cublasScopy_v2) COUNTED(cublasSgeam) COUNTED(cublasSgetrfBatched) COUNTED(cublasSgetriBatched) COUNTED(cublasSscal_v2)
CREATES(cublasLtCreate) QUIET(cublasLtDestroy) COUNTED(cublasLtMatmul) QUIET(cublasLtMatmulAlgoConfigSetAttribute) QUIET(cublasLtMatmulAlgoInit)
API int cublasLtMatmulAlgoGetHeuristic(void *, void *, void *, void *, void *, void *, void *, int, char *result, int *n) { memset(result, 0, 80); *n = 1; return ok; }
CREATES(cublasLtMatmulDescCreate) QUIET(cublasLtMatmulDescDestroy) QUIET(cublasLtMatmulDescSetAttribute) CREATES(cublasLtMatmulPreferenceCreate)
QUIET(cublasLtMatmulPreferenceDestroy) QUIET(cublasLtMatmulPreferenceSetAttribute) CREATES(cublasLtMatrixLayoutCreate) QUIET(cublasLtMatrixLayoutDestroy)
QUIET(cublasLtMatrixLayoutSetAttribute) COUNTED(cublasLtMatrixTransform) CREATES(cublasLtMatrixTransformDescCreate) QUIET(cublasLtMatrixTransformDescDestroy)

// cuDNN's older interface.
API size_t cudnnGetVersion() { return 92000; }
CREATES(cudnnCreate) QUIET(cudnnDestroy) QUIET(cudnnSetStream)
API int cudnnGetStream(void *, void **s) { *s = nullptr; return ok; }
API const char *cudnnGetErrorString(int) { return "cudnn"; }
API void cudnnGetLastErrorString(char *b, size_t n) { if (n) *b = 0; }
#define DESCRIPTOR(name) CREATES(cudnnCreate##name##Descriptor) QUIET(cudnnDestroy##name##Descriptor)
DESCRIPTOR(Activation) DESCRIPTOR(Convolution) DESCRIPTOR(Dropout) DESCRIPTOR(Filter) DESCRIPTOR(LRN) DESCRIPTOR(Pooling) DESCRIPTOR(RNNData)
DESCRIPTOR(RNN) DESCRIPTOR(ReduceTensor) DESCRIPTOR(Tensor)
QUIET(cudnnSetActivationDescriptor) QUIET(cudnnSetConvolutionGroupCount) QUIET(cudnnSetConvolutionMathType) QUIET(cudnnSetConvolutionNdDescriptor)
QUIET(cudnnSetDropoutDescriptor) QUIET(cudnnSetFilterNdDescriptor) QUIET(cudnnSetLRNDescriptor) QUIET(cudnnSetPoolingNdDescriptor) QUIET(cudnnSetReduceTensorDescriptor)
QUIET(cudnnSetTensorNdDescriptor) QUIET(cudnnDeriveBNTensorDescriptor) QUIET(cudnnSetRNNDataDescriptor) QUIET(cudnnSetRNNDescriptor_v8) QUIET(cudnnGetRNNWeightParams)
API int cudnnGetTensorNdDescriptor(void *, int, int *type, int *n, int *, int *) { *type = 0; *n = 0; return ok; }
COUNTED(cudnnActivationForward) COUNTED(cudnnAddTensor) COUNTED(cudnnBatchNormalizationForwardInference) COUNTED(cudnnBatchNormalizationForwardTraining)
COUNTED(cudnnConvolutionBiasActivationForward) COUNTED(cudnnConvolutionForward) COUNTED(cudnnFindConvolutionForwardAlgorithmEx) COUNTED(cudnnRNNForward)
COUNTED(cudnnGetConvolutionForwardAlgorithm_v7) COUNTED(cudnnLRNCrossChannelForward) COUNTED(cudnnPoolingForward) COUNTED(cudnnReduceTensor) COUNTED(cudnnSoftmaxForward)
API int cudnnGetConvolutionForwardWorkspaceSize(void *, void *, void *, void *, void *, int, size_t *n) { *n = 0; return ok; }
API int cudnnGetReductionWorkspaceSize(void *, void *, void *, void *, size_t *n) { *n = 0; return ok; }
API int cudnnGetReductionIndicesSize(void *, void *, void *, void *, size_t *n) { *n = 0; return ok; }
API int cudnnDropoutGetStatesSize(void *, size_t *n) { *n = 0; return ok; }
API int cudnnGetRNNTempSpaceSizes(void *, void *, int, void *, size_t *a, size_t *b) { *a = *b = 0; return ok; }

// cuDNN's graphs: descriptors keep the attributes that they are given. A query of heuristics answers with one engine.
namespace {

struct Attribute { int type; int64_t count; std::vector<char> bytes; };
struct Descriptor { int kind; std::map<int, Attribute> attributes; };
enum { engineKind = 2, configKind = 3, heuristicsKind = 4, planKind = 5, graphKind = 15 };
enum { heuristicsResults = 202, configEngine = 300, configKnobs = 303, configShared = 304, planWorkspace = 402, engineGraph = 1300, engineIndexes = 1301 };

size_t sizeOf(int type) {
  switch (type) {
  case 0: case 3: case 5: case 6: case 15: return 8;
  case 2: case 25: return 1;
  }
  return 4;
}

Descriptor *find(Descriptor *d, int kind, int depth = 0) {
  if (!d || depth > 6) return nullptr;
  if (d->kind == kind) return d;
  for (auto &a : d->attributes)
    if (a.second.type == 15 && a.second.bytes.size() >= 8)
      if (Descriptor *r = find(*(Descriptor **)a.second.bytes.data(), kind, depth + 1)) return r;
  return nullptr;
}

Attribute pointer(Descriptor *d) { return {15, 1, std::vector<char>((char *)&d, (char *)&d + sizeof d)}; }

// operations lists the kinds of a graph's operations.
std::string operations(Descriptor *graph) {
  std::string s;
  for (auto &a : graph->attributes)
    for (int64_t i = 0; a.second.type == 15 && i < a.second.count; i++)
      s += " op" + std::to_string(((Descriptor **)a.second.bytes.data())[i]->kind);
  return s;
}

}  // namespace

API int cudnnBackendCreateDescriptor(int kind, Descriptor **d) { *d = new Descriptor{kind, {}}; return ok; }
QUIET(cudnnBackendDestroyDescriptor) QUIET(cudnnBackendFinalize)
API int cudnnBackendSetAttribute(Descriptor *d, int name, int type, int64_t n, const void *p) {
  if (d && p) d->attributes[name] = {type, n, std::vector<char>((const char *)p, (const char *)p + sizeOf(type) * n)};
  return ok;
}
API int cudnnBackendGetAttribute(Descriptor *d, int name, int, int64_t wanted, int64_t *n, void *p) {
  auto one = [&] { if (n) *n = 1; };
  if (d->kind == heuristicsKind && name == heuristicsResults) {
    one();
    if (p && wanted > 0) {
      Descriptor *&config = *(Descriptor **)p;
      if (!config) config = new Descriptor{configKind, {}};
      auto *engine = new Descriptor{engineKind, {}};
      config->attributes[configEngine] = pointer(engine);
      if (Descriptor *graph = find(d, graphKind)) engine->attributes[engineGraph] = pointer(graph);
    }
    return ok;
  }
  if (d->kind == configKind && name == configEngine) {
    one();
    if (p) {
      auto it = d->attributes.find(configEngine);
      Descriptor *engine = it == d->attributes.end() ? new Descriptor{engineKind, {}} : *(Descriptor **)it->second.bytes.data();
      Descriptor *&into = *(Descriptor **)p;
      if (into) *into = *engine; else into = engine;
    }
    return ok;
  }
  if (d->kind == configKind && (name == configKnobs || name == configShared)) { one(); if (p) *(int32_t *)p = 0; return ok; }
  if (d->kind == planKind && name == planWorkspace || d->kind == engineKind && name == engineIndexes) { one(); if (p) *(int64_t *)p = 0; return ok; }
  auto it = d->attributes.find(name);
  if (n) *n = it == d->attributes.end() ? 0 : it->second.count;
  if (it != d->attributes.end() && p && wanted > 0) memcpy(p, it->second.bytes.data(), it->second.bytes.size());
  return ok;
}
API int cudnnBackendExecute(void *, Descriptor *plan, Descriptor *) {
  Descriptor *graph = find(plan, graphKind);
  note("cudnn%s", graph ? operations(graph).c_str() : " ?");
  return ok;
}
