// The operators of domain "comfygo". A callback never throws and never calls into Go.
#include "dequant.h"
#include "ops.h"

#include <stdatomic.h>

enum { WIDEN, WIDEN_BLOCKED, LINEAR, CONV, DEQUANTIZE, GROUP_NORM };
enum { CHUNK = 1 << 16, MAX_RANK = CG_MAX_RANK };

typedef struct {
  OrtCustomOp op;  // first, so that a pointer to it is a pointer to the whole
  int kind;
  size_t inputs, required;
} custom_op;

typedef cg_kernel kernel;

static const custom_op *whole(const OrtCustomOp *op) { return (const custom_op *)op; }

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

int cg_is_weight(int type) { return type == CG_F16 || type == CG_BF16 || type == CG_F32; }

OrtStatus *cg_get_input(const kernel *k, OrtKernelContext *ctx, size_t i, cg_input *in) {
  const OrtValue *v = NULL;
  size_t size = 0;
  memset(in, 0, sizeof *in);
  OrtStatus *st = k->api->KernelContext_GetInput(ctx, i, &v);
  if (st || v == NULL) return st;
  st = cg_describe(k->api, v, &in->type, in->dims, MAX_RANK, &in->rank, &in->data, &size);
  in->count = 1;
  for (size_t d = 0; d < in->rank; d++) in->count *= (size_t)in->dims[d];
  return st;
}

OrtStatus *cg_get_output(const kernel *k, OrtKernelContext *ctx, const int64_t *dims, size_t rank, void **data) {
  OrtValue *out = NULL;
  OrtStatus *st = k->api->KernelContext_GetOutput(ctx, 0, dims, rank, &out);
  return st ? st : k->api->GetTensorMutableData(out, data);
}

void *cg_alloc(const kernel *k, size_t bytes) {
  void *p = NULL;
  OrtStatus *st = k->api->AllocatorAlloc(k->arena, bytes, &p);
  if (st) k->api->ReleaseStatus(st);
  return st ? NULL : p;
}

void cg_free(const kernel *k, void *p) {
  OrtStatus *st = k->api->AllocatorFree(k->arena, p);
  if (st) k->api->ReleaseStatus(st);
}

static OrtStatus *compute_widen(const kernel *k, OrtKernelContext *ctx, const cg_input *w) {
  void *dst = NULL;
  widen_job job = {w->data, w->type, NULL, w->count};
  OrtStatus *st = cg_get_output(k, ctx, w->dims, w->rank, &dst);
  if (st || job.n == 0) return st;
  job.dst = dst;
  return k->api->KernelContext_ParallelFor(ctx, widen_chunk, (job.n + CHUNK - 1) / CHUNK, 0, &job);
}

