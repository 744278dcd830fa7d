#ifndef COMFYGO_ORT_TRIM_H
#define COMFYGO_ORT_TRIM_H

// cg_bound_memory bounds what the C heap keeps of freed memory.
void cg_bound_memory(void);

// cg_trim_memory gives back what it keeps.
void cg_trim_memory(void);

#endif
