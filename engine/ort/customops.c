// The operators of domain "comfygo". A callback never throws and never calls into Go.
#include "shim.h"
#include "widen.h"

enum { WIDEN, WIDEN_BLOCKED };
enum { CHUNK = 1 << 16, MAX_RANK = 8 };

typedef struct {
  OrtCustomOp op;  // first, so that a pointer to it is a pointer to the whole
  int kind;
} custom_op;

typedef struct {
  const OrtApi *api;
  int kind;
  int64_t block;
} kernel;

typedef struct {
  const char *src;
  int type;
  float *dst;
  size_t n;
} widen_job;

static const OrtApi *the_api;  // the process has one ONNX Runtime

static void widen_chunk(void *arg, size_t i) {
  const widen_job *j = arg;
  size_t from = i * CHUNK, n = j->n - from < CHUNK ? j->n - from : CHUNK;
  cg_widen(j->src + from * (j->type == CG_F32 ? 4 : 2), j->type, j->dst + from, n);
}

static void block_row(void *arg, size_t i) { cg_block(arg, i); }

// input_of describes the weight that an operator is given.
static OrtStatus *input_of(const OrtApi *api, OrtKernelContext *ctx, int *type, int64_t *dims, size_t *rank,
                           void **data) {
  const OrtValue *in = NULL;
  size_t size = 0;
  OrtStatus *st = api->KernelContext_GetInput(ctx, 0, &in);
  if (st == NULL && in == NULL) st = api->CreateStatus(ORT_INVALID_ARGUMENT, "comfygo: the weight is missing");
  if (st == NULL) st = cg_describe(api, in, type, dims, MAX_RANK, rank, data, &size);
  if (st == NULL && *type != CG_F16 && *type != CG_BF16 && *type != CG_F32) {
    st = api->CreateStatus(ORT_INVALID_ARGUMENT, "comfygo: the weight is neither float16, bfloat16 nor float32");
  }
  return st;
}

static OrtStatus *compute_widen(const kernel *k, OrtKernelContext *ctx, int type, const int64_t *dims, size_t rank,
                                const void *src) {
  OrtValue *out = NULL;
  void *dst = NULL;
  widen_job job = {src, type, NULL, 1};
  for (size_t i = 0; i < rank; i++) job.n *= (size_t)dims[i];
  OrtStatus *st = k->api->KernelContext_GetOutput(ctx, 0, dims, rank, &out);
  if (st == NULL) st = k->api->GetTensorMutableData(out, &dst);
  if (st || job.n == 0) return st;
  job.dst = dst;
  return k->api->KernelContext_ParallelFor(ctx, widen_chunk, (job.n + CHUNK - 1) / CHUNK, 0, &job);
}

static OrtStatus *compute_blocked(const kernel *k, OrtKernelContext *ctx, int type, int64_t *dims, size_t rank,
                                  const void *src) {
  int64_t b = k->block;
  if (rank != 4 || (dims[1] >= b && dims[1] % b != 0)) {
    return k->api->CreateStatus(ORT_INVALID_ARGUMENT,
                                "comfygo: WidenBlocked wants [O,I,kh,kw] with I below or a multiple of the block");
  }
  cg_conv w = {src, type, NULL, (size_t)dims[0], (size_t)dims[1], (size_t)(dims[2] * dims[3]), (size_t)b};
  dims[0] = (dims[0] + b - 1) / b * b;
  OrtValue *out = NULL;
  void *dst = NULL;
  OrtStatus *st = k->api->KernelContext_GetOutput(ctx, 0, dims, rank, &out);
  if (st == NULL) st = k->api->GetTensorMutableData(out, &dst);
  if (st || w.o * w.i * w.k == 0) return st;
  w.dst = dst;
  return k->api->KernelContext_ParallelFor(ctx, block_row, (size_t)(dims[0] / b), 0, &w);
}

static OrtStatusPtr ORT_API_CALL compute(void *state, OrtKernelContext *ctx) {
  const kernel *k = state;
  int type = 0;
  int64_t dims[MAX_RANK];
  size_t rank = 0;
  void *src = NULL;
  OrtStatus *st = input_of(k->api, ctx, &type, dims, &rank, &src);
  if (st) return st;
  if (k->kind == WIDEN) return compute_widen(k, ctx, type, dims, rank, src);
  return compute_blocked(k, ctx, type, dims, rank, src);
}

static OrtStatusPtr ORT_API_CALL create(const OrtCustomOp *op, const OrtApi *api, const OrtKernelInfo *info,
                                        void **out) {
  kernel *k = calloc(1, sizeof *k);
  if (k == NULL) return api->CreateStatus(ORT_FAIL, "comfygo: out of memory");
  k->api = api;
  k->kind = ((const custom_op *)op)->kind;
  if (k->kind == WIDEN_BLOCKED) {
    OrtStatus *st = api->KernelInfoGetAttribute_int64(info, "block", &k->block);
    if (st == NULL && k->block <= 0) st = api->CreateStatus(ORT_INVALID_ARGUMENT, "comfygo: block must be positive");
    if (st) {
      free(k);
      return st;
    }
  }
  *out = k;
  return NULL;
}

static void ORT_API_CALL destroy(void *state) { free(state); }