static OrtStatus *compute_blocked(const kernel *k, OrtKernelContext *ctx, cg_input *in) {
  int64_t b = k->block, *dims = in->dims;
  if (in->rank != 4 || (dims[1] >= b && dims[1] % b != 0)) {
    return k->api->CreateStatus(ORT_INVALID_ARGUMENT,
                                "comfygo: WidenBlocked wants [O,I,kh,kw] with I below or a multiple of the block");
  }
  cg_conv w = {in->data, in->type, NULL, (size_t)dims[0], (size_t)dims[1], (size_t)(dims[2] * dims[3]), (size_t)b};
  dims[0] = (dims[0] + b - 1) / b * b;
  void *dst = NULL;
  OrtStatus *st = cg_get_output(k, ctx, dims, in->rank, &dst);
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

// part finds the data of input i, of the wanted element type; data stays NULL when there is none.
static OrtStatus *part(const kernel *k, OrtKernelContext *ctx, size_t i, int want, const void **data, size_t *n) {
  cg_input in;
  OrtStatus *st = cg_get_input(k, ctx, i, &in);
  if (st || in.data == NULL) return st;
  if (in.type != want) return k->api->CreateStatus(ORT_INVALID_ARGUMENT, "comfygo: Dequantize is given a part of another type");
  *n = in.count;
  *data = in.data;
  return NULL;
}

// blocks_of is the number of block scales of rows x cols elements, with those that fill the last tiles.
static size_t blocks_of(size_t rows, size_t cols, size_t elements) {
  return (rows + 127) / 128 * 128 * ((cols / elements + 3) / 4 * 4);
}

static OrtStatus *compute_dequantize(const kernel *k, OrtKernelContext *ctx) {
  const void *data = NULL, *blocks = NULL, *scales = NULL;
  size_t n = 0, n_blocks = 0, n_scales = 0, elements = 0, bytes = 0;
  OrtStatus *st = part(k, ctx, 0, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, &data, &n);
  if (st == NULL) st = part(k, ctx, 1, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, &blocks, &n_blocks);
  if (st == NULL) st = part(k, ctx, 2, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &scales, &n_scales);
  if (st) return st;
  size_t cols = (size_t)k->cols, first = (size_t)k->first;
  int fits = data != NULL && cg_block_size((int)k->format, &elements, &bytes) && cols > 0 && cols % elements == 0;
  size_t row = fits ? cols / elements * bytes : 1, rows = n / row;
  int grouped = k->format >= CG_GROUPED;
  const float *levels = NULL;
  if (grouped) {
    fits = fits && scales != NULL && n_scales >= 16 && n_blocks >= (first + rows) * (cols / elements);
    levels = scales;
    if (fits) n_scales -= 16;
    scales = fits && n_scales > 0 ? levels + 16 : NULL;
    fits = fits && (n_scales == 0 || n_scales >= first + rows);
  }
  fits = fits && n % row == 0 && (n_scales <= 1 || n_scales >= first + rows);
  if (k->format == CG_MX8 || k->format == CG_NV4) fits = fits && blocks != NULL && n_blocks >= blocks_of(first + rows, cols, elements);
  if (!fits) return k->api->CreateStatus(ORT_INVALID_ARGUMENT, "comfygo: the parts of a quantized matrix do not fit each other");

  int64_t dims[2] = {(int64_t)rows, k->cols};
  void *dst = NULL;
  st = cg_get_output(k, ctx, dims, 2, &dst);
  if (st || rows == 0) return st;
  dequantize_job job = {{data, blocks, NULL, levels, 1, (int)k->format, first, rows, cols}, dst, (CHUNK + cols - 1) / cols};
  if (n_scales == 1 && !grouped) job.m.scale = *(const float *)scales;
  if (n_scales > 1 || (n_scales == 1 && grouped)) job.m.row_scales = scales;
  return k->api->KernelContext_ParallelFor(ctx, dequantize_chunk, (rows + job.rows - 1) / job.rows, 0, &job);
}

static OrtStatusPtr ORT_API_CALL compute(void *state, OrtKernelContext *ctx) {
  kernel *k = state;
  if (k->kind == DEQUANTIZE) return compute_dequantize(k, ctx);
  if (k->kind == LINEAR) return cg_compute_linear(k, ctx);
  if (k->kind == CONV) return cg_compute_conv(k, ctx);
  if (k->kind == GROUP_NORM) return cg_compute_norm(k, ctx);
  cg_input w;
  OrtStatus *st = cg_get_input(k, ctx, 0, &w);
  if (st) return st;
  if (!cg_is_weight(w.type)) {
    return k->api->CreateStatus(ORT_INVALID_ARGUMENT, "comfygo: the weight is neither float16, bfloat16 nor float32");
  }
  return k->kind == WIDEN ? compute_widen(k, ctx, &w) : compute_blocked(k, ctx, &w);
}

static void ORT_API_CALL destroy(void *state) {
  kernel *k = state;
  if (k->memo) cg_forget(k->memo, &k->kept);
  if (k->arena) k->api->ReleaseAllocator(k->arena);
  free(k);
}

// memo_of finds the memo of the session that a kernel is made for: Go puts its address into the session's configuration.
static OrtStatus *memo_of(const OrtApi *api, const OrtKernelInfo *info, cg_memo **memo) {
  OrtKeyValuePairs *config = NULL;
  OrtStatus *st = api->KernelInfo_GetConfigEntries(info, &config);
  if (st) return st;
  const char *address = api->GetKeyValue(config, CG_MEMO_KEY);
  *memo = address ? (cg_memo *)(uintptr_t)strtoull(address, NULL, 10) : NULL;
  api->ReleaseKeyValuePairs(config);
  return *memo ? NULL : api->CreateStatus(ORT_FAIL, "comfygo: the session has no memo for a Linear that remembers");
}

static OrtStatusPtr ORT_API_CALL create(const OrtCustomOp *op, const OrtApi *api, const OrtKernelInfo *info,
                                        void **out) {
  kernel *k = calloc(1, sizeof *k);
  if (k == NULL) return api->CreateStatus(ORT_FAIL, "comfygo: out of memory");
  k->api = api;
  k->kind = whole(op)->kind;
  k->simd = cg_simd_of_cpu();
  k->simd8 = cg_int8_of_cpu();
  k->tiles = cg_tiles_of_cpu();
  OrtStatus *st = api->KernelInfoGetAllocator(info, OrtMemTypeDefault, &k->arena);
  if (st == NULL && k->kind == LINEAR) st = api->KernelInfoGetAttribute_int64(info, "gated", &k->gated);
  if (st == NULL && k->kind == LINEAR) st = api->KernelInfoGetAttribute_int64(info, "remember", &k->remember);
  if (st == NULL && k->kind == LINEAR) st = api->KernelInfoGetAttribute_int64(info, "narrow", &k->narrow);
  if (st == NULL && k->kind == CONV) {
    OrtStatus *without = api->KernelInfoGetAttribute_int64(info, "narrow", &k->narrow);
    if (without) api->ReleaseStatus(without);
  }
  if (st == NULL && k->remember) st = memo_of(api, info, &k->memo);
  if (st == NULL && k->kind == WIDEN_BLOCKED) {
    st = api->KernelInfoGetAttribute_int64(info, "block", &k->block);
    if (st == NULL && k->block <= 0) st = api->CreateStatus(ORT_INVALID_ARGUMENT, "comfygo: block must be positive");
  }
  if (st == NULL && k->kind == DEQUANTIZE) {
    st = api->KernelInfoGetAttribute_int64(info, "format", &k->format);
    if (st == NULL) st = api->KernelInfoGetAttribute_int64(info, "cols", &k->cols);
    if (st == NULL) st = api->KernelInfoGetAttribute_int64(info, "first", &k->first);
    if (st == NULL && (k->cols <= 0 || k->first < 0)) {
      st = api->CreateStatus(ORT_INVALID_ARGUMENT, "comfygo: cols must be positive and first not negative");
    }
  }
  if (st == NULL && k->kind == GROUP_NORM) {
    st = api->KernelInfoGetAttribute_int64(info, "groups", &k->groups);
    if (st == NULL) st = api->KernelInfoGetAttribute_int64(info, "silu", &k->silu);
    if (st == NULL) st = api->KernelInfoGetAttribute_float(info, "epsilon", &k->epsilon);
    if (st == NULL && k->groups <= 0) st = api->CreateStatus(ORT_INVALID_ARGUMENT, "comfygo: groups must be positive");
  }
  if (st) {
    destroy(k);
    return st;
  }
  *out = k;
  return NULL;
}

// shape is what shape inference knows of a value; sizes that are known at run time only have names, by which the memory
// planner tells them apart.
typedef struct {
  size_t rank;
  int64_t dims[MAX_RANK];
  const char *names[MAX_RANK];
} shape;

static OrtStatus *known(OrtShapeInferContext *ctx, size_t i, shape *s) {
  OrtTensorTypeAndShapeInfo *in = NULL;
  OrtStatus *st = the_api->ShapeInferContext_GetInputTypeShape(ctx, i, &in);  // belongs to ctx
  if (st == NULL) st = the_api->GetDimensionsCount(in, &s->rank);
  if (st == NULL && s->rank > MAX_RANK) st = the_api->CreateStatus(ORT_FAIL, "comfygo: a tensor has too many dimensions");
  if (st == NULL) st = the_api->GetDimensions(in, s->dims, s->rank);
  if (st == NULL) st = the_api->GetSymbolicDimensions(in, s->names, s->rank);  // sets the first ones only, if any
  for (size_t d = 0; d < s->rank; d++) {
    if (s->names[d] == NULL) s->names[d] = "";
  }
  return st;
}

static OrtStatus *attribute(OrtShapeInferContext *ctx, const char *name, int64_t *value) {
  const OrtOpAttr *attr = NULL;
  size_t got = 0;
  OrtStatus *st = the_api->ShapeInferContext_GetAttribute(ctx, name, &attr);
  return st ? st : the_api->ReadOpAttr(attr, ORT_OP_ATTR_INT, value, sizeof *value, &got);
}

// result sets the shape of the output. A size that is not known and has no name gets one that no other has: without it the
// library takes it for the number -1.
static OrtStatus *result(OrtShapeInferContext *ctx, shape *s) {
  static atomic_uint next;
  char made[MAX_RANK][32];
  for (size_t d = 0; d < s->rank; d++) {
    if (s->dims[d] >= 0 || s->names[d][0] != 0) continue;
    snprintf(made[d], sizeof made[d], "comfygo_%u", atomic_fetch_add(&next, 1));
    s->names[d] = made[d];
  }
  OrtTensorTypeAndShapeInfo *out = NULL;
  OrtStatus *st = the_api->CreateTensorTypeAndShapeInfo(&out);
  if (st) return st;
  st = the_api->SetTensorElementType(out, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT);
  if (st == NULL) st = the_api->SetDimensions(out, s->dims, s->rank);
  if (st == NULL) st = the_api->SetSymbolicDimensions(out, (const char **)s->names, s->rank);
  if (st == NULL) st = the_api->ShapeInferContext_SetOutputTypeShape(ctx, 0, out);
  the_api->ReleaseTensorTypeAndShapeInfo(out);
  return st;
}

// infer gives a widened weight and the result of a norm their shape; the first axis of a blocked one grows to whole blocks when its size is known, and
// has to be of whole blocks otherwise.
static OrtStatusPtr ORT_API_CALL infer(const OrtCustomOp *op, OrtShapeInferContext *ctx) {
  shape s = {0};
  int64_t block = 1;
  OrtStatus *st = known(ctx, 0, &s);
  if (st == NULL && whole(op)->kind == WIDEN_BLOCKED) {
    st = attribute(ctx, "block", &block);
    if (st == NULL && s.rank > 0 && s.dims[0] > 0 && block > 0) s.dims[0] = (s.dims[0] + block - 1) / block * block;
  }
  return st ? st : result(ctx, &s);
}

// infer_linear gives the result of Linear the shape of x but for the last axis.
static OrtStatusPtr ORT_API_CALL infer_linear(const OrtCustomOp *op, OrtShapeInferContext *ctx) {
  shape w = {0}, x = {0};
  int64_t gated = 0;
  OrtStatus *st = known(ctx, 0, &w);
  if (st == NULL) st = known(ctx, 1, &x);
  if (st == NULL) st = attribute(ctx, "gated", &gated);
  if (st || w.rank != 2 || x.rank < 1) return st;
  x.dims[x.rank - 1] = gated ? w.dims[0] / 2 : w.dims[0];
  x.names[x.rank - 1] = gated ? "" : w.names[0];
  return result(ctx, &x);
}

// infer_conv gives the result of Conv3x3 the shape of x but for the channels.
static OrtStatusPtr ORT_API_CALL infer_conv(const OrtCustomOp *op, OrtShapeInferContext *ctx) {
  shape w = {0}, x = {0};
  OrtStatus *st = known(ctx, 0, &w);
  if (st == NULL) st = known(ctx, 1, &x);
  if (st || w.rank != 4 || x.rank != 4) return st;
  x.dims[1] = w.dims[0];
  x.names[1] = w.names[0];
  return result(ctx, &x);
}

// infer_dequantize gives the output a number of rows that is only known at run time. The memory planner would otherwise keep the memory of a decoded
// matrix for the next one of its shape: one of every shape of the network, all the time.
static OrtStatusPtr ORT_API_CALL infer_dequantize(const OrtCustomOp *op, OrtShapeInferContext *ctx) {
  shape data = {0}, matrix = {.rank = 2, .names = {"", ""}};
  int64_t format = 0, cols = 0;
  size_t elements = 0, bytes = 0;
  OrtStatus *st = known(ctx, 0, &data);
  if (st || data.rank != 1) return st;
  if ((st = attribute(ctx, "format", &format)) || (st = attribute(ctx, "cols", &cols))) return st;
  if (!cg_block_size((int)format, &elements, &bytes) || cols <= 0 || data.dims[0] < 0 || cols % (int64_t)elements != 0) {
    return the_api->CreateStatus(ORT_INVALID_ARGUMENT, "comfygo: Dequantize is given a format or width that it does not know");
  }
  matrix.dims[0] = -1;
  matrix.dims[1] = cols;
  return result(ctx, &matrix);
}

static const char *ORT_API_CALL name_widen(const OrtCustomOp *op) { return "Widen"; }
static const char *ORT_API_CALL name_blocked(const OrtCustomOp *op) { return "WidenBlocked"; }
static const char *ORT_API_CALL name_linear(const OrtCustomOp *op) { return "Linear"; }
static const char *ORT_API_CALL name_conv(const OrtCustomOp *op) { return "Conv3x3"; }
static const char *ORT_API_CALL name_norm(const OrtCustomOp *op) { return "GroupNorm"; }
static const char *ORT_API_CALL name_dequantize(const OrtCustomOp *op) { return "Dequantize"; }
static const char *ORT_API_CALL provider(const OrtCustomOp *op) { return NULL; }  // NULL is the CPU
static ONNXTensorElementDataType ORT_API_CALL input_type(const OrtCustomOp *op, size_t i) {
  return ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;  // any
}
static ONNXTensorElementDataType ORT_API_CALL output_type(const OrtCustomOp *op, size_t i) {
  return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
}
static size_t ORT_API_CALL inputs(const OrtCustomOp *op) { return whole(op)->inputs; }
static size_t ORT_API_CALL one(const OrtCustomOp *op) { return 1; }
static OrtCustomOpInputOutputCharacteristic ORT_API_CALL input_kind(const OrtCustomOp *op, size_t i) {
  return i < whole(op)->required ? INPUT_OUTPUT_REQUIRED : INPUT_OUTPUT_OPTIONAL;
}
static OrtCustomOpInputOutputCharacteristic ORT_API_CALL output_kind(const OrtCustomOp *op, size_t i) {
  return INPUT_OUTPUT_REQUIRED;
}
static OrtMemType ORT_API_CALL memory_type(const OrtCustomOp *op, size_t i) { return OrtMemTypeDefault; }
static int ORT_API_CALL zero_arity(const OrtCustomOp *op) { return 0; }
static int ORT_API_CALL first_version(const OrtCustomOp *op) { return 1; }
static int ORT_API_CALL last_version(const OrtCustomOp *op) { return 0x7fffffff; }

static size_t in_place(int input, int **inputs, int **outputs) {
  *inputs = malloc(sizeof **inputs);
  *outputs = malloc(sizeof **outputs);
  if (*inputs == NULL || *outputs == NULL) return 0;
  **inputs = input;
  **outputs = 0;
  return 1;
}

// sum_in_place lets the result of a convolution take the memory of the sum, which is read where the result is written;
// norm_in_place does so for the operand of a norm.
static size_t ORT_API_CALL sum_in_place(int **inputs, int **outputs) { return in_place(3, inputs, outputs); }
static size_t ORT_API_CALL norm_in_place(int **inputs, int **outputs) { return in_place(0, inputs, outputs); }
static void ORT_API_CALL release_in_place(int *inputs, int *outputs) {
  free(inputs);
  free(outputs);
}

#define CUSTOM_OP(name_fn, kind_value, infer_fn, input_count, required_count, ...)                                                                          \
  {                                                                                                             \
    .op = {.version = ORT_API_VERSION,                                                                          \
           .GetName = name_fn,                                                                                  \
           .GetExecutionProviderType = provider,                                                                \
           .GetInputType = input_type,                                                                          \
           .GetInputTypeCount = inputs,                                                                            \
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
           .InferOutputShapeFn = infer_fn,                                                                         \
           .GetStartVersion = first_version,                                                                    \
           .GetEndVersion = last_version __VA_ARGS__},                                                                      \
    .kind = kind_value, .inputs = input_count, .required = required_count                                                                                          \
  }

static const custom_op ops[] = {
    CUSTOM_OP(name_widen, WIDEN, infer, 2, 1, ),
    CUSTOM_OP(name_blocked, WIDEN_BLOCKED, infer, 2, 1, ),
    CUSTOM_OP(name_dequantize, DEQUANTIZE, infer_dequantize, 4, 1, ),
    CUSTOM_OP(name_norm, GROUP_NORM, infer, 4, 3, , .GetMayInplace = norm_in_place, .ReleaseMayInplace = release_in_place),
    CUSTOM_OP(name_linear, LINEAR, infer_linear, 4, 2, ),
    CUSTOM_OP(name_conv, CONV, infer_conv, 4, 2, , .GetMayInplace = sum_in_place, .ReleaseMayInplace = release_in_place),
};

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
