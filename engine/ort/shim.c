#include "shim.h"

const char *cg_message(const OrtApi *api, const OrtStatus *status) { return api->GetErrorMessage(status); }
int cg_code(const OrtApi *api, const OrtStatus *status) { return (int)api->GetErrorCode(status); }
void cg_release_status(const OrtApi *api, OrtStatus *status) { api->ReleaseStatus(status); }

// The environment is one per process: this returns onnxruntime_go's and counts one more user.
OrtStatus *cg_env(const OrtApi *api, OrtEnv **env) { return api->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "comfygo", env); }
void cg_release_env(const OrtApi *api, OrtEnv *env) { api->ReleaseEnv(env); }

OrtStatus *cg_share_gpu(const OrtApi *api, OrtEnv *env, const OrtMemoryInfo *gpu, const char *device) {
  static const char *const keys[] = {"arena_extend_strategy"};
  static const size_t values[] = {1};  // as requested
  const char *const options[] = {"device_id"}, *const settings[] = {device};
  OrtArenaCfg *cfg = NULL;
  OrtStatus *st = api->CreateArenaCfgV2(keys, values, 1, &cfg);
  if (st == NULL) st = api->CreateAndRegisterAllocatorV2(env, "CUDAExecutionProvider", gpu, cfg, options, settings, 1);
  if (cfg) api->ReleaseArenaCfg(cfg);
  return st;
}
OrtStatus *cg_unshare_gpu(const OrtApi *api, OrtEnv *env, const OrtMemoryInfo *gpu) { return api->UnregisterAllocator(env, gpu); }

OrtStatus *cg_host_memory(const OrtApi *api, OrtMemoryInfo **info) {
  return api->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, info);
}
OrtStatus *cg_gpu_memory(const OrtApi *api, int device, OrtMemoryInfo **info) {
  return api->CreateMemoryInfo("Cuda", OrtDeviceAllocator, device, OrtMemTypeDefault, info);
}
void cg_release_memory(const OrtApi *api, OrtMemoryInfo *info) { api->ReleaseMemoryInfo(info); }

OrtStatus *cg_providers(const OrtApi *api, char ***names, int *n) { return api->GetAvailableProviders(names, n); }
void cg_release_providers(const OrtApi *api, char **names, int n) {
  OrtStatus *st = api->ReleaseAvailableProviders(names, n);
  if (st) api->ReleaseStatus(st);
}

OrtStatus *cg_tensor(const OrtApi *api, const OrtMemoryInfo *info, void *data, size_t size, const int64_t *dims,
                     size_t rank, int type, OrtValue **value) {
  return api->CreateTensorWithDataAsOrtValue(info, data, size, dims, rank, (ONNXTensorElementDataType)type, value);
}

static OrtStatus *shape_of(const OrtApi *api, const OrtTensorTypeAndShapeInfo *info, int *type, int64_t *dims,
                           size_t max, size_t *rank) {
  ONNXTensorElementDataType t;
  OrtStatus *st = api->GetTensorElementType(info, &t);
  if (st) return st;
  *type = (int)t;
  if ((st = api->GetDimensionsCount(info, rank))) return st;
  if (*rank > max) return api->CreateStatus(ORT_FAIL, "a tensor has too many dimensions");
  return api->GetDimensions(info, dims, *rank);
}

OrtStatus *cg_describe(const OrtApi *api, const OrtValue *value, int *type, int64_t *dims, size_t max, size_t *rank,
                       void **data, size_t *size) {
  OrtTensorTypeAndShapeInfo *info = NULL;
  OrtStatus *st = api->GetTensorTypeAndShape(value, &info);
  if (st) return st;
  st = shape_of(api, info, type, dims, max, rank);
  api->ReleaseTensorTypeAndShapeInfo(info);
  if (st) return st;
  if ((st = api->GetTensorSizeInBytes(value, size))) return st;
  return api->GetTensorMutableData((OrtValue *)value, data);
}

void cg_release_value(const OrtApi *api, OrtValue *value) { api->ReleaseValue(value); }

OrtStatus *cg_add_initializer(const OrtApi *api, OrtSessionOptions *o, const char *name, const OrtValue *value) {
  return api->AddInitializer(o, name, value);
}
OrtStatus *cg_add_external(const OrtApi *api, OrtSessionOptions *o, const char *name, const OrtValue *value) {
  return api->AddExternalInitializers(o, &name, &value, 1);
}
OrtStatus *cg_cancel_load(const OrtApi *api, OrtSessionOptions *o) {
  return api->SessionOptionsSetLoadCancellationFlag(o, true);
}

