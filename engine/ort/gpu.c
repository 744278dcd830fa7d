#include "gpu.h"

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
  *(void **)&cuda.message = symbol(h, "cudaGetErrorString");
  return !(cuda.get && cuda.set && cuda.alloc && cuda.free && cuda.copy && cuda.wait && cuda.message);
}

// The default stream does not wait for ONNX Runtime's streams, nor these for it: each copy is waited for.
static int copy(void *to, const void *from, size_t n, int kind) {
  int error = cuda.copy(to, from, n, kind, NULL);
  return error ? error : cuda.wait(NULL);
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
const char *cg_gpu_message(int error) { return cuda.message(error); }