// infer gives the output the shape of the weight; the first axis of a blocked one grows to whole blocks when its size is
// known, and has to be of whole blocks otherwise.
static OrtStatusPtr ORT_API_CALL infer(const OrtCustomOp *op, OrtShapeInferContext *ctx) {
  OrtTensorTypeAndShapeInfo *in = NULL, *out = NULL;
  int64_t dims[MAX_RANK], block = 1;
  const char *names[MAX_RANK];  // of sizes that are known at run time only; the planner tells them apart by these
  size_t rank = 0, got = 0;
  OrtStatus *st = the_api->ShapeInferContext_GetInputTypeShape(ctx, 0, &in);  // belongs to ctx
  if (st == NULL) st = the_api->GetDimensionsCount(in, &rank);
  if (st || rank > MAX_RANK) return st;
  if ((st = the_api->GetDimensions(in, dims, rank))) return st;
  if ((st = the_api->GetSymbolicDimensions(in, names, rank))) return st;
  if (((const custom_op *)op)->kind == WIDEN_BLOCKED) {
    const OrtOpAttr *attr = NULL;
    st = the_api->ShapeInferContext_GetAttribute(ctx, "block", &attr);
    if (st == NULL) st = the_api->ReadOpAttr(attr, ORT_OP_ATTR_INT, &block, sizeof block, &got);
    if (st) return st;
    if (rank > 0 && dims[0] > 0 && block > 0) dims[0] = (dims[0] + block - 1) / block * block;
  }
  if ((st = the_api->CreateTensorTypeAndShapeInfo(&out))) return st;
  st = the_api->SetTensorElementType(out, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT);
  if (st == NULL) st = the_api->SetDimensions(out, dims, rank);
  if (st == NULL) st = the_api->SetSymbolicDimensions(out, names, rank);
  if (st == NULL) st = the_api->ShapeInferContext_SetOutputTypeShape(ctx, 0, out);
  the_api->ReleaseTensorTypeAndShapeInfo(out);
  return st;
}

static const char *ORT_API_CALL name_widen(const OrtCustomOp *op) { return "Widen"; }
static const char *ORT_API_CALL name_blocked(const OrtCustomOp *op) { return "WidenBlocked"; }
static const char *ORT_API_CALL provider(const OrtCustomOp *op) { return NULL; }  // NULL is the CPU
static ONNXTensorElementDataType ORT_API_CALL input_type(const OrtCustomOp *op, size_t i) {
  return ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;  // any
}
static ONNXTensorElementDataType ORT_API_CALL output_type(const OrtCustomOp *op, size_t i) {
  return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
}
static size_t ORT_API_CALL two(const OrtCustomOp *op) { return 2; }
static size_t ORT_API_CALL one(const OrtCustomOp *op) { return 1; }
static OrtCustomOpInputOutputCharacteristic ORT_API_CALL input_kind(const OrtCustomOp *op, size_t i) {
  return i == 0 ? INPUT_OUTPUT_REQUIRED : INPUT_OUTPUT_OPTIONAL;
}
static OrtCustomOpInputOutputCharacteristic ORT_API_CALL output_kind(const OrtCustomOp *op, size_t i) {
  return INPUT_OUTPUT_REQUIRED;
}
static OrtMemType ORT_API_CALL memory_type(const OrtCustomOp *op, size_t i) { return OrtMemTypeDefault; }
static int ORT_API_CALL zero_arity(const OrtCustomOp *op) { return 0; }
static int ORT_API_CALL first_version(const OrtCustomOp *op) { return 1; }
static int ORT_API_CALL last_version(const OrtCustomOp *op) { return 0x7fffffff; }

#define CUSTOM_OP(name_fn, kind_value)                                                                          \
  {                                                                                                             \
    .op = {.version = ORT_API_VERSION,                                                                          \
           .GetName = name_fn,                                                                                  \
           .GetExecutionProviderType = provider,                                                                \
           .GetInputType = input_type,                                                                          \
           .GetInputTypeCount = two,                                                                            \
           .GetOutputType = output_type,                                                                        \
           .GetOutputTypeCount = one,                                                                           \
           .KernelDestroy = destroy,                                                                            \
           .GetInputCharacteristic = input_kind,                                                                \
           .GetOutputCharacteristic = output_kind,                                                              \
           .GetInputMemoryType = memory_type,                                                                   \
           .GetVariadicInputMinArity = zero_arity,                                                              \
           .GetVariadicInputHomogeneity = zero_arity,                                                           \
           .GetVariadicOutputMinArity = zero_arity,                                                             \
           .GetVariadicOutputHomogeneity = zero_arity,                                                          \
           .CreateKernelV2 = create,                                                                            \
           .KernelComputeV2 = compute,                                                                          \
           .InferOutputShapeFn = infer,                                                                         \
           .GetStartVersion = first_version,                                                                    \
           .GetEndVersion = last_version},                                                                      \
    .kind = kind_value                                                                                          \
  }

static const custom_op ops[] = {CUSTOM_OP(name_widen, WIDEN), CUSTOM_OP(name_blocked, WIDEN_BLOCKED)};

OrtStatus *cg_custom_ops(const OrtApi *api, OrtCustomOpDomain **domain) {
  the_api = api;
  OrtStatus *st = api->CreateCustomOpDomain("comfygo", domain);
  for (size_t i = 0; st == NULL && i < sizeof ops / sizeof ops[0]; i++) st = api->CustomOpDomain_Add(*domain, &ops[i].op);
  return st;
}

OrtStatus *cg_use_custom_ops(const OrtApi *api, OrtSessionOptions *o, OrtCustomOpDomain *domain) {
  return api->AddCustomOpDomain(o, domain);
}

void cg_release_custom_ops(const OrtApi *api, OrtCustomOpDomain *domain) { api->ReleaseCustomOpDomain(domain); }
