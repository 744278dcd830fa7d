#include "gpu.h"

#include <string.h>

#ifdef _WIN32
#include <windows.h>
static void *open_runtime(void) { return (void *)GetModuleHandleA("cudart64_13.dll"); }
static void *symbol(void *h, const char *name) { return (void *)GetProcAddress((HMODULE)h, name); }
#else
#include <dlfcn.h>
static void *open_runtime(void) { return dlopen("libcudart.so.13", RTLD_LAZY | RTLD_NOLOAD); }
static void *symbol(void *h, const char *name) { return dlsym(h, name); }
#endif

enum { to_device = 1, to_host = 2 };  // cudaMemcpyKind

static struct {
  int (*get)(int *);
  int (*set)(int);
  int (*alloc)(void **, size_t);
  int (*free)(void *);
  int (*copy)(void *, const void *, size_t, int, void *);
  int (*wait)(void *);
  int (*pin)(void **, size_t, unsigned);
  int (*unpin)(void *);
  int (*stream)(void **, unsigned);
  int (*end)(void *);
  const char *(*message)(int);
} cuda;

int cg_gpu_open(void) {
  void *h = open_runtime();
  if (!h) return 1;
  *(void **)&cuda.get = symbol(h, "cudaGetDevice");
  *(void **)&cuda.set = symbol(h, "cudaSetDevice");
  *(void **)&cuda.alloc = symbol(h, "cudaMalloc");
  *(void **)&cuda.free = symbol(h, "cudaFree");
  *(void **)&cuda.copy = symbol(h, "cudaMemcpyAsync");
  *(void **)&cuda.wait = symbol(h, "cudaStreamSynchronize");
  *(void **)&cuda.pin = symbol(h, "cudaHostAlloc");
  *(void **)&cuda.unpin = symbol(h, "cudaFreeHost");
  *(void **)&cuda.stream = symbol(h, "cudaStreamCreateWithFlags");
  *(void **)&cuda.end = symbol(h, "cudaStreamDestroy");
  *(void **)&cuda.message = symbol(h, "cudaGetErrorString");
  return !(cuda.get && cuda.set && cuda.alloc && cuda.free && cuda.copy && cuda.wait && cuda.pin && cuda.unpin && cuda.stream && cuda.end && cuda.message);
}

// The default stream does not wait for ONNX Runtime's streams, nor these for it: each copy is waited for.
static int copy(void *to, const void *from, size_t n, int kind) {
  int error = cuda.copy(to, from, n, kind, NULL);
  return error ? error : cuda.wait(NULL);
}

enum { staged = 32 << 20 };  // bytes of each buffer

static int upload(char *to, const char *from, size_t n) {
  void *buffers[2] = {NULL, NULL}, *streams[2] = {NULL, NULL};
  int error = 0;
  for (int i = 0; i < 2 && !error; i++) {
    error = cuda.pin(&buffers[i], n < staged ? n : staged, 0);
    if (!error) error = cuda.stream(&streams[i], 0);
  }
  for (int i = 0; n > 0 && !error; i = !i) {
    size_t part = n < staged ? n : staged;
    error = cuda.wait(streams[i]);  // for the buffer's copy before
    if (error) break;
    memcpy(buffers[i], from, part);
    error = cuda.copy(to, buffers[i], part, to_device, streams[i]);
    to += part, from += part, n -= part;
  }
  for (int i = 0; i < 2; i++) {
    if (streams[i]) {
      int late = cuda.wait(streams[i]);
      if (!error) error = late;
      cuda.end(streams[i]);
    }
    if (buffers[i]) cuda.unpin(buffers[i]);
  }
  return error;
}

#define ON(device, call)                           \
  int before = 0, error = cuda.get(&before);       \
  if (!error) error = cuda.set(device);            \
  if (!error) {                                    \
    error = (call);                                \
    int back = cuda.set(before);                   \
    if (!error) error = back;                      \
  }                                                \
  return error

int cg_gpu_alloc(int device, size_t size, void **p) { ON(device, cuda.alloc(p, size)); }
int cg_gpu_free(int device, void *p) { ON(device, cuda.free(p)); }
int cg_gpu_write(int device, void *to, const void *from, size_t n) { ON(device, copy(to, from, n, to_device)); }
int cg_gpu_read(int device, void *to, const void *from, size_t n) { ON(device, copy(to, from, n, to_host)); }
int cg_gpu_upload(int device, void *to, const void *from, size_t n) { ON(device, upload(to, from, n)); }
const char *cg_gpu_message(int error) { return cuda.message(error); }
