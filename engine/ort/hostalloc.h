#pragma once

#include "include/onnxruntime_c_api.h"

// cg_share_host registers an allocator of the host's memory with the environment, for sessions that run once and ask for shared
// allocators; cg_unshare_host takes it away again. A buffer goes back to the system after its last reader, but for a bounded number of
// bytes that wait for the next buffers, so that the peak is what a graph needs, without the rounding and the gaps of an arena.
OrtStatus *cg_share_host(const OrtApi *api, OrtEnv *env);
OrtStatus *cg_unshare_host(const OrtApi *api, OrtEnv *env);

// cg_trim_host gives back what the allocator keeps.
void cg_trim_host(void);
