#include "gpu.h"

#include <stdlib.h>
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
  int (*info)(size_t *, size_t *);
  int (*count)(int *);
  int (*attribute)(int *, int, int);
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
  *(void **)&cuda.info = symbol(h, "cudaMemGetInfo");
  *(void **)&cuda.count = symbol(h, "cudaGetDeviceCount");
  *(void **)&cuda.attribute = symbol(h, "cudaDeviceGetAttribute");
  *(void **)&cuda.message = symbol(h, "cudaGetErrorString");
  return !(cuda.get && cuda.set && cuda.alloc && cuda.free && cuda.copy && cuda.wait && cuda.pin && cuda.unpin && cuda.stream && cuda.end && cuda.info && cuda.count &&
           cuda.attribute && cuda.message);
}

// The default stream does not wait for ONNX Runtime's streams, nor these for it: each copy is waited for.
static int copy(void *to, const void *from, size_t n, int kind) {
  int error = cuda.copy(to, from, n, kind, NULL);
  return error ? error : cuda.wait(NULL);
}

enum { staged = 32 << 20 };  // bytes of each buffer

struct cg_stager {
  void *buffers[2], *streams[2];
};

static int end_stager(cg_stager *s) {
  for (int i = 0; i < 2; i++) {
    if (s->streams[i]) cuda.end(s->streams[i]);
    if (s->buffers[i]) cuda.unpin(s->buffers[i]);
  }
  free(s);
  return 0;
}

static int new_stager(cg_stager **out) {
  cg_stager *s = calloc(1, sizeof *s);
  if (!s) return 2;  // cudaErrorMemoryAllocation
  int error = 0;
  for (int i = 0; i < 2 && !error; i++) {
    error = cuda.pin(&s->buffers[i], staged, 0);
    if (!error) error = cuda.stream(&s->streams[i], 1);  // does not wait for the default stream
  }
  if (error) end_stager(s), s = NULL;
  *out = s;
  return error;
}

static int stage(cg_stager *s, char *to, const char *from, size_t n) {
  int error = 0;
  for (int i = 0; n > 0 && !error; i = !i) {
    size_t part = n < staged ? n : staged;
    error = cuda.wait(s->streams[i]);  // for the buffer's copy before
    if (error) break;
    memcpy(s->buffers[i], from, part);
    error = cuda.copy(to, s->buffers[i], part, to_device, s->streams[i]);
    to += part, from += part, n -= part;
  }
  for (int i = 0; i < 2; i++) {
    int late = cuda.wait(s->streams[i]);
    if (!error) error = late;
  }
  return error;
}

static int push(cg_stager *s, void *to, const void *from, size_t n) {
  int error = cuda.copy(to, from, n, to_device, s->streams[0]);
  return error ? error : cuda.wait(s->streams[0]);
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
int cg_gpu_stager(int device, cg_stager **s) { ON(device, new_stager(s)); }
int cg_gpu_stager_end(int device, cg_stager *s) { ON(device, end_stager(s)); }
int cg_gpu_stage(int device, cg_stager *s, void *to, const void *from, size_t n) { ON(device, stage(s, to, from, n)); }
int cg_gpu_push(int device, cg_stager *s, void *to, const void *from, size_t n) { ON(device, push(s, to, from, n)); }
int cg_gpu_pin(int device, size_t n, void **p) { ON(device, cuda.pin(p, n, 1)); }  // portable: for all GPUs
int cg_gpu_unpin(int device, void *p) { ON(device, cuda.unpin(p)); }
int cg_gpu_info(int device, size_t *available, size_t *total) { ON(device, cuda.info(available, total)); }
int cg_gpu_count(int *n) { return cuda.count(n); }
static int capability(int device, int *v) {
  enum { major = 75, minor = 76 };  // cudaDeviceAttr
  int high = 0, low = 0;
  int error = cuda.attribute(&high, major, device);
  if (!error) error = cuda.attribute(&low, minor, device);
  *v = 10 * high + low;
  return error;
}
int cg_gpu_capability(int device, int *v) { return capability(device, v); }
const char *cg_gpu_message(int error) { return cuda.message(error); }