OrtStatus *cg_session(const OrtApi *api, const OrtEnv *env, const void *model, size_t size,
                      const OrtSessionOptions *o, OrtSession **session) {
  return api->CreateSessionFromArray(env, model, size, o, session);
}
void cg_release_session(const OrtApi *api, OrtSession *session) { api->ReleaseSession(session); }

OrtStatus *cg_count(const OrtApi *api, const OrtSession *s, int outputs, size_t *n) {
  return outputs ? api->SessionGetOutputCount(s, n) : api->SessionGetInputCount(s, n);
}

OrtStatus *cg_name(const OrtApi *api, const OrtSession *s, int outputs, size_t i, char *name, size_t max) {
  OrtAllocator *alloc = NULL;
  char *got = NULL;
  OrtStatus *st = api->GetAllocatorWithDefaultOptions(&alloc);
  if (st) return st;
  st = outputs ? api->SessionGetOutputName(s, i, alloc, &got) : api->SessionGetInputName(s, i, alloc, &got);
  if (st) return st;
  if (strlen(got) < max) {
    strcpy(name, got);
  } else {
    st = api->CreateStatus(ORT_FAIL, "an input or output has too long a name");
  }
  OrtStatus *freed = api->AllocatorFree(alloc, got);
  if (st == NULL) return freed;
  if (freed) api->ReleaseStatus(freed);
  return st;
}

OrtStatus *cg_info(const OrtApi *api, const OrtSession *s, int outputs, size_t i, int *type, int64_t *dims, size_t max,
                   size_t *rank) {
  OrtTypeInfo *info = NULL;
  OrtStatus *st = outputs ? api->SessionGetOutputTypeInfo(s, i, &info) : api->SessionGetInputTypeInfo(s, i, &info);
  if (st) return st;
  const OrtTensorTypeAndShapeInfo *tensor = NULL;
  st = api->CastTypeInfoToTensorInfo(info, &tensor);
  if (st == NULL && tensor == NULL) st = api->CreateStatus(ORT_FAIL, "an input or output is not a tensor");
  if (st == NULL) st = shape_of(api, tensor, type, dims, max, rank);
  api->ReleaseTypeInfo(info);
  return st;
}

OrtStatus *cg_run_config(const OrtApi *api, OrtRunOptions *o, const char *key, const char *value) {
  return api->AddRunConfigEntry(o, key, value);
}
OrtStatus *cg_run(const OrtApi *api, OrtSession *s, const OrtRunOptions *o, const char *const *in_names,
                  const OrtValue *const *in, size_t n_in, const char *const *out_names, size_t n_out, OrtValue **out) {
  return api->Run(s, o, in_names, in, n_in, out_names, n_out, out);
}

OrtStatus *cg_binding(const OrtApi *api, OrtSession *s, OrtIoBinding **b) { return api->CreateIoBinding(s, b); }
void cg_release_binding(const OrtApi *api, OrtIoBinding *b) { api->ReleaseIoBinding(b); }
OrtStatus *cg_bind_input(const OrtApi *api, OrtIoBinding *b, const char *name, const OrtValue *v) {
  OrtStatus *st = api->BindInput(b, name, v);
  return st ? st : api->SynchronizeBoundInputs(b);
}
OrtStatus *cg_bind_output(const OrtApi *api, OrtIoBinding *b, const char *name, const OrtMemoryInfo *info) {
  return api->BindOutputToDevice(b, name, info);
}
OrtStatus *cg_bind_output_value(const OrtApi *api, OrtIoBinding *b, const char *name, const OrtValue *v) {
  return api->BindOutput(b, name, v);
}
OrtStatus *cg_run_bound(const OrtApi *api, OrtSession *s, const OrtRunOptions *o, OrtIoBinding *b) {
  OrtStatus *st = api->RunWithBinding(s, o, b);
  return st ? st : api->SynchronizeBoundOutputs(b);
}

// cg_bound_outputs hands over the n outputs in the order in which they were bound.
OrtStatus *cg_bound_outputs(const OrtApi *api, const OrtIoBinding *b, OrtValue **out, size_t n) {
  OrtAllocator *alloc = NULL;
  OrtValue **got = NULL;
  size_t have = 0;
  OrtStatus *st = api->GetAllocatorWithDefaultOptions(&alloc);
  if (st) return st;
  if ((st = api->GetBoundOutputValues(b, alloc, &got, &have))) return st;
  for (size_t i = 0; i < have; i++) {
    if (i < n) {
      out[i] = got[i];
    } else {
      api->ReleaseValue(got[i]);
    }
  }
  if (have < n) st = api->CreateStatus(ORT_FAIL, "fewer outputs than were bound");
  OrtStatus *freed = got ? api->AllocatorFree(alloc, got) : NULL;
  if (st == NULL) return freed;
  if (freed) api->ReleaseStatus(freed);
  return st;
}
