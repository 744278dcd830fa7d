// What the kernels of one session keep from run to run: the last input and result of layers whose input seldom changes, such
// as those over a prompt's encoding. Kernels that are given the same input share its copy. All functions may be called from
// several threads at once. No ONNX Runtime in here.
#ifndef COMFYGO_ORT_MEMO_H
#define COMFYGO_ORT_MEMO_H

#include <stddef.h>

typedef struct cg_memo cg_memo;

// CG_MEMO_KEY is the entry of a session's configuration that holds the address of its memo, in decimal digits.
#define CG_MEMO_KEY "comfygo.memo"

// cg_kept is what one kernel keeps; its slot holds NULL while that is nothing.
typedef struct cg_kept cg_kept;

// cg_memo_new returns a memo that keeps at most so many bytes, NULL without memory for it; cg_memo_free gives back one whose
// kernels have all forgotten.
cg_memo *cg_memo_new(size_t most);
void cg_memo_free(cg_memo *m);

// cg_memo_bytes is the number of bytes that are kept now.
size_t cg_memo_bytes(cg_memo *m);

// cg_recall copies the kept result of size bytes to y when x, of bytes bytes, is the kept input, and reports that it did.
int cg_recall(cg_memo *m, cg_kept *const *slot, const void *x, size_t bytes, void *y, size_t size);

// cg_remember keeps x and the result y instead of what the slot holds. Over the limit, and without memory, it keeps nothing.
void cg_remember(cg_memo *m, cg_kept **slot, const void *x, size_t bytes, const void *y, size_t size);

// cg_forget empties a slot.
void cg_forget(cg_memo *m, cg_kept **slot);

#endif
