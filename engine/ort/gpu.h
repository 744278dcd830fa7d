// Memory of CUDA devices that this program owns, by functions of the CUDA runtime library that ONNX Runtime's provider has loaded.
// Results are CUDA's error codes; 0 is success. Each call works on the device that it is given and leaves the thread's own as it was.
#ifndef COMFYGO_ORT_GPU_H
#define COMFYGO_ORT_GPU_H

#include <stddef.h>

// cg_gpu_open finds the library. It returns 0, or 1 when it is not loaded.
int cg_gpu_open(void);
int cg_gpu_alloc(int device, size_t size, void **p);
int cg_gpu_free(int device, void *p);
// cg_gpu_write and cg_gpu_read copy n bytes from and to the host and return when they have arrived.
int cg_gpu_write(int device, void *to, const void *from, size_t n);
int cg_gpu_read(int device, void *to, const void *from, size_t n);

// cg_stager copies much data to a device: by cg_gpu_stage through two buffers of pinned memory, one of which is filled while the other
// is copied, by cg_gpu_push from pinned memory. Both return when the data has arrived. Calls with one stager must not overlap.
typedef struct cg_stager cg_stager;
int cg_gpu_stager(int device, cg_stager **s);
int cg_gpu_stager_end(int device, cg_stager *s);
int cg_gpu_stage(int device, cg_stager *s, void *to, const void *from, size_t n);
int cg_gpu_push(int device, cg_stager *s, void *to, const void *from, size_t n);

// cg_gpu_pin allocates pinned memory of the host.
int cg_gpu_pin(int device, size_t n, void **p);
int cg_gpu_unpin(int device, void *p);

// cg_gpu_info returns the free and all memory of a device, cg_gpu_count the number of devices, cg_gpu_capability the compute capability
// as two digits.
int cg_gpu_info(int device, size_t *available, size_t *total);
int cg_gpu_count(int *n);
int cg_gpu_capability(int device, int *v);
const char *cg_gpu_message(int error);

#endif
