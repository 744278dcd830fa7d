// The operators of domain "comfygo". A callback never throws and never calls into Go.
#include "dequant.h"
#include "shim.h"
#include "widen.h"

enum { WIDEN, WIDEN_BLOCKED, DEQUANTIZE };
enum { CHUNK = 1 << 16, MAX_RANK = 8 };

typedef struct {
  OrtCustomOp op;  // first, so that a pointer to it is a pointer to the whole
  int kind;
} custom_op;

typedef struct {
  const OrtApi *api;
  int kind;
  int64_t block;
  int64_t format, cols, first;  // of DEQUANTIZE
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

typedef struct {
  cg_matrix m;
  float *dst;
  size_t rows;  // of one chunk
} dequantize_job;

static void dequantize_chunk(void *arg, size_t i) {
  const dequantize_job *j = arg;
  size_t from = i * j->rows, n = j->m.rows - from < j->rows ? j->m.rows - from : j->rows;
  cg_dequantize(&j->m, from, n, j->dst + from * j->m.cols);
}

// optional_input finds the data of input i, of the wanted element type; data stays NULL when there is none.
static OrtStatus *optional_input(const OrtApi *api, OrtKernelContext *ctx, size_t i, int want, const void **data, size_t *n) {
  const OrtValue *in = NULL;
  int type = 0;
  int64_t dims[MAX_RANK];
  size_t rank = 0, size = 0;
  void *p = NULL;
  OrtStatus *st = api->KernelContext_GetInput(ctx, i, &in);
  if (st || in == NULL) return st;
  if ((st = cg_describe(api, in, &type, dims, MAX_RANK, &rank, &p, &size))) return st;
  if (type != want) return api->CreateStatus(ORT_INVALID_ARGUMENT, "comfygo: Dequantize is given a part of another type");
  *n = 1;
  for (size_t k = 0; k < rank; k++) *n *= (size_t)dims[k];
  *data = p;
  return NULL;
}

// blocks_of is the number of block scales of rows x cols elements, with those that fill the last tiles.
static size_t blocks_of(size_t rows, size_t cols, size_t elements) {
  return (rows + 127) / 128 * 128 * ((cols / elements + 3) / 4 * 4);
}

static OrtStatus *compute_dequantize(const kernel *k, OrtKernelContext *ctx) {
  const void *data = NULL, *blocks = NULL, *scales = NULL;
  size_t n = 0, n_blocks = 0, n_scales = 0, elements = 0, bytes = 0;
  OrtStatus *st = optional_input(k->api, ctx, 0, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, &data, &n);
  if (st == NULL) st = optional_input(k->api, ctx, 1, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, &blocks, &n_blocks);
  if (st == NULL) st = optional_input(k->api, ctx, 2, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &scales, &n_scales);
  if (st) return st;
  size_t cols = (size_t)k->cols, first = (size_t)k->first;
  int fits = data != NULL && cg_block_size((int)k->format, &elements, &bytes) && cols > 0 && cols % elements == 0;
  size_t row = fits ? cols / elements * bytes : 1, rows = n / row;
  fits = fits && n % row == 0 && (n_scales <= 1 || n_scales >= first + rows);
  if (k->format == CG_MX8 || k->format == CG_NV4) fits = fits && blocks != NULL && n_blocks >= blocks_of(first + rows, cols, elements);
  if (!fits) return k->api->CreateStatus(ORT_INVALID_ARGUMENT, "comfygo: the parts of a quantized matrix do not fit each other");

  int64_t dims[2] = {(int64_t)rows, k->cols};
  OrtValue *out = NULL;
  void *dst = NULL;
  st = k->api->KernelContext_GetOutput(ctx, 0, dims, 2, &out);
  if (st == NULL) st = k->api->GetTensorMutableData(out, &dst);
  if (st || rows == 0) return st;
  dequantize_job job = {{data, blocks, NULL, 1, (int)k->format, first, rows, cols}, dst, (CHUNK + cols - 1) / cols};
  if (n_scales == 1) job.m.scale = *(const float *)scales;
  if (n_scales > 1) job.m.row_scales = scales;
  return k->api->KernelContext_ParallelFor(ctx, dequantize_chunk, (rows + job.rows - 1) / job.rows, 0, &job);
}

static OrtStatusPtr ORT_API_CALL compute(void *state, OrtKernelContext *ctx) {
  const kernel *k = state;
  if (k->kind == DEQUANTIZE) return compute_dequantize(k, ctx);
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
  if (k->kind == DEQUANTIZE) {
    OrtStatus *st = api->KernelInfoGetAttribute_int64(info, "format", &k->format);
    if (st == NULL) st = api->KernelInfoGetAttribute_int64(info, "cols", &k->cols);
    if (st == NULL) st = api->KernelInfoGetAttribute_int64(info, "first", &k->first);
    if (st == NULL && (k->cols <= 0 || k->first < 0)) {
      st = api->CreateStatus(ORT_INVALID_ARGUMENT, "comfygo: cols must be positive and first not negative");
    }
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
// whole reads an integer attribute.
static OrtStatus *whole(OrtShapeInferContext *ctx, const char *name, int64_t *v) {
  const OrtOpAttr *attr = NULL;
  size_t got = 0;
  OrtStatus *st = the_api->ShapeInferContext_GetAttribute(ctx, name, &attr);
  return st ? st : the_api->ReadOpAttr(attr, ORT_OP_ATTR_INT, v, sizeof *v, &got);
}

// infer_dequantize gives the output as many rows as the bytes make.
static OrtStatusPtr ORT_API_CALL infer_dequantize(const OrtCustomOp *op, OrtShapeInferContext *ctx) {
  OrtTensorTypeAndShapeInfo *in = NULL, *out = NULL;
  int64_t n = 0, format = 0, cols = 0;
  size_t rank = 0, elements = 0, bytes = 0;
  OrtStatus *st = the_api->ShapeInferContext_GetInputTypeShape(ctx, 0, &in);  // belongs to ctx
  if (st == NULL) st = the_api->GetDimensionsCount(in, &rank);
  if (st || rank != 1) return st;
  if ((st = the_api->GetDimensions(in, &n, 1))) return st;
  if ((st = whole(ctx, "format", &format)) || (st = whole(ctx, "cols", &cols))) return st;
  if (!cg_block_size((int)format, &elements, &bytes) || cols <= 0 || n < 0 || cols % (int64_t)elements != 0) {
    return the_api->CreateStatus(ORT_INVALID_ARGUMENT, "comfygo: Dequantize is given a format or width that it does not know");
  }
  int64_t dims[2] = {n / (cols / (int64_t)elements * (int64_t)bytes), cols};
  if ((st = the_api->CreateTensorTypeAndShapeInfo(&out))) return st;
  st = the_api->SetTensorElementType(out, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT);
  if (st == NULL) st = the_api->SetDimensions(out, dims, 2);
  if (st == NULL) st = the_api->ShapeInferContext_SetOutputTypeShape(ctx, 0, out);
  the_api->ReleaseTensorTypeAndShapeInfo(out);
  return st;
}

static const char *ORT_API_CALL name_dequantize(const OrtCustomOp *op) { return "Dequantize"; }
static const char *ORT_API_CALL name_blocked(const OrtCustomOp *op) { return "WidenBlocked"; }
static const char *ORT_API_CALL provider(const OrtCustomOp *op) { return NULL; }  // NULL is the CPU
static ONNXTensorElementDataType ORT_API_CALL input_type(const OrtCustomOp *op, size_t i) {
  return ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;  // any
}
static ONNXTensorElementDataType ORT_API_CALL output_type(const OrtCustomOp *op, size_t i) {
  return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
}
static size_t ORT_API_CALL two(const OrtCustomOp *op) { return 2; }
static size_t ORT_API_CALL four(const OrtCustomOp *op) { return 4; }
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

#define CUSTOM_OP(name_fn, kind_value, inputs_fn, infer_fn)                                                     \
  {                                                                                                             \
    .op = {.version = ORT_API_VERSION,                                                                          \
           .GetName = name_fn,                                                                                  \
           .GetExecutionProviderType = provider,                                                                \
           .GetInputType = input_type,                                                                          \
           .GetInputTypeCount = inputs_fn,                                                                      \
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
           .InferOutputShapeFn = infer_fn,                                                                      \
           .GetStartVersion = first_version,                                                                    \
           .GetEndVersion = last_version},                                                                      \
    .kind = kind_value                                                                                          \
  }

static const custom_op ops[] = {CUSTOM_OP(name_widen, WIDEN, two, infer), CUSTOM_OP(name_blocked, WIDEN_BLOCKED, two, infer),
                                CUSTOM_OP(name_dequantize, DEQUANTIZE, four, infer_dequantize)};

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
