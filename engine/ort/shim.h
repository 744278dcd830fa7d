// The part of ONNX Runtime's C interface that onnxruntime_go leaves out, as plain functions: cgo cannot call
// through the function pointers of OrtApi. All take the api that cg_attach returned; a NULL status is success.
#ifndef COMFYGO_ORT_SHIM_H
#define COMFYGO_ORT_SHIM_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The header decorates its functions for MSVC on Windows; with mingw the plain declarations are the right ones.
#ifdef _WIN32
#define COMFYGO_WINDOWS 1
#undef _WIN32
#endif
#include "onnxruntime_c_api.h"
#ifdef COMFYGO_WINDOWS
#define _WIN32 1
#endif

// cg_attach opens the library at path (already loaded by onnxruntime_go) and returns its interface, or NULL with
// a message in err. The handle is kept for the life of the process.
const OrtApi *cg_attach(const char *path, char *err, size_t err_len);

// cg_preload opens a library so that later loads by its file name find it. It returns 0, or 1 with a message.
int cg_preload(const char *path, char *err, size_t err_len);

const char *cg_message(const OrtApi *api, const OrtStatus *status);
int cg_code(const OrtApi *api, const OrtStatus *status);
void cg_release_status(const OrtApi *api, OrtStatus *status);

OrtStatus *cg_env(const OrtApi *api, OrtEnv **env);
void cg_release_env(const OrtApi *api, OrtEnv *env);

// cg_share_gpu registers an arena of the memory of a GPU, whose number device holds, with the environment, for sessions that ask for
// shared allocators, and cg_unshare_gpu takes it away again. It takes what is asked for from the system, and gives back all that is free
// when it shrinks: a session's own arena rounds up to powers of two, and keeps the first block for as long as the session lives.
OrtStatus *cg_share_gpu(const OrtApi *api, OrtEnv *env, const OrtMemoryInfo *gpu, const char *device);
OrtStatus *cg_unshare_gpu(const OrtApi *api, OrtEnv *env, const OrtMemoryInfo *gpu);

OrtStatus *cg_host_memory(const OrtApi *api, OrtMemoryInfo **info);
OrtStatus *cg_gpu_memory(const OrtApi *api, int device, OrtMemoryInfo **info);
void cg_release_memory(const OrtApi *api, OrtMemoryInfo *info);
OrtStatus *cg_providers(const OrtApi *api, char ***names, int *n);
void cg_release_providers(const OrtApi *api, char **names, int n);

OrtStatus *cg_tensor(const OrtApi *api, const OrtMemoryInfo *info, void *data, size_t size, const int64_t *dims,
                     size_t rank, int type, OrtValue **value);
OrtStatus *cg_describe(const OrtApi *api, const OrtValue *value, int *type, int64_t *dims, size_t max, size_t *rank,
                       void **data, size_t *size);
void cg_release_value(const OrtApi *api, OrtValue *value);

OrtStatus *cg_add_initializer(const OrtApi *api, OrtSessionOptions *o, const char *name, const OrtValue *value);
OrtStatus *cg_add_external(const OrtApi *api, OrtSessionOptions *o, const char *name, const OrtValue *value);
OrtStatus *cg_cancel_load(const OrtApi *api, OrtSessionOptions *o);

OrtStatus *cg_session(const OrtApi *api, const OrtEnv *env, const void *model, size_t size,
                      const OrtSessionOptions *o, OrtSession **session);
void cg_release_session(const OrtApi *api, OrtSession *session);
OrtStatus *cg_count(const OrtApi *api, const OrtSession *s, int outputs, size_t *n);
OrtStatus *cg_name(const OrtApi *api, const OrtSession *s, int outputs, size_t i, char *name, size_t max);
OrtStatus *cg_info(const OrtApi *api, const OrtSession *s, int outputs, size_t i, int *type, int64_t *dims, size_t max,
                   size_t *rank);

OrtStatus *cg_run_config(const OrtApi *api, OrtRunOptions *o, const char *key, const char *value);
OrtStatus *cg_run(const OrtApi *api, OrtSession *s, const OrtRunOptions *o, const char *const *in_names,
                  const OrtValue *const *in, size_t n_in, const char *const *out_names, size_t n_out, OrtValue **out);

OrtStatus *cg_binding(const OrtApi *api, OrtSession *s, OrtIoBinding **b);
void cg_release_binding(const OrtApi *api, OrtIoBinding *b);
OrtStatus *cg_bind_input(const OrtApi *api, OrtIoBinding *b, const char *name, const OrtValue *v);
OrtStatus *cg_bind_output(const OrtApi *api, OrtIoBinding *b, const char *name, const OrtMemoryInfo *info);
OrtStatus *cg_bind_output_value(const OrtApi *api, OrtIoBinding *b, const char *name, const OrtValue *v);
OrtStatus *cg_run_bound(const OrtApi *api, OrtSession *s, const OrtRunOptions *o, OrtIoBinding *b);
OrtStatus *cg_bound_outputs(const OrtApi *api, const OrtIoBinding *b, OrtValue **out, size_t n);

// cg_custom_ops makes the operator domain "comfygo"; cg_use_custom_ops makes it known to a session.
OrtStatus *cg_custom_ops(const OrtApi *api, OrtCustomOpDomain **domain);
OrtStatus *cg_use_custom_ops(const OrtApi *api, OrtSessionOptions *o, OrtCustomOpDomain *domain);
void cg_release_custom_ops(const OrtApi *api, OrtCustomOpDomain *domain);

#endif
