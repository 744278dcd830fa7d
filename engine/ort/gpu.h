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
// cg_gpu_upload is cg_gpu_write for much data: it goes through two buffers of pinned memory, one of which is filled while the other is
// copied. Calls must not overlap.
int cg_gpu_upload(int device, void *to, const void *from, size_t n);
const char *cg_gpu_message(int error);

#endif
